// The generators of test data.
#include "tests/support/values.h"

#include <cmath>
#include <limits>

#include "core/numerics/casts.h"

namespace isobit::test {
namespace {

void put(View out, std::int64_t i, double v) {
  switch (out.dtype) {
    case DType::f32:
      out.as<float>()[i] = static_cast<float>(v);
      return;
    case DType::f64:
      out.as<double>()[i] = v;
      return;
    case DType::f16:
      out.as<f16>()[i] = numerics::cast<f16>(v);
      return;
    case DType::bf16:
      out.as<bf16>()[i] = numerics::cast<bf16>(v);
      return;
    case DType::i32:
      out.as<std::int32_t>()[i] = numerics::cast<std::int32_t>(v);
      return;
    case DType::i64:
      out.as<std::int64_t>()[i] = numerics::cast<std::int64_t>(v);
      return;
    case DType::u8:
      out.as<std::uint8_t>()[i] = static_cast<std::uint8_t>(static_cast<std::int64_t>(v));
      return;
    case DType::boolean:
      out.as<std::uint8_t>()[i] = v != 0 ? 1 : 0;
      return;
  }
}

double smallest_normal(DType t) {
  switch (t) {
    case DType::f64:
      return std::numeric_limits<double>::min();
    case DType::f16:
      return 0x1p-14;
    default:
      return std::numeric_limits<float>::min();
  }
}

}  // namespace

void fill_integers(View out, std::uint64_t seed, std::int64_t low, std::int64_t high) {
  Random random(seed);
  const auto span = static_cast<std::uint64_t>(high - low + 1);
  for (std::int64_t i = 0; i < out.numel; ++i)
    put(out, i, static_cast<double>(low + static_cast<std::int64_t>(random.below(span))));
}

void fill_hard(View out, std::uint64_t seed, HardFloats options) {
  Random random(seed);
  for (std::int64_t i = 0; i < out.numel; ++i) {
    const std::uint64_t kind = random.below(64);
    const std::uint64_t bits = random.next();
    if (!is_floating(out.dtype)) {
      if (out.dtype == DType::i64)
        out.as<std::int64_t>()[i] = static_cast<std::int64_t>(bits);
      else if (out.dtype == DType::i32)
        out.as<std::int32_t>()[i] = static_cast<std::int32_t>(bits);
      else
        out.as<std::uint8_t>()[i] = static_cast<std::uint8_t>(out.dtype == DType::boolean ? bits & 1 : bits);
      continue;
    }
    const int exponent =
        static_cast<int>(random.below(static_cast<std::uint64_t>(2 * options.exponents))) - options.exponents;
    const double sign = (bits & 1) != 0 ? -1 : 1;
    double v = sign * std::ldexp(1 + static_cast<double>(bits >> 12) * 0x1p-52, exponent);
    if (kind < 4 && options.zeros) v = sign * 0.0;
    if ((kind == 4 || kind == 5) && options.subnormals)
      v = sign * random.uniform() * smallest_normal(out.dtype);
    if (kind == 6 && options.infinities) v = sign * std::numeric_limits<double>::infinity();
    if (kind == 7 && options.nans) v = std::numeric_limits<double>::quiet_NaN();
    put(out, i, v);
  }
}

void fill_uniform(View out, std::uint64_t seed, double low, double high) {
  Random random(seed);
  for (std::int64_t i = 0; i < out.numel; ++i) put(out, i, low + (high - low) * random.uniform());
}

}  // namespace isobit::test
