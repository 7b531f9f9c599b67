// The judge of gradients: derivatives of any order against central differences in f64, the same bits with and
// without recording, and lower precisions against f64.
#pragma once
#include <isobit/autograd.h>
#include <isobit/ops.h>

#include <functional>
#include <string>
#include <vector>

namespace isobit::test {

/// A function of tensors. It must be differentiable in all of them; constants are captured.
using Function = std::function<Tensor(const std::vector<Tensor>&)>;

/// f64 values in [low, high), at least 1e-2 from every kink.
Tensor random_values(const Shape& shape, std::uint64_t seed, double low = -1, double high = 1,
                     const std::vector<double>& kinks = {});
/// f64 values that are all different by at least 0.02: for maxima.
Tensor distinct_values(const Shape& shape, std::uint64_t seed);
/// Whole numbers in [-range, range].
Tensor random_integers(const Shape& shape, std::uint64_t seed, int range, DType dtype = DType::f32);

struct GradcheckOptions {
  int order = 2;            ///< of derivatives
  double tolerance = 1e-6;  ///< error at most tolerance * max(1, |g|)
  bool halves = true;       ///< also f32, f16 and bf16 against f64
  double roundings = 24;    ///< that a half's gradient may be off by, in units of its largest element
};

/// Judges the derivatives of f at `inputs` (f64) in all directions: fails the running test with the op's
/// name, the order, the element and both values.
void check_gradients(const std::string& name, const Function& f, const std::vector<Tensor>& inputs,
                     const GradcheckOptions& options = {});

/// sum of a * b, added up in f64 on the host: exact on small integers.
double inner_product(const Tensor& a, const Tensor& b);
/// <f(x), g> == <x, adjoint(g)>, exactly.
void check_adjoint(const std::string& name, const Tensor& x, const std::function<Tensor(const Tensor&)>& f,
                   int range = 4);

}  // namespace isobit::test
