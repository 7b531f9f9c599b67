#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/support/elementary.cpp"
#include "hwy/foreach_target.h"

#include <algorithm>
#include <cmath>
#include <limits>

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

namespace {

// Three quarters of all floats are next to zero or far out; there, a term or two say all that a double can
// hold, many times faster than the C library, whose overflows and underflows are slow. NaN: no shortcut.
constexpr double kNear = 0x1p-30;
constexpr double kNoShortcut = std::numeric_limits<double>::quiet_NaN();
constexpr double kRootHalf = 0.70710678118654752440;
constexpr double kDensity = 0.39894228040143267794;  // 1 / sqrt(2 pi)

double near_zero(Elementary function, double x) {
  switch (function) {
    case Elementary::exp:
      return 1 + x;
    case Elementary::expm1:
    case Elementary::log1p:
      return x + (function == Elementary::expm1 ? 0.5 : -0.5) * x * x;
    case Elementary::tanh:
    case Elementary::sin:
      return x;
    case Elementary::sigmoid:
      return 0.5 + 0.25 * x;
    case Elementary::softplus:
      return 0.69314718055994530942 + 0.5 * x;
    case Elementary::silu:
      return x * (0.5 + 0.25 * x);
    case Elementary::erf:
      return x * 1.12837916709551257390;
    case Elementary::gelu:
      return x * (0.5 + kDensity * x);
    case Elementary::normal_cdf:
      return 0.5 + kDensity * x;
    case Elementary::normal_density:
      return kDensity;
    case Elementary::cos:
      return 1;
    case Elementary::log:
      break;
  }
  return kNoShortcut;
}

// Beyond 800, where exp is zero or infinite in every format.
double far_out(Elementary function, double x) {
  const bool positive = x > 0;
  switch (function) {
    case Elementary::exp:
      return positive ? HUGE_VAL : 0;
    case Elementary::expm1:
      return positive ? HUGE_VAL : -1;
    case Elementary::tanh:
    case Elementary::erf:
      return positive ? 1 : -1;
    case Elementary::sigmoid:
    case Elementary::normal_cdf:
      return positive ? 1 : 0;
    case Elementary::softplus:
      return positive ? x : 0;
    case Elementary::silu:
    case Elementary::gelu:
      return positive ? x : -0.0;
    case Elementary::normal_density:
      return 0;
    default:
      return kNoShortcut;
  }
}

}  // namespace

double elementary_reference(Elementary function, double x) {
  if (std::fabs(x) < kNear || std::fabs(x) > 800) {
    const double value = std::fabs(x) < kNear ? near_zero(function, x) : far_out(function, x);
    if (!std::isnan(value)) return value;
  }
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
