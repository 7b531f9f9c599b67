// The plans in use, and the timing of what they lack.
#include "core/plan.h"

#include <fmt/format.h>
#include <isobit/arithmetic.h>
#include <isobit/error.h>
#include <isobit/io.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <optional>

#include "core/backend.h"
#include "core/graph_recording.h"
#include "core/plan_file.h"

namespace isobit::plans {

/// A plan in use.
class Plan {
 public:
  Plan(std::string path, PlanUse use) : path_(std::move(path)), use_(use) {
    lines_ = read(path_, use == PlanUse::time);
  }

  PlanUse use() const { return use_; }
  const std::string& path() const { return path_; }

  /// The algorithm that a line names.
  std::optional<std::string> find(const Key& key) const {
    const std::lock_guard lock(mutex_);
    const auto line = lines_.find(key);
    if (line == lines_.end()) return std::nullopt;
    return line->second.front().algorithm;
  }

  void add(const Key& key, std::vector<PlanLine::Timing> timings) {
    const std::lock_guard lock(mutex_);
    lines_[key] = added_[key] = std::move(timings);
    ++timed_;
  }

  void save() {
    const std::lock_guard lock(mutex_);
    if (added_.empty()) return;
    Lines lines = read(path_, true);  // what another process wrote meanwhile stays
    for (const auto& [key, timings] : added_) lines[key] = timings;
    const std::string text = format(lines);
    io::write_atomically(path_, [&](io::Writer& writer) { writer.write(text.data(), text.size()); });
    added_.clear();
  }

  std::vector<PlanLine> lines() const {
    const std::lock_guard lock(mutex_);
    std::vector<PlanLine> list;
    for (const auto& [key, timings] : lines_) {
      const auto& [device, math, kernel, problem] = key;
      list.push_back({device, math, kernel, problem, timings});
    }
    return list;
  }
  std::int64_t timed() const {
    const std::lock_guard lock(mutex_);
    return timed_;
  }

  /// One problem at a time: timings would disturb each other.
  std::mutex timing;

 private:
  const std::string path_;
  const PlanUse use_;
  mutable std::mutex mutex_;
  Lines lines_, added_;
  std::int64_t timed_ = 0;
};

namespace {

using Clock = std::chrono::steady_clock;

constexpr double kRound = 200, kLongEnough = 20000;  ///< microseconds
constexpr int kRounds = 3;
constexpr double kClearlyFaster = 0.97;  ///< less of a gain does not change the order of preference

struct State {
  std::mutex mutex;
  std::vector<std::shared_ptr<Plan>> plans;
};

// Never destroyed: kernels may run in static destructors.
State& state() {
  static State* s = new State;
  return *s;
}

void save_or_say(Plan& plan) noexcept {
  try {
    plan.save();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "isobit: the plan was not written: %s\n", e.what());
  }
}

bool asked_by_environment() {
  static const bool asked = [] {
    const char* path = std::getenv("ISOBIT_PLAN");
    return path != nullptr && *path != '\0';
  }();
  return asked;
}

// The plan of ISOBIT_PLAN. A file that is no plan must be an error of the first kernel, not of the loader.
std::shared_ptr<Plan> plan_of_environment() {
  if (!asked_by_environment()) return nullptr;
  static std::shared_ptr<Plan>* const plan = new std::shared_ptr<Plan>([] {
    auto made = std::make_shared<Plan>(std::getenv("ISOBIT_PLAN"), PlanUse::time);
    std::atexit([] { save_or_say(*plan_of_environment()); });
    return made;
  }());
  return *plan;
}

std::shared_ptr<Plan> current() {
  {
    State& s = state();
    const std::lock_guard lock(s.mutex);
    if (!s.plans.empty()) return s.plans.back();
  }
  return plan_of_environment();
}

void enter(const std::shared_ptr<Plan>& plan) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.plans.push_back(plan);
  active.store(true, std::memory_order_relaxed);
}

void leave(const std::shared_ptr<Plan>& plan) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.plans.erase(std::find(s.plans.begin(), s.plans.end(), plan));
  active.store(asked_by_environment() || !s.plans.empty(), std::memory_order_relaxed);
}

