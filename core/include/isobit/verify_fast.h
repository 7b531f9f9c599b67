// Whether fast mode (isobit/arithmetic.h) keeps its bound: every fast algorithm of every device on the
// problems of verify::run, held against sums in f64.
//
// An element with the products p_i, their sum ref, Q = sqrt(sum p_i^2), S = sum |p_i| and K terms passes when
//   !(|got - ref| > 8 u_in Q + (K + 1) 2^-23 S + u_out |ref|),
// u_in being the round-off of operands that are rounded before they are multiplied (0 where they are not),
// u_out that of the stored result. The share is the error over this bound. (docs/fast-mode.md)
#pragma once
#include <isobit/arithmetic.h>
#include <isobit/dtype.h>
#include <isobit/tensor.h>
#include <isobit/verify.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace isobit::verify {

/// u_in of `dtype`: 2^-11 for tf32 and f16, 2^-8 for bf16, 0 where operands are multiplied as they are.
double operand_roundoff(Math math, DType dtype);
/// The same on a device, which may be finer than the arithmetic's name says: 2^-16 for Math::fast on the CPU,
/// which multiplies f32 as the sum of two bf16.
double operand_roundoff(Device device, Math math, DType dtype);
/// u_out: half a unit in the last place of `dtype`.
double result_roundoff(DType dtype);
/// The bound of one element.
double fast_bound(double u_in, double u_out, double ref, double squares, double magnitudes, double terms);

/// The sums of a tensor's elements in f64, on the CPU: of the products, their squares, their magnitudes, and
/// how many are not 0.
struct FastSums {
  Tensor value, squares, magnitudes, terms;
};
/// `sum` computes the op in f64 of operands that `map` has changed: itself, squared, absolute, 1 where not 0.
FastSums fast_sums(const std::function<Tensor(const std::function<Tensor(const Tensor&)>& map)>& sum);
/// The largest share of the bound in `got`, f32, f16 or bf16: infinite where an element is NaN.
double share_of_bound(const Tensor& got, const FastSums& sums, Math math);
/// The same by a device's own round-off.
double share_of_bound(const Tensor& got, const FastSums& sums, Math math, Device device);

/// What one algorithm made of its problems in one arithmetic.
struct FastTally {
  std::string device, kernel, algorithm;
  Math math = Math::fast;
  DType dtype = DType::f32;
  double roundoff = 0;  ///< of operands: u_in
  std::int64_t problems = 0, elements = 0;
  std::int64_t beyond = 0;                                   ///< elements outside of the bound
  double largest = 0;                                        ///< share of the bound
  double rms = 0;                                            ///< of the shares of all elements
  std::int64_t integer_problems = 0, integer_different = 0;  ///< small integers: tolerance 0
  /// How well the bound tells: the share of elements that are not 0 where a 0 is refused, and of those that
  /// lack terms where the sum of the others is refused.
  double zeros_refused = 0, missing_refused = 0;
};

struct FastReport {
  std::vector<std::string> devices;
  std::vector<std::string> without;  ///< devices that have no fast algorithm
  std::vector<FastTally> tallies;
  std::vector<Skip> skips;
  std::vector<Difference> failures;  ///< the first of each algorithm
  std::int64_t problems = 0, beyond = 0, integer_different = 0,
               blind = 0;  ///< blind: passed zeros or lacking terms
  double seconds = 0;
  bool stopped = false;
  /// Everything within the bound, integers exact, no problem whose bound lets zeros or lacking terms pass,
  /// and something judged on every device that has a fast algorithm; at least one has.
  bool ok() const;
};

/// `options` as for run(); `maths`: which arithmetics, none: all of fast mode. Throws Error when an option is
/// wrong.
FastReport run_fast(const Options& options, std::vector<Math> maths = {});

}  // namespace isobit::verify
