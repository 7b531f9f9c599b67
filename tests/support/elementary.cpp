#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/support/elementary.cpp"
#include "hwy/foreach_target.h"

#include <algorithm>
#include <cmath>

#include "cpu/kernels/elementary_simd-inl.h"
#include "tests/support/elementary.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::testing::HWY_NAMESPACE {

namespace simd = isobit::cpu::HWY_NAMESPACE;

template <typename T, typename Function>
HWY_INLINE void map(const T* x, T* y, std::size_t n, Function function) {
  for (std::size_t i = 0; i < n; i += simd::Vec<T>::size) {
    const std::size_t k = std::min(simd::Vec<T>::size, n - i);
    simd::store_n(function(simd::load_n<T>(x + i, k)), y + i, k);
  }
}

template <typename T>
void all(Elementary function, const T* x, T* y, std::size_t n) {
  using V = simd::Vec<T>;
  switch (function) {
    case Elementary::exp:
      return map(x, y, n, [](V v) HWY_ATTR { return simd::exp(v); });
    case Elementary::expm1:
      return map(x, y, n, [](V v) HWY_ATTR { return simd::expm1(v); });
    case Elementary::log:
      return map(x, y, n, [](V v) HWY_ATTR { return simd::log(v); });
    case Elementary::log1p:
      return map(x, y, n, [](V v) HWY_ATTR { return simd::log1p(v); });
    case Elementary::tanh:
      return map(x, y, n, [](V v) HWY_ATTR { return simd::tanh(v); });
    case Elementary::sigmoid:
      return map(x, y, n, [](V v) HWY_ATTR { return simd::sigmoid(v); });
    case Elementary::softplus:
      return map(x, y, n, [](V v) HWY_ATTR { return simd::softplus(v); });
    case Elementary::silu:
      return map(x, y, n, [](V v) HWY_ATTR { return simd::silu(v); });
    case Elementary::erf:
      return map(x, y, n, [](V v) HWY_ATTR { return simd::erf(v); });
    case Elementary::gelu:
      return map(x, y, n, [](V v) HWY_ATTR { return simd::gelu(v); });
    case Elementary::normal_cdf:
      return map(x, y, n, [](V v) HWY_ATTR { return simd::normal_cdf(v); });
    case Elementary::normal_density:
      return map(x, y, n, [](V v) HWY_ATTR { return simd::normal_density(v); });
    case Elementary::sin:
      return map(x, y, n, [](V v) HWY_ATTR { return simd::sin(v); });
    case Elementary::cos:
      return map(x, y, n, [](V v) HWY_ATTR { return simd::cos(v); });
  }
}

void all_f32(Elementary function, const float* x, float* y, std::size_t n) {
  all(function, x, y, n);
}
void all_f64(Elementary function, const double* x, double* y, std::size_t n) {
  all(function, x, y, n);
}

}  // namespace isobit::testing::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::testing {

HWY_EXPORT(all_f32);
HWY_EXPORT(all_f64);

void elementary_simd(Elementary function, const float* x, float* y, std::size_t n) {
  HWY_DYNAMIC_DISPATCH(all_f32)(function, x, y, n);
}

void elementary_simd(Elementary function, const double* x, double* y, std::size_t n) {
  HWY_DYNAMIC_DISPATCH(all_f64)(function, x, y, n);
}

template <typename T>
T scalar(Elementary function, T x) {
  switch (function) {
    case Elementary::exp:
      return numerics::exp(x);
    case Elementary::expm1:
      return numerics::expm1(x);
    case Elementary::log:
      return numerics::log(x);
    case Elementary::log1p:
      return numerics::log1p(x);
    case Elementary::tanh:
      return numerics::tanh(x);
    case Elementary::sigmoid:
      return numerics::sigmoid(x);
    case Elementary::softplus:
      return numerics::softplus(x);
    case Elementary::silu:
      return numerics::silu(x);
    case Elementary::erf:
      return numerics::erf(x);
    case Elementary::gelu:
      return numerics::gelu(x);
    case Elementary::normal_cdf:
      return numerics::normal_cdf(x);
    case Elementary::normal_density:
      return numerics::normal_density(x);
    case Elementary::sin:
      return numerics::sin(x);
    case Elementary::cos:
      return numerics::cos(x);
  }
  return x;
}

float elementary_scalar(Elementary function, float x) {
  return scalar(function, x);
}
double elementary_scalar(Elementary function, double x) {
  return scalar(function, x);
}

double elementary_reference(Elementary function, double x) {
  constexpr double kRootHalf = 0.70710678118654752440;
  switch (function) {
    case Elementary::exp:
      return std::exp(x);
    case Elementary::expm1:
      return std::expm1(x);
    case Elementary::log:
      return std::log(x);
    case Elementary::log1p:
      return std::log1p(x);
    case Elementary::tanh:
      return std::tanh(x);
    case Elementary::sigmoid:
      return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
    case Elementary::softplus:
      return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
    case Elementary::silu:
      return x < -740 ? -0.0 : x < 0 ? x * std::exp(x) / (1 + std::exp(x)) : x / (1 + std::exp(-x));
    case Elementary::erf:
      return std::erf(x);
    case Elementary::gelu:
      return x < -38 ? -0.0 : x * (0.5 * std::erfc(-x * kRootHalf));
    case Elementary::normal_cdf:
      return 0.5 * std::erfc(-x * kRootHalf);
    case Elementary::normal_density:
      return 0.39894228040143267794 * std::exp(-0.5 * x * x);
    case Elementary::sin:
      return std::sin(x);
    case Elementary::cos:
      return std::cos(x);
  }
  return x;
}

}  // namespace isobit::testing
#endif
