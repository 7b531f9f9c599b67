// Errors of the elementary functions against MPFR, in ulp of the exact result.
//
// f32: on a stride of the 2^32 bit patterns; over all of them with ISOBIT_LONG=1. The first judge is this
// project's own double version (which the f64 tests hold to MPFR), the second the C library's double function
// (on every sample of the stride, on every 16th of the long run); MPFR decides where the error is near the
// limit, and on every 1021st sample (65,521st) regardless. f64: random points in all ranges and around the
// seams of the methods; 50 times as many in the long run. Every test prints the largest error it saw and
// where.
#include <gtest/gtest.h>
#include <mpfr.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <thread>
#include <vector>

#include "core/numerics/philox.h"
#include "tests/support/elementary.h"

namespace isobit::testing {
namespace {

bool is_long_run() {
  const char* value = std::getenv("ISOBIT_LONG");
  return value != nullptr && *value != '\0' && *value != '0';
}

// 240 bits: enough for every f64 argument below, cancellation included.
class Exact {
 public:
  Exact() { mpfr_inits2(240, x_, y_, t_, static_cast<mpfr_ptr>(nullptr)); }
  ~Exact() {
    mpfr_clears(x_, y_, t_, static_cast<mpfr_ptr>(nullptr));
    mpfr_free_cache();  // of this thread, which may end now
  }
  Exact(const Exact&) = delete;
  Exact& operator=(const Exact&) = delete;

  // The error of `got` at a finite x, in ulp of a format with `digits` digits and least exponent `least`.
  double error(Elementary function, double x, double got, int digits, int least, int most) {
    mpfr_set_d(x_, x, MPFR_RNDN);
    compute(function);
    if (mpfr_nan_p(y_)) return std::isnan(got) ? 0 : std::numeric_limits<double>::infinity();
    if (std::isnan(got)) return std::numeric_limits<double>::infinity();
    if (mpfr_inf_p(y_)) return std::isinf(got) && (got > 0) == (mpfr_sgn(y_) > 0) ? 0 : HUGE_VAL;
    const int exponent =
        mpfr_zero_p(y_) ? least : static_cast<int>(std::max<mpfr_exp_t>(mpfr_get_exp(y_) - 1, least));
    if (std::isinf(got)) {
      mpfr_set_ui_2exp(t_, 1, most + 1, MPFR_RNDN);  // infinity counts as the next power of two
      if (got < 0) mpfr_neg(t_, t_, MPFR_RNDN);
      mpfr_sub(t_, t_, y_, MPFR_RNDN);
      if (mpfr_sgn(t_) * (got > 0 ? 1 : -1) <= 0) return 0;
    } else {
      mpfr_set_d(t_, got, MPFR_RNDN);
      mpfr_sub(t_, t_, y_, MPFR_RNDN);
    }
    mpfr_mul_2si(t_, t_, digits - 1 - std::min(exponent, most), MPFR_RNDN);
    return std::fabs(mpfr_get_d(t_, MPFR_RNDN));
  }

 private:
  void cdf() {  // y = erfc(-x / sqrt 2) / 2
    mpfr_set_ui(t_, 2, MPFR_RNDN);
    mpfr_sqrt(t_, t_, MPFR_RNDN);
    mpfr_div(t_, x_, t_, MPFR_RNDN);
    mpfr_neg(t_, t_, MPFR_RNDN);
    mpfr_erfc(y_, t_, MPFR_RNDN);
    mpfr_div_2ui(y_, y_, 1, MPFR_RNDN);
  }

  void sigmoid() {
    mpfr_neg(t_, x_, MPFR_RNDN);
    mpfr_exp(t_, t_, MPFR_RNDN);
    mpfr_add_ui(t_, t_, 1, MPFR_RNDN);
    mpfr_ui_div(y_, 1, t_, MPFR_RNDN);
  }

