// Element access by run-time dtype, and the comparison by bits.
#include "tests/support/compare.h"

#include <cmath>
#include <cstring>

#include "core/numerics/half.h"

namespace isobit::test {
namespace {

std::uint64_t element_bits(ConstView v, std::int64_t i) {
  std::uint64_t bits = 0;  // little-endian hosts only, like the file formats
  const auto size = static_cast<std::size_t>(size_of(v.dtype));
  std::memcpy(&bits, static_cast<const char*>(v.data) + static_cast<std::size_t>(i) * size, size);
  return bits;
}

}  // namespace

double element_value(ConstView v, std::int64_t i) {
  switch (v.dtype) {
    case DType::f32:
      return v.as<float>()[i];
    case DType::f64:
      return v.as<double>()[i];
    case DType::f16:
      return numerics::widen(v.as<f16>()[i]);
    case DType::bf16:
      return numerics::widen(v.as<bf16>()[i]);
    case DType::i32:
      return v.as<std::int32_t>()[i];
    case DType::i64:
      return static_cast<double>(v.as<std::int64_t>()[i]);
    default:
      return v.as<std::uint8_t>()[i];
  }
}

std::string element_text(ConstView v, std::int64_t i) {
  return fmt::format("{:.17g} (0x{:0{}x})", element_value(v, i), element_bits(v, i), 2 * size_of(v.dtype));
}

bool same_element(ConstView a, ConstView b, std::int64_t i) {
  if (element_bits(a, i) == element_bits(b, i)) return true;
  return is_floating(a.dtype) && std::isnan(element_value(a, i)) && std::isnan(element_value(b, i));
}

testing::AssertionResult equal_bits(ConstView got, ConstView expected) {
  if (got.dtype != expected.dtype || got.numel != expected.numel)
    return testing::AssertionFailure() << fmt::format("got {}[{}], expected {}[{}]", got.dtype, got.numel,
                                                      expected.dtype, expected.numel);
  std::int64_t first = -1, count = 0;
  for (std::int64_t i = 0; i < got.numel; ++i) {
    if (same_element(got, expected, i)) continue;
    if (first < 0) first = i;
    ++count;
  }
  if (count == 0) return testing::AssertionSuccess();
  return testing::AssertionFailure() << fmt::format(
             "{} of {} elements differ, first [{}]: got {}, expected {}", count, got.numel, first,
             element_text(got, first), element_text(expected, first));
}

void expect_equal_bits(ConstView got, ConstView expected, const std::string& what) {
  EXPECT_TRUE(equal_bits(got, expected)) << what;
}

}  // namespace isobit::test
