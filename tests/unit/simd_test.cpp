// The wrappers of cpu/kernels/simd-inl.h and the elementary functions on registers, against scalar bits, with
// every instruction set that this machine has.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/unit/simd_test.cpp"
#include "hwy/foreach_target.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "core/numerics/casts.h"
#include "core/numerics/philox.h"
#include "core/numerics/random_values.h"
#include "cpu/kernels/simd-inl.h"
#include "cpu/runtime/isa.h"
#include "isobit/error.h"
#include "tests/support/elementary.h"
#include "tests/support/simd_wrapped.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::testing::HWY_NAMESPACE {

namespace simd = isobit::cpu::HWY_NAMESPACE;

template <typename T>
void wrap(const T* a, const T* b, const T* c, std::size_t n, Wrapped<T>& out) {
  using V = simd::Vec<T>;
  for (std::size_t i = 0; i < n; i += V::size) {
    const std::size_t k = std::min(V::size, n - i);
    const V x = simd::load_n<T>(a + i, k), y = simd::load_n<T>(b + i, k), z = simd::load_n<T>(c + i, k);
    simd::store_n(simd::fma(x, y, z), &out.fma[i], k);
    simd::store_n(simd::fnma(x, y, z), &out.fnma[i], k);
    simd::store_n(simd::max(x, y), &out.max[i], k);
    simd::store_n(simd::min(x, y), &out.min[i], k);
    simd::store_n(simd::sqrt(x), &out.root[i], k);
    simd::store_n(simd::abs(x), &out.absolute[i], k);
    simd::store_n(simd::select(x != y, V(1), V(0)), &out.unequal[i], k);
    simd::store_n(simd::select((x < y) & !(x == z), V(1), V(0)), &out.below[i], k);
    simd::store_n(simd::select((x <= y) | (x > z), y, z), &out.chosen[i], k);
    simd::store_n(
        simd::from_bits(simd::shift_right<3>(simd::to_bits(x)) ^ simd::shift_left<5>(simd::to_bits(y))),
        &out.bits[i], k);
    simd::store_n(-x, &out.negated[i], k);
    simd::store_n(x / y, &out.quotient[i], k);
    for (std::size_t j = 0; j < k; ++j) out.scalar_fma[i + j] = simd::fma(a[i + j], b[i + j], c[i + j]);
  }
}

void wrap_f32(const float* a, const float* b, const float* c, std::size_t n, Wrapped<float>& out) {
  wrap(a, b, c, n, out);
}
void wrap_f64(const double* a, const double* b, const double* c, std::size_t n, Wrapped<double>& out) {
  wrap(a, b, c, n, out);
}

// wide[i] = in[i] widened, stored[i] = value[i] narrowed; full registers, then a part of one.
template <typename T, typename Storage>
void convert(const Storage* in, const T* value, T* wide, Storage* stored, std::size_t n) {
  constexpr std::size_t size = simd::Vec<T>::size;
  std::size_t i = 0;
  for (; i + size <= n; i += size) {
    simd::store(simd::load<T>(in + i), wide + i);
    simd::store(simd::load<T>(value + i), stored + i);
  }
  simd::store_n(simd::load_n<T>(in + i, n - i), wide + i, n - i);
  simd::store_n(simd::load_n<T>(value + i, n - i), stored + i, n - i);
}

void convert_f16(const f16* in, const float* value, float* wide, f16* stored, std::size_t n) {
  convert(in, value, wide, stored, n);
}
void convert_bf16(const bf16* in, const float* value, float* wide, bf16* stored, std::size_t n) {
  convert(in, value, wide, stored, n);
}
void convert_f32(const float* in, const double* value, double* wide, float* stored, std::size_t n) {
  convert(in, value, wide, stored, n);
}
void convert_f64_f16(const f16* in, const double* value, double* wide, f16* stored, std::size_t n) {
  convert(in, value, wide, stored, n);
}

// The first n elements of every register size, at the very end of what may be touched.
template <typename T, typename Storage>
void copy_at_the_end(const Storage* source_end, Storage* target_end) {
  for (std::size_t n = 0; n <= simd::Vec<T>::size; ++n)
    simd::store_n(simd::load_n<T>(source_end - n, n), target_end - n, n);
}

void copy_all(const void* source_end, void* target_end) {
  copy_at_the_end<float>(static_cast<const float*>(source_end), static_cast<float*>(target_end));
  copy_at_the_end<double>(static_cast<const double*>(source_end), static_cast<double*>(target_end));
  copy_at_the_end<float>(static_cast<const f16*>(source_end), static_cast<f16*>(target_end));
  copy_at_the_end<float>(static_cast<const bf16*>(source_end), static_cast<bf16*>(target_end));
  copy_at_the_end<double>(static_cast<const float*>(source_end), static_cast<float*>(target_end));
}

int lanes_of_float(int) {
  return static_cast<int>(simd::Vec<float>::size);
}

}  // namespace isobit::testing::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::testing {