  void compute(Elementary function) {
    switch (function) {
      case Elementary::exp:
        mpfr_exp(y_, x_, MPFR_RNDN);
        return;
      case Elementary::expm1:
        mpfr_expm1(y_, x_, MPFR_RNDN);
        return;
      case Elementary::log:
        mpfr_log(y_, x_, MPFR_RNDN);
        return;
      case Elementary::log1p:
        mpfr_log1p(y_, x_, MPFR_RNDN);
        return;
      case Elementary::tanh:
        mpfr_tanh(y_, x_, MPFR_RNDN);
        return;
      case Elementary::sigmoid:
        sigmoid();
        return;
      case Elementary::silu:
        sigmoid();
        mpfr_mul(y_, y_, x_, MPFR_RNDN);
        return;
      case Elementary::softplus:
        mpfr_abs(t_, x_, MPFR_RNDN);
        mpfr_neg(t_, t_, MPFR_RNDN);
        mpfr_exp(t_, t_, MPFR_RNDN);
        mpfr_log1p(y_, t_, MPFR_RNDN);
        if (mpfr_sgn(x_) > 0) mpfr_add(y_, y_, x_, MPFR_RNDN);
        return;
      case Elementary::erf:
        mpfr_erf(y_, x_, MPFR_RNDN);
        return;
      case Elementary::normal_cdf:
        cdf();
        return;
      case Elementary::gelu:
        cdf();
        mpfr_mul(y_, y_, x_, MPFR_RNDN);
        return;
      case Elementary::normal_density:
        mpfr_sqr(t_, x_, MPFR_RNDN);
        mpfr_div_2ui(t_, t_, 1, MPFR_RNDN);
        mpfr_neg(t_, t_, MPFR_RNDN);
        mpfr_exp(y_, t_, MPFR_RNDN);
        mpfr_const_pi(t_, MPFR_RNDN);
        mpfr_mul_2ui(t_, t_, 1, MPFR_RNDN);
        mpfr_sqrt(t_, t_, MPFR_RNDN);
        mpfr_div(y_, y_, t_, MPFR_RNDN);
        return;
      case Elementary::sin:
        mpfr_sin(y_, x_, MPFR_RNDN);
        return;
      case Elementary::cos:
        mpfr_cos(y_, x_, MPFR_RNDN);
        return;
    }
  }

