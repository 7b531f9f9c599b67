// Random elements from Philox, and comparison by bits.
#include "core/verify/array.h"

#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/numerics/bits.h"
#include "core/numerics/casts.h"
#include "core/numerics/philox.h"
#include "core/typed.h"

namespace isobit::verify {
namespace {

std::uint64_t element_bits(ConstView v, std::int64_t i) {
  std::uint64_t bits = 0;  // little-endian hosts only, like the file formats
  const auto size = static_cast<std::size_t>(size_of(v.dtype));
  std::memcpy(&bits, v.as<char>() + static_cast<std::size_t>(i) * size, size);
  return bits;
}

/// (1 + fraction) * 2^exponent, exponent within the normal range.
double from_parts(std::uint64_t fraction, int exponent) {
  return numerics::bit_cast<double>(static_cast<std::uint64_t>(1023 + exponent) << 52 | fraction >> 12);
}

double smallest_normal(DType t) {
  return t == DType::f64 ? 0x1p-1022 : t == DType::f16 ? 0x1p-14 : 0x1p-126;
}

/// Exponents of the elements lie in [-range, range).
int exponent_range(DType t, Values values) {
  if (values == Values::finite) return 2;
  if (values == Values::tiny) return t == DType::f16 ? 12 : 90;
  return t == DType::f16 || t == DType::bf16 ? 4 : 12;
}

double floating_element(DType dtype, Values values, const numerics::PhiloxBlock& r) {
  const std::uint64_t fraction = std::uint64_t{r.word[1]} << 32 | r.word[0];
  const std::uint32_t kind = r.word[2] & 63, more = r.word[2] >> 8;
  const int range = exponent_range(dtype, values);
  double v = from_parts(fraction, static_cast<int>(r.word[3] % static_cast<unsigned>(2 * range)) - range);
  if (kind < 4) v = 0;
  if (kind >= 4 && kind < 8) v = 1.5;
  if (kind >= 8 && kind < 10 && values != Values::finite)
    v = numerics::uniform_from_word(r.word[3]) * smallest_normal(dtype);
  if (kind >= 10 && kind < 12 && values == Values::hard) {
    constexpr std::array<double, 8> special = {std::numeric_limits<double>::infinity(),
                                               std::numeric_limits<double>::quiet_NaN(),
                                               0x1p-149,
                                               0x1.8p-1074,
                                               0x1p-24,
                                               0x1.fep127,
                                               65504,
                                               0x1p1020};
    v = special[more % special.size()];
  }
  return (r.word[2] & 0x40) != 0 ? -v : v;
}

template <class T>
T integer_element(Values values, const numerics::PhiloxBlock& r) {
  const std::uint64_t any = std::uint64_t{r.word[1]} << 32 | r.word[0];
  if (values == Values::hard && r.word[2] % 32 == 0)
    return r.word[3] % 2 == 0 ? std::numeric_limits<T>::lowest() : std::numeric_limits<T>::max();
  if (r.word[2] % 16 == 1) return static_cast<T>(any);
  const auto small = static_cast<T>(r.word[3] % 8);
  return (r.word[0] & 1) != 0 ? small : static_cast<T>(T{0} - small);
}

}  // namespace

HostArray::HostArray(DType dtype, std::int64_t numel)
    : dtype_(dtype), numel_(numel), memory_(static_cast<std::size_t>(numel * size_of(dtype)), 0xff) {}

HostArray::HostArray(const std::vector<std::int64_t>& values)
    : HostArray(DType::i64, static_cast<std::int64_t>(values.size())) {
  if (!values.empty()) std::memcpy(data(), values.data(), memory_.size());
}

const char* name_of(Values values) {
  constexpr const char* names[] = {"plain", "hard", "finite", "tiny"};
  return names[static_cast<int>(values)];
}

HostArray random_array(DType dtype, std::int64_t numel, Values values, RandomKey key) {
  HostArray array(dtype, numel);
  with_dtype(dtype, [&](auto type) {
    using T = decltype(type);
    T* to = array.as<T>();
    for (std::int64_t i = 0; i < numel; ++i) {
      const numerics::PhiloxBlock r = numerics::random_block(key, static_cast<std::uint64_t>(i));
      if constexpr (std::is_same_v<T, bool>)
        to[i] = (r.word[0] & 1) != 0;
      else if constexpr (std::is_integral_v<T>)
        to[i] = integer_element<T>(values, r);
      else
        to[i] = numerics::cast<T>(floating_element(dtype, values, r));
    }
  });
  return array;
}

void make_positive(HostArray& array) {
  const auto size = static_cast<std::size_t>(size_of(array.dtype()));
  for (std::size_t i = 1; i <= static_cast<std::size_t>(array.numel()); ++i)
    array.data()[i * size - 1] &= 0x7f;  // the sign is the highest bit of the last byte
}

void set_magnitude(HostArray& array, double magnitude) {
  with_dtype(array.dtype(), [&](auto type) {
    using T = decltype(type);
    if constexpr (!std::is_integral_v<T>)
      for (std::int64_t i = 0; i < array.numel(); ++i)
        array.as<T>()[i] = numerics::cast<T>(std::copysign(magnitude, element_value(array.view(), i)));
  });
}

double element_value(ConstView v, std::int64_t i) {
  double value = 0;
  with_dtype(v.dtype, [&](auto type) {
    using T = decltype(type);
    if constexpr (std::is_same_v<T, bool>)
      value = v.as<unsigned char>()[i];
    else if constexpr (numerics::is_half<T>)
      value = numerics::widen(v.as<T>()[i]);
    else
      value = static_cast<double>(v.as<T>()[i]);
  });
  return value;
}

std::string element_text(ConstView v, std::int64_t i) {
  const std::uint64_t bits = element_bits(v, i);
  const std::string decimal = v.dtype == DType::i64 ? fmt::format("{}", v.as<std::int64_t>()[i])
                                                    : fmt::format("{:.17g}", element_value(v, i));
  return fmt::format("{} (0x{:0{}x})", decimal, bits, 2 * size_of(v.dtype));
}

bool same_element(ConstView a, ConstView b, std::int64_t i) {
  if (element_bits(a, i) == element_bits(b, i)) return true;
  if (!is_floating(a.dtype)) return false;
  const double x = element_value(a, i), y = element_value(b, i);
  return x != x && y != y;
}

std::optional<Mismatch> compare(ConstView got, ConstView expected) {
  const auto bytes = static_cast<std::size_t>(got.numel * size_of(got.dtype));
  if (bytes == 0 || std::memcmp(got.data, expected.data, bytes) == 0) return std::nullopt;
  Mismatch found;
  for (std::int64_t i = 0; i < got.numel; ++i) {
    if (same_element(got, expected, i)) continue;
    if (found.count++ == 0) found.first = i;
  }
  if (found.count == 0) return std::nullopt;
  return found;
}

}  // namespace isobit::verify