HWY_EXPORT(wrap_f32);
HWY_EXPORT(wrap_f64);
HWY_EXPORT(convert_f16);
HWY_EXPORT(convert_bf16);
HWY_EXPORT(convert_f32);
HWY_EXPORT(convert_f64_f16);
HWY_EXPORT(copy_all);
HWY_EXPORT(lanes_of_float);

namespace {

template <typename T>
using BitsOf = std::conditional_t<sizeof(T) == 2, std::uint16_t,
                                  std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>>;

// Equal bits; any NaN equals any NaN.
template <typename T>
bool same(T a, T b) {
  const auto wide_a = numerics::widen(a), wide_b = numerics::widen(b);
  return (std::isnan(wide_a) && std::isnan(wide_b)) ||
         std::bit_cast<BitsOf<T>>(a) == std::bit_cast<BitsOf<T>>(b);
}

class SimdTest : public ::testing::TestWithParam<cpu::Isa> {
 protected:
  void SetUp() override {
    before_ = cpu::current_isa();
    cpu::set_isa(GetParam());
  }
  void TearDown() override { cpu::set_isa(before_); }

 private:
  cpu::Isa before_ = cpu::Isa::scalar;
};

TEST_P(SimdTest, DispatchFollowsTheChoice) {
  const int lanes[] = {1, 8, 16};
  EXPECT_EQ(HWY_DYNAMIC_DISPATCH(lanes_of_float)(0), lanes[static_cast<int>(GetParam())]);
  EXPECT_EQ(cpu::current_isa(), GetParam());
}

// Random bits, special values, equal and nearly equal operands.
template <typename T>
std::vector<T> operands(std::size_t n, std::uint64_t stream) {
  const T special[] = {T(0),
                       -T(0),
                       T(1),
                       T(-1),
                       std::numeric_limits<T>::infinity(),
                       -std::numeric_limits<T>::infinity(),
                       std::numeric_limits<T>::quiet_NaN(),
                       std::numeric_limits<T>::denorm_min(),
                       std::numeric_limits<T>::max()};
  std::vector<T> values(n);
  for (std::size_t i = 0; i < n; ++i) {
    const numerics::PhiloxBlock block = numerics::random_block({17, stream}, i);
    const std::uint64_t word = std::uint64_t{block.word[1]} << 32 | block.word[0];
    if (block.word[2] % 4 == 0)
      values[i] = special[block.word[3] % std::size(special)];
    else if (block.word[2] % 4 == 1)
      values[i] = static_cast<T>(static_cast<int>(block.word[3] % 7) - 3);
    else
      values[i] = std::bit_cast<T>(static_cast<BitsOf<T>>(word));
  }
  return values;
}

template <typename T>
void check_wrappers(void (*run)(const T*, const T*, const T*, std::size_t, Wrapped<T>&)) {
  constexpr std::size_t n = 20'003;
  const std::vector<T> a = operands<T>(n, 1), b = operands<T>(n, 2), c = operands<T>(n, 3);
  Wrapped<T> got(n);
  run(a.data(), b.data(), c.data(), n, got);
  for (std::size_t i = 0; i < n; ++i) {
    const T x = a[i], y = b[i], z = c[i];
    SCOPED_TRACE(::testing::Message() << "i " << i << ", operands " << x << ' ' << y << ' ' << z);
    ASSERT_TRUE(same(got.fma[i], std::fma(x, y, z)));
    ASSERT_TRUE(same(got.fnma[i], std::fma(-x, y, z)));
    ASSERT_TRUE(same(got.scalar_fma[i], std::fma(x, y, z)));
    ASSERT_TRUE(same(got.max[i], std::isnan(x) || std::isnan(y) ? std::numeric_limits<T>::quiet_NaN()
                                 : y > x                        ? y
                                                                : x));
    ASSERT_TRUE(same(got.min[i], std::isnan(x) || std::isnan(y) ? std::numeric_limits<T>::quiet_NaN()
                                 : y < x                        ? y
                                                                : x));
    ASSERT_TRUE(same(got.root[i], numerics::sqrt(x)));
    ASSERT_TRUE(same(got.absolute[i], std::fabs(x)));
    ASSERT_EQ(got.unequal[i], x != y ? 1 : 0);
    ASSERT_EQ(got.below[i], x < y && !(x == z) ? 1 : 0);
    ASSERT_TRUE(same(got.chosen[i], x <= y || x > z ? y : z));
    using B = BitsOf<T>;
    const B mixed = static_cast<B>((std::bit_cast<B>(x) >> 3) ^ static_cast<B>(std::bit_cast<B>(y) << 5));
    ASSERT_TRUE(same(got.bits[i], std::bit_cast<T>(mixed)));
    ASSERT_TRUE(same(got.negated[i], -x));
    ASSERT_TRUE(same(got.quotient[i], x / y));
  }
}

TEST_P(SimdTest, F32) {
  check_wrappers<float>(HWY_DYNAMIC_DISPATCH(wrap_f32));
}
TEST_P(SimdTest, F64) {
  check_wrappers<double>(HWY_DYNAMIC_DISPATCH(wrap_f64));
}

// Every pattern of a 16-bit type is loaded; stored are random values, ties and their neighbours.
template <typename T, typename Storage>
void check_conversion(void (*run)(const Storage*, const T*, T*, Storage*, std::size_t)) {
  constexpr std::size_t n = 65'536 * 3 + 5;
  std::vector<Storage> in(n), stored(n);
  std::vector<T> value = operands<T>(n, 4), wide(n);
  for (std::size_t i = 0; i < n; ++i) {
    if constexpr (sizeof(Storage) == 2) {
      in[i] = Storage{static_cast<std::uint16_t>(i)};
    } else {
      in[i] = operands<Storage>(1, i)[0];
    }
    if (i % 3 != 0) {
      const T below = numerics::cast<T>(in[i]);
      Storage next = in[i];
      if constexpr (sizeof(Storage) == 2)
        ++next.bits;
      else
        next = std::nextafter(next, std::numeric_limits<float>::max());
      value[i] =
          static_cast<T>((static_cast<double>(below) + static_cast<double>(numerics::cast<T>(next))) / 2);
      if (i % 3 == 2) value[i] = std::nextafter(value[i], i % 2 == 0 ? T(0) : std::numeric_limits<T>::max());
    }
  }
  run(in.data(), value.data(), wide.data(), stored.data(), n);
  for (std::size_t i = 0; i < n; ++i) {
    ASSERT_TRUE(same(wide[i], numerics::cast<T>(in[i]))) << i;
    ASSERT_TRUE(same(stored[i], numerics::cast<Storage>(value[i]))) << i << ": " << value[i];
  }
}

TEST_P(SimdTest, StoresF16) {
  check_conversion<float, f16>(HWY_DYNAMIC_DISPATCH(convert_f16));
}
TEST_P(SimdTest, StoresBf16) {
  check_conversion<float, bf16>(HWY_DYNAMIC_DISPATCH(convert_bf16));
}
TEST_P(SimdTest, StoresF32FromF64) {
  check_conversion<double, float>(HWY_DYNAMIC_DISPATCH(convert_f32));
}
TEST_P(SimdTest, StoresF16FromF64) {
  check_conversion<double, f16>(HWY_DYNAMIC_DISPATCH(convert_f64_f16));
}

TEST_P(SimdTest, PartsTouchNothingBeyond) {
  const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  auto* memory =
      static_cast<char*>(mmap(nullptr, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(static_cast<void*>(memory), MAP_FAILED);
  for (std::size_t i = 0; i < 4 * page; ++i) memory[i] = static_cast<char>(i % 64);
  ASSERT_EQ(mprotect(memory + page, page, PROT_NONE), 0);
  ASSERT_EQ(mprotect(memory + 3 * page, page, PROT_NONE), 0);
  HWY_DYNAMIC_DISPATCH(copy_all)(memory + page, memory + 3 * page);
  const std::size_t most = 16 * sizeof(double);
  EXPECT_EQ(std::memcmp(memory + page - most, memory + 3 * page - most, most), 0);
  for (std::size_t i = 2 * page; i < 3 * page; ++i)
    ASSERT_EQ(memory[i], static_cast<char>(i % 64)) << "written before the part";
  munmap(memory, 4 * page);
}

template <typename T>
void check_elementary() {
  std::vector<T> x = operands<T>(30'000, 9), y(x.size());
  for (std::size_t i = 0; i < x.size(); i += 2)
    x[i] = static_cast<T>(20 * numerics::uniform_f64({1, 1}, i) - 10);
  for (const ElementaryInfo& info : kElementary) {
    elementary_simd(info.function, x.data(), y.data(), x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_TRUE(same(y[i], elementary_scalar(info.function, x[i]))) << info.name << " at " << x[i];
    }
  }
}

TEST_P(SimdTest, ElementaryF32HasTheScalarBits) {
  check_elementary<float>();
}
TEST_P(SimdTest, ElementaryF64HasTheScalarBits) {
  check_elementary<double>();
}

INSTANTIATE_TEST_SUITE_P(All, SimdTest, ::testing::ValuesIn(cpu::available_isas()),
                         [](const auto& info) { return std::string(cpu::isa_name(info.param)); });

TEST(Isa, NamesComeBack) {
  for (const char* name : {"scalar", "avx2", "avx512"})
    EXPECT_EQ(cpu::isa_name(*cpu::isa_from_name(name)), name);
  EXPECT_FALSE(cpu::isa_from_name("AVX2"));
  EXPECT_EQ(cpu::available_isas().back(), cpu::best_isa());
}

TEST(Isa, EnvironmentIsReadOnceAndChecked) {
  // Each in a process of its own, run afresh: the choice is made once.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        setenv("ISOBIT_ISA", cpu::isa_name(cpu::available_isas().front()).data(), 1);
        std::_Exit(cpu::current_isa() == cpu::available_isas().front() ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(
      {
        setenv("ISOBIT_ISA", "sse9", 1);
        try {
          cpu::current_isa();
        } catch (const Error& e) {
          std::fputs(e.what(), stderr);
          std::_Exit(3);
        }
        std::_Exit(0);
      },
      ::testing::ExitedWithCode(3), "'sse9' is unknown; expected scalar, avx2 or avx512");
}

}  // namespace
}  // namespace isobit::testing
#endif
