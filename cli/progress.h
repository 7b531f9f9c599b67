// What training shows while it runs, on stderr: a bar that is redrawn on a terminal, plain lines elsewhere.
#pragma once
#include <isobit/train.h>

#include <chrono>
#include <string>

namespace isobit::cli {

class ProgressView {
 public:
  /// `epochs` of the whole run; `last_step` is where this run will stop, `first_step` where it begins.
  ProgressView(std::int64_t epochs, std::int64_t first_step, std::int64_t last_step);
  void step(const train::Progress& p);
  void epoch(const train::Progress& p, const nn::Evaluation* evaluation);
  void evaluating(std::int64_t done, std::int64_t all);
  /// Takes the bar off the terminal, so that other lines can follow.
  void clear();

 private:
  void draw(const std::string& line);
  std::int64_t epochs_, first_step_, last_step_;
  bool terminal_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_{};
};

/// "1:05", "2:03:04".
std::string duration(double seconds);

}  // namespace isobit::cli