// Microseconds a call: the least of some rounds, each long enough for the clock.
double time_of(Backend& device, const std::function<void()>& run) {
  const auto round = [&](std::int64_t calls) {
    device.synchronize();
    const Clock::time_point start = Clock::now();
    for (std::int64_t i = 0; i < calls; ++i) run();
    device.synchronize();
    return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
  };
  round(1);  // the first call packs, compiles, fetches
  std::int64_t calls = 1;
  double least = round(calls);
  if (least >= kLongEnough) return least;
  while (least < kRound && calls < 1 << 16) {
    calls *= 2;
    least = round(calls);
  }
  for (int i = 1; i < kRounds; ++i) least = std::min(least, round(calls));
  return least / static_cast<double>(calls);
}

// Of the calling thread, while it times: kernels may be made of kernels.
thread_local bool timing_now = false;
struct TimingNow {
  TimingNow() { timing_now = true; }
  ~TimingNow() { timing_now = false; }
};

std::vector<PlanLine::Timing> time_all(Backend& device, std::span<const char* const> algorithms,
                                       const std::function<void(std::size_t)>& run) {
  const TimingNow now;
  std::vector<PlanLine::Timing> timings;
  for (std::size_t i = 0; i < algorithms.size(); ++i)
    timings.push_back({algorithms[i], time_of(device, [&] { run(i); })});
  std::size_t best = 0;
  for (std::size_t i = 1; i < timings.size(); ++i)
    if (timings[i].microseconds < kClearlyFaster * timings[best].microseconds) best = i;
  const auto chosen = timings.begin() + static_cast<std::ptrdiff_t>(best);
  std::rotate(timings.begin(), chosen, chosen + 1);
  return timings;
}

std::size_t index_of(std::span<const char* const> algorithms, std::string_view name) {
  std::size_t i = 0;
  while (i < algorithms.size() && algorithms[i] != name) ++i;
  return i;
}

}  // namespace

std::atomic<bool> active{asked_by_environment()};

std::size_t choose(Backend& device, const char* kernel, std::string problem,
                   std::span<const char* const> algorithms, const std::function<void(std::size_t)>& run) {
  if (timing_now) return 0;
  const std::shared_ptr<Plan> plan = current();
  if (plan == nullptr) return 0;
  const Key key(device.timing_key(), name_of(current_math()), kernel, std::move(problem));
  const auto known = [&] {
    const std::optional<std::string> name = plan->find(key);
    return name ? index_of(algorithms, *name) : algorithms.size();
  };
  if (const std::size_t i = known(); i < algorithms.size()) return i;
  // What is recorded as a graph cannot be waited for.
  const bool may_time = plan->use() == PlanUse::time && GraphRecording::current() == nullptr;
  if (!may_time) {
    if (const std::optional<std::string> name = plan->find(key))
      fail("plan",
           "'{}' has {} for {} {}, which is not there or refuses, expected one of: {}; take the line out, or "
           "have it timed anew (PlanUse::time, ISOBIT_PLAN)",
           plan->path(), *name, kernel, std::get<3>(key), fmt::join(algorithms, ", "));
    return 0;
  }
  const std::lock_guard lock(plan->timing);
  if (const std::size_t i = known(); i < algorithms.size()) return i;  // another thread was first
  plan->add(key, time_all(device, algorithms, run));
  return known();
}

}  // namespace isobit::plans

namespace isobit {

PlanScope::PlanScope(std::string path, PlanUse use)
    : plan_(std::make_shared<plans::Plan>(std::move(path), use)) {
  plans::enter(plan_);
}

PlanScope::~PlanScope() {
  plans::leave(plan_);
  plans::save_or_say(*plan_);
}

void PlanScope::save() {
  plan_->save();
}
std::vector<PlanLine> PlanScope::lines() const {
  return plan_->lines();
}
std::int64_t PlanScope::timed() const {
  return plan_->timed();
}

}  // namespace isobit
