// The list of captures and the printing of trace lines, behind one mutex.
#include "core/trace.h"

#include <isobit/error.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <vector>

namespace isobit {

namespace tracing {
namespace {

bool printing() {
  static const bool asked = [] {
    const char* text = std::getenv("ISOBIT_TRACE");
    return text != nullptr && *text != '\0' && std::string_view(text) != "0";
  }();
  return asked;
}

struct State {
  std::mutex mutex;
  std::vector<TraceCapture*> captures;
};

// Never destroyed: kernels may run in static destructors.
State& state() {
  static State* s = new State;
  return *s;
}

}  // namespace

std::atomic<bool> active{printing()};

void record(std::string_view kernel, std::string_view algorithm, std::string_view problem) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  for (TraceCapture* capture : s.captures) ++capture->counts_[{std::string(kernel), std::string(algorithm)}];
  if (!printing()) return;
  const std::string line = fmt::format("isobit trace: {} <- {} {}\n", kernel, algorithm, problem);
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace tracing

TraceCapture::TraceCapture() {
  tracing::State& s = tracing::state();
  const std::lock_guard lock(s.mutex);
  s.captures.push_back(this);
  tracing::active.store(true, std::memory_order_relaxed);
}

TraceCapture::~TraceCapture() {
  tracing::State& s = tracing::state();
  const std::lock_guard lock(s.mutex);
  s.captures.erase(std::find(s.captures.begin(), s.captures.end(), this));
  tracing::active.store(tracing::printing() || !s.captures.empty(), std::memory_order_relaxed);
}

TraceCapture::Counts TraceCapture::counts() const {
  const std::lock_guard lock(tracing::state().mutex);
  return counts_;
}

std::int64_t TraceCapture::count(std::string_view kernel, std::string_view algorithm) const {
  std::int64_t sum = 0;
  for (const auto& [key, calls] : counts())
    if (key.first == kernel && key.second == algorithm) sum += calls;
  return sum;
}

std::int64_t TraceCapture::count(std::string_view kernel) const {
  std::int64_t sum = 0;
  for (const auto& [key, calls] : counts())
    if (key.first == kernel) sum += calls;
  return sum;
}

std::int64_t TraceCapture::count_algorithm(std::string_view algorithm) const {
  std::int64_t sum = 0;
  for (const auto& [key, calls] : counts())
    if (key.second == algorithm) sum += calls;
  return sum;
}

}  // namespace isobit
