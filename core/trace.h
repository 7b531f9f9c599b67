// Which algorithm ran. ISOBIT_TRACE=1 prints a line for every kernel call to stderr:
//
//   isobit trace: conv_forward <- implicit_gemm mb64ic1ih28iw28oc32oh24ow24kh5kw5
//
// and a TraceCapture counts the calls made while it lives, on all threads. When neither is in use a kernel
// call pays one relaxed load of a bool.
#pragma once
#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace isobit {

namespace tracing {

/// Whether anybody wants to know.
extern std::atomic<bool> active;
inline bool on() {
  return active.load(std::memory_order_relaxed);
}
/// Counts the call for every capture and prints it when ISOBIT_TRACE asks for it.
void record(std::string_view kernel, std::string_view algorithm, std::string_view problem);

}  // namespace tracing

/// Counts per (kernel, algorithm) of the calls between construction and destruction. Captures may nest and
/// overlap; each counts every call.
class TraceCapture {
 public:
  TraceCapture();
  ~TraceCapture();
  TraceCapture(const TraceCapture&) = delete;
  TraceCapture& operator=(const TraceCapture&) = delete;

  using Counts = std::map<std::pair<std::string, std::string>, std::int64_t>;
  Counts counts() const;
  /// Calls of `kernel` that ran `algorithm`.
  std::int64_t count(std::string_view kernel, std::string_view algorithm) const;
  /// Calls of `kernel`, whatever ran.
  std::int64_t count(std::string_view kernel) const;
  /// Calls of all kernels that ran `algorithm`.
  std::int64_t count_algorithm(std::string_view algorithm) const;

 private:
  friend void tracing::record(std::string_view, std::string_view, std::string_view);
  Counts counts_;
};

}  // namespace isobit
