// What a backend is besides, when it has algorithms of fast mode (isobit/arithmetic.h). Which arithmetic a
// kernel call runs in is that of the calling thread, as its stream is: MathScope, current_math().
#pragma once
#include <isobit/arithmetic.h>

#include <string>
#include <string_view>
#include <vector>

namespace isobit {

class HasFastAlgorithms {
 public:
  virtual ~HasFastAlgorithms() = default;
  /// In order of preference. They are forced like the others (Backend::force_algorithm), and then refuse
  /// calls in exact arithmetic.
  virtual std::vector<std::string> fast_algorithms(std::string_view kernel) const = 0;
  /// Why none of them is chosen on this machine, so that every arithmetic is computed exactly; empty: some
  /// are.
  virtual std::string why_no_fast_mode() const { return {}; }
  /// The round-off with which f32 is multiplied, where that is less than the arithmetic says; else 0.
  virtual double finer_roundoff(Math) const { return 0; }
};

}  // namespace isobit