  mpfr_t x_, y_, t_;
};

struct Worst {
  double error = 0;
  double at = 0;
  void take(double e, double x) {
    if (!(e <= error)) {
      error = e;
      at = x;
    }
  }
};

// By a reference in double: exact enough but for the last hundredth of an ulp.
double quick_error(double reference, double got) {
  if (std::isnan(reference)) return std::isnan(got) ? 0 : HUGE_VAL;
  if (std::isnan(got)) return HUGE_VAL;
  if (reference == got) return 0;
  if (std::isinf(got)) {  // infinity counts as the next power of two
    got = std::copysign(0x1p+128, got);
    if (std::fabs(reference) >= 0x1p+128 && (reference > 0) == (got > 0)) return 0;
  }
  if (std::isinf(reference)) return HUGE_VAL;  // MPFR decides
  // 2^(23 - exponent of the reference, at least -126, at most 127)
  const auto exponent =
      static_cast<std::int64_t>(std::bit_cast<std::uint64_t>(reference) >> 52 & 0x7ff) - 1023;
  const std::int64_t shift = 23 - std::clamp<std::int64_t>(exponent, -126, 127);
  return std::fabs(got - reference) * std::bit_cast<double>(static_cast<std::uint64_t>(shift + 1023) << 52);
}

Worst judge_f32(const ElementaryInfo& info, std::uint64_t first, std::uint64_t last, std::uint64_t stride) {
  Exact exact;
  Worst worst;
  constexpr std::size_t kChunk = 2048;
  std::vector<float> x(kChunk), y(kChunk);
  std::vector<double> wide(kChunk), own(kChunk);
  const std::uint64_t library_every = stride == 1 ? 16 : 1;
  const std::uint64_t mpfr_every = stride == 1 ? 65'521 : 1021;
  std::uint64_t sample = 0;
  for (std::uint64_t pattern = first; pattern < last;) {
    std::size_t n = 0;
    for (; n < kChunk && pattern < last; pattern += stride) {
      x[n] = std::bit_cast<float>(static_cast<std::uint32_t>(pattern));
      wide[n] = x[n];
      ++n;
    }
    elementary_simd(info.function, x.data(), y.data(), n);
    elementary_simd(info.function, wide.data(), own.data(), n);
    for (std::size_t i = 0; i < n; ++i, ++sample) {
      if (!std::isfinite(x[i])) continue;  // tested one by one, in tests/unit
      double error = quick_error(own[i], y[i]);
      if (sample % library_every == 0) {
        error = std::max(error, quick_error(elementary_reference(info.function, wide[i]), y[i]));
      }
      if (!(error < info.limit_f32 - 0.01) || sample % mpfr_every == 0) {
        const double decided = exact.error(info.function, wide[i], y[i], 24, -126, 127);
        if (std::isfinite(error)) {
          EXPECT_NEAR(decided, error, 1e-3) << info.name << " at " << wide[i];
        }
        error = decided;
      }
      worst.take(error, wide[i]);
    }
  }
  return worst;
}

class ElementaryTest : public ::testing::TestWithParam<ElementaryInfo> {};

TEST_P(ElementaryTest, F32) {
  const std::uint64_t stride = is_long_run() ? 1 : 1021;
  const std::uint64_t end = std::uint64_t{1} << 32;
  const unsigned threads = is_long_run() ? std::max(1u, std::thread::hardware_concurrency()) : 1;
  Worst worst;
  std::mutex mutex;
  std::vector<std::thread> pool;
  for (unsigned t = 0; t < threads; ++t) {
    pool.emplace_back([&, t] {
      const Worst part =
          judge_f32(GetParam(), end / threads * t, t + 1 == threads ? end : end / threads * (t + 1), stride);
      const std::lock_guard<std::mutex> lock(mutex);
      worst.take(part.error, part.at);
    });
  }
  for (std::thread& thread : pool) thread.join();
  std::printf("%-15s f32  %.4f ulp at %a\n", GetParam().name, worst.error, worst.at);
  EXPECT_TRUE(worst.error <= GetParam().limit_f32) << worst.error << " ulp at " << worst.at;
}

// Points where methods and binades change, and random ones of every size.
std::vector<double> points_f64(std::size_t count) {
  std::vector<double> points;
  const double seams[] = {0.55,   0.7,  1.0,  0.34657359027997264, 0.7071067811865476, 1.4142135623730951,
                          27.0,   40.0, 16.0, 709.782712893384,    745.1332191019411,  708.3964185322641,
                          38.5,   37.5, 6.0,  0.7853981633974483,  1073741824.0,       0x1p-1022,
                          0x1p-54};
  for (double seam : seams) {
    double up = seam, down = seam;
    for (int i = 0; i < 20; ++i) {
      for (double v : {up, down, -up, -down}) points.push_back(v);
      up = std::nextafter(up, HUGE_VAL);
      down = std::nextafter(down, 0);
    }
  }
  const RandomKey key{7, 0};
  const double widths[] = {1e-3, 0.6, 1.5, 5, 40, 720, 1e5, 1e9};
  for (std::uint64_t i = 0; points.size() < count; ++i) {
    const numerics::PhiloxBlock block = numerics::random_block(key, i);
    points.push_back(std::bit_cast<double>(std::uint64_t{block.word[1]} << 32 | block.word[0]));
    points.push_back((2 * numerics::uniform_f64(key, 2 * i + 1) - 1) * widths[i % std::size(widths)]);
    points.push_back(1 + (numerics::uniform_f64(key, 4 * i + 3) - 0.5) *
                             std::ldexp(1.0, -static_cast<int>(i % 50)));
  }
  std::erase_if(points, [](double v) { return !std::isfinite(v); });
  return points;
}

TEST_P(ElementaryTest, F64) {
  const std::vector<double> x = points_f64(is_long_run() ? 1'000'000 : 20'000);
  std::vector<double> y(x.size());
  elementary_simd(GetParam().function, x.data(), y.data(), x.size());
  Exact exact;
  Worst worst;
  for (std::size_t i = 0; i < x.size(); ++i)
    worst.take(exact.error(GetParam().function, x[i], y[i], 53, -1022, 1023), x[i]);
  std::printf("%-15s f64  %.4f ulp at %a\n", GetParam().name, worst.error, worst.at);
  EXPECT_TRUE(worst.error <= GetParam().limit_f64) << worst.error << " ulp at " << worst.at;
}

INSTANTIATE_TEST_SUITE_P(All, ElementaryTest, ::testing::ValuesIn(kElementary),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace isobit::testing
