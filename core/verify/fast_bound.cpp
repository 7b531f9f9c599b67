// The bound of fast mode (isobit/verify_fast.h).
#include <isobit/autograd.h>
#include <isobit/ops.h>
#include <isobit/verify_fast.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/backend.h"
#include "core/fast_algorithms.h"

namespace isobit::verify {
namespace {

double share_of(const Tensor& got, const FastSums& sums, double u_in) {
  const std::vector<double> values = got.detach().to(Device::cpu()).to(DType::f64).to_vector<double>(),
                            ref = sums.value.to_vector<double>(), q = sums.squares.to_vector<double>(),
                            s = sums.magnitudes.to_vector<double>(), k = sums.terms.to_vector<double>();
  if (values.size() != ref.size())
    fail("share_of_bound", "the result has {} elements, its sums have {}", values.size(), ref.size());
  const double u_out = result_roundoff(got.dtype());
  double largest = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double error = std::abs(values[i] - ref[i]),
                 bound = fast_bound(u_in, u_out, ref[i], q[i], s[i], k[i]);
    if (error == 0) continue;
    const double share = error / bound;
    largest = share >= 0 ? std::max(largest, share) : std::numeric_limits<double>::infinity();
  }
  return largest;
}

}  // namespace

double operand_roundoff(Math math, DType dtype) {
  if (dtype != DType::f32) return 0;
  switch (math) {
    case Math::exact:
      return 0;
    case Math::fast:
    case Math::fast_f16:
      return 0x1p-11;
    case Math::fast_bf16:
      return 0x1p-8;
  }
  return 0;
}

double operand_roundoff(Device device, Math math, DType dtype) {
  const auto* fast = dynamic_cast<const HasFastAlgorithms*>(&backend(device));
  const double finer = dtype == DType::f32 && fast != nullptr ? fast->finer_roundoff(math) : 0;
  return finer > 0 ? finer : operand_roundoff(math, dtype);
}

double result_roundoff(DType dtype) {
  return dtype == DType::f32 ? 0x1p-24 : dtype == DType::f16 ? 0x1p-11 : 0x1p-8;
}

double fast_bound(double u_in, double u_out, double ref, double squares, double magnitudes, double terms) {
  return 8 * u_in * std::sqrt(squares) + (terms + 1) * 0x1p-23 * magnitudes + u_out * std::abs(ref);
}

FastSums fast_sums(const std::function<Tensor(const std::function<Tensor(const Tensor&)>& map)>& sum) {
  const NoGrad off;
  const auto wide = [](const Tensor& t) { return t.to(Device::cpu()).to(DType::f64); };
  const auto of = [&](const std::function<Tensor(const Tensor&)>& f) {
    return sum([&](const Tensor& t) { return f(wide(t)); });
  };
  return {of([](const Tensor& t) { return t; }), of([](const Tensor& t) { return square(t); }),
          of([](const Tensor& t) { return abs(t); }),
          of([](const Tensor& t) { return select(eq(t, zeros_like(t)), zeros_like(t), ones_like(t)); })};
}

double share_of_bound(const Tensor& got, const FastSums& sums, Math math) {
  return share_of(got, sums, operand_roundoff(math, got.dtype()));
}

double share_of_bound(const Tensor& got, const FastSums& sums, Math math, Device device) {
  return share_of(got, sums, operand_roundoff(device, math, got.dtype()));
}

}  // namespace isobit::verify
