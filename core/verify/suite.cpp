// What a suite lets in and how it keeps its books. The running is in round.cpp.
#include "core/verify/suite.h"

#include <algorithm>

#include "core/numerics/philox.h"

namespace isobit::verify {
namespace {

constexpr std::size_t kMostDifferences = 100;
/// Errors in a row after which a device is left alone: a lost context fails every call.
constexpr int kPatience = 10;

/// As a word of a POSIX shell.
std::string quoted(const std::string& text) {
  const char* plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:,";
  if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) return text;
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace

Case::Case(Suite& suite, std::string kernel, std::string name)
    : suite_(suite),
      kernel_(std::move(kernel)),
      name_(std::move(name)),
      hash_(numerics::mix64(numerics::fnv1a(name_))) {}

HostArray Case::random(DType dtype, std::int64_t numel, Values values) {
  return random_array(dtype, numel, values, random_key(suite_.seed(), name_, ++arrays_));
}
Case& Case::in(DType dtype, std::int64_t numel, Values values) {
  return in(random(dtype, numel, values));
}
Case& Case::in(HostArray array) {
  in_.push_back(std::move(array));
  return *this;
}
Case& Case::out(DType dtype, std::int64_t numel) {
  return out(HostArray(dtype, numel));
}
Case& Case::out(HostArray array) {
  out_.push_back(std::move(array));
  return *this;
}

Suite::Suite(const Options& options, std::vector<Device> devices)
    : options_(options), devices_(std::move(devices)) {
  for (const Device device : devices_) report_.devices.push_back(device.name());
}

Case* Suite::open(const char* kernel, DType dtype, const std::string& problem, bool full_only) {
  case_.reset();
  if (report_.stopped || (full_only && !options_.full)) return nullptr;
  const auto& kernels = options_.kernels;
  if (!kernels.empty() && std::find(kernels.begin(), kernels.end(), kernel) == kernels.end()) return nullptr;
  std::string name = fmt::format("{} {} {}", kernel, dtype, problem);
  const bool whole = name == options_.only;
  if (!whole && (exactly_ || name.find(options_.only) == std::string::npos)) return nullptr;
  if (options_.choose && !options_.choose(name)) return nullptr;
  if (only_count_) {
    if (whole && !exactly_) exactly_ = true, counted_ = 0;
    ++counted_;
    return nullptr;
  }
  if (options_.stop && options_.stop()) {
    report_.stopped = true;
    return nullptr;
  }
  ++report_.problems;
  case_.emplace(Case(*this, kernel, std::move(name)));
  return &*case_;
}

Tally& Suite::tally(const std::string& device, const std::string& kernel, const std::string& algorithm) {
  Tally& found = tallies_[{device, kernel, algorithm}];
  if (found.kernel.empty()) found.device = device, found.kernel = kernel, found.algorithm = algorithm;
  return found;
}

void Suite::skip(const std::string& device, const std::string& kernel, const std::string& algorithm,
                 const std::string& reason) {
  ++skips_[{device, kernel, algorithm, reason}];
}

void Suite::add(Tally& tally, std::optional<Difference> difference) {
  Failures& failures = failures_[Device::parse(tally.device).id()];
  if (!difference) {
    ++tally.equal;
    ++report_.equal;
    failures.in_a_row = 0;
    return;
  }
  failures.in_a_row = difference->error.empty() ? 0 : failures.in_a_row + 1;
  failures.given_up = failures.in_a_row >= kPatience;
  ++report_.different;
  // The first of each algorithm tells most; the others are counted.
  if (++tally.different == 1 && report_.differences.size() < kMostDifferences)
    report_.differences.push_back(std::move(*difference));
}

void Suite::tell(const Case& one) {
  if (!options_.progress) return;
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start_;
  options_.progress(
      {report_.problems, counted_, report_.equal, report_.different, spent.count(), one.name()});
}

std::string Suite::command(const Case& one, const std::string& device) const {
  std::string text = fmt::format("isobit verify {} --devices {} --seed {}",
                                 options_.full ? "--full" : "--quick", quoted(device), options_.seed.value);
  if (!options_.shapes.empty()) text += " --shapes " + quoted(options_.shapes);
  return text + " --only " + quoted(one.name());
}

Report Suite::take_report() {
  for (auto& [key, tally] : tallies_) report_.tallies.push_back(tally);
  for (const auto& [key, count] : skips_)
    report_.skips.push_back({std::get<0>(key), std::get<1>(key), std::get<2>(key), std::get<3>(key), count});
  report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  return std::move(report_);
}

bool Report::ok() const {
  if (different != 0 || unserved != 0 || stopped) return false;
  for (const std::string& device : devices) {
    std::int64_t compared = 0;
    for (const Tally& tally : tallies)
      if (tally.device == device) compared += tally.equal;
    if (compared == 0) return false;
  }
  return true;
}

std::string Difference::to_string() const {
  const std::string where = fmt::format("{}\n  on {} by {}, {}: ", problem, device, algorithm, variant);
  const std::string what =
      !error.empty() ? error
                     : fmt::format("output {}: {} of {} elements differ, first [{}]: got {}, expected {}",
                                   output, count, numel, index, got, expected);
  return fmt::format("{}{}\n  again: {}", where, what, command);
}

}  // namespace isobit::verify
