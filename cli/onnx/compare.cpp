// Element by element, in f64.
#include "cli/onnx/compare.h"

#include <cmath>

namespace isobit::cli::onnx {
namespace {

bool agree(double got, double expected, const Tolerance& t) {
  if (std::isnan(expected)) return std::isnan(got);
  if (std::isinf(expected) || std::isinf(got)) return got == expected;
  return std::abs(got - expected) <= t.absolute + t.relative * std::abs(expected);  // false for NaN
}

template <class T>
std::string first_of(const Tensor& got, const Tensor& expected, const Tolerance& tolerance, DType as) {
  const std::vector<T> a = got.to(as).to_vector<T>(), b = expected.to(as).to_vector<T>();
  std::size_t count = 0, first = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    bool good = false;
    if constexpr (std::is_same_v<T, double>)
      good = agree(a[i], b[i], tolerance);
    else
      good = a[i] == b[i];
    if (!good && count++ == 0) first = i;
  }
  if (count == 0) return "";
  return fmt::format("{} of {} elements differ, first [{}] of {}: got {}, expected {}", count, a.size(),
                     first, expected.shape(), a[first], b[first]);
}

}  // namespace

std::string disagreement(const Tensor& got, const Tensor& expected, const Tolerance& tolerance) {
  if (got.dtype() != expected.dtype())
    return fmt::format("the type is {}, expected {}", got.dtype(), expected.dtype());
  if (got.shape() != expected.shape())
    return fmt::format("the shape is {}, expected {}", got.shape(), expected.shape());
  if (is_floating(got.dtype())) return first_of<double>(got, expected, tolerance, DType::f64);
  return first_of<std::int64_t>(got, expected, tolerance, DType::i64);
}

}  // namespace isobit::cli::onnx
