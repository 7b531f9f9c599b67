#include "cli/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace isobit::cli {
namespace {

constexpr int kBarWidth = 24;
constexpr auto kRedraw = std::chrono::milliseconds(100);

std::string bar(std::int64_t done, std::int64_t all) {
  const std::int64_t full =
      all > 0 ? std::clamp<std::int64_t>(done * kBarWidth / all, 0, kBarWidth) : kBarWidth;
  std::string text;
  for (std::int64_t i = 0; i < kBarWidth; ++i) text += i < full ? "█" : "░";
  return text;
}

}  // namespace

std::string duration(double seconds) {
  const auto total = std::llround(std::clamp(seconds, 0.0, 1e9));
  if (total < 3600) return fmt::format("{}:{:02}", total / 60, total % 60);
  return fmt::format("{}:{:02}:{:02}", total / 3600, total / 60 % 60, total % 60);
}

ProgressView::ProgressView(std::int64_t epochs, std::int64_t first_step, std::int64_t last_step)
    : epochs_(epochs),
      first_step_(first_step),
      last_step_(last_step),
      terminal_(isatty(STDERR_FILENO) != 0) {}

void ProgressView::draw(const std::string& line) {
  fmt::print(stderr, "\r\033[K{}", line);
  std::fflush(stderr);
  drawn_ = true;
}

void ProgressView::clear() {
  if (drawn_) fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
  drawn_ = false;
}

void ProgressView::step(const train::Progress& p) {
  const auto now = std::chrono::steady_clock::now();
  const bool last = p.at.batch == p.batches || p.at.step == last_step_;
  const std::int64_t done = p.at.step - first_step_;
  const double left =
      done > 0 ? p.seconds / static_cast<double>(done) * static_cast<double>(last_step_ - p.at.step) : 0;
  if (terminal_) {
    if (!last && now - last_ < kRedraw) return;
    last_ = now;
    draw(fmt::format("epoch {}/{} {} {:>3}%  loss {:.4f}  {:.0f} samples/s  {} left", p.at.epoch + 1, epochs_,
                     bar(p.at.batch, p.batches), p.at.batch * 100 / p.batches, p.mean_loss,
                     p.samples_per_second(), duration(left)));
    return;
  }
  const std::int64_t every = std::max<std::int64_t>(1, p.batches / 10);
  if (!last && p.at.batch % every != 0) return;
  fmt::print(stderr, "epoch {}/{} batch {}/{} loss {:.4f} {:.0f} samples/s {} left\n", p.at.epoch + 1,
             epochs_, p.at.batch, p.batches, p.mean_loss, p.samples_per_second(), duration(left));
}

void ProgressView::epoch(const train::Progress& p, const nn::Evaluation* evaluation) {
  clear();
  std::string line = fmt::format("epoch {}/{} done: loss {:.4f}", p.at.epoch, epochs_, p.mean_loss);
  if (evaluation)
    line += fmt::format(", test loss {:.4f}, test accuracy {:.2f}%", evaluation->loss,
                        100 * evaluation->accuracy);
  fmt::print(stderr, "{}, {:.0f} samples/s\n", line, p.samples_per_second());
}

void ProgressView::evaluating(std::int64_t done, std::int64_t all) {
  if (!terminal_) return;
  const auto now = std::chrono::steady_clock::now();
  if (done < all && now - last_ < kRedraw) return;
  last_ = now;
  draw(fmt::format("testing   {} {:>3}%", bar(done, all), all > 0 ? done * 100 / all : 100));
  if (done >= all) clear();
}

}  // namespace isobit::cli
