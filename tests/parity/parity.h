// What the parity tests share: arrays that are fenced, poisoned and not aligned; values that are hard on
// kernels; and the comparison of every algorithm of a kernel, on every instruction set and several numbers of
// threads, with the bits of the algorithm "reference".
#pragma once
#include <gtest/gtest.h>
#include <isobit/device.h>
#include <isobit/error.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "core/backend.h"
#include "core/numerics/casts.h"
#include "core/typed.h"
#include "cpu/runtime/isa.h"

namespace isobit::parity {

inline bool is_long() {
  const char* value = std::getenv("ISOBIT_LONG");
  return value != nullptr && *value == '1';
}

inline constexpr DType kFloating[] = {DType::f32, DType::f64, DType::f16, DType::bf16};
inline constexpr DType kAll[] = {DType::f32, DType::f64, DType::f16, DType::bf16,
                                 DType::i32, DType::i64, DType::u8,  DType::boolean};
inline DType compute_type(DType t) {
  return t == DType::f64 ? DType::f64 : DType::f32;
}

/// Elements between two fences, one element off every alignment; new ones are poisoned (all bits set: a NaN,
/// or -1).
class Array {
 public:
  Array() = default;
  Array(DType dtype, std::int64_t numel)
      : dtype_(dtype), numel_(numel), bytes_(static_cast<std::size_t>(kFence + size() + kFence), kFenceByte) {
    std::memset(data(), 0xff, static_cast<std::size_t>(size()));
  }
  DType dtype() const { return dtype_; }
  std::int64_t numel() const { return numel_; }
  unsigned char* data() { return bytes_.data() + kFence; }
  const unsigned char* data() const { return bytes_.data() + kFence; }
  template <class T>
  T* as() {
    return reinterpret_cast<T*>(data());
  }
  View view() { return {bytes_.empty() ? nullptr : data(), dtype_, numel_}; }
  ConstView view() const { return {bytes_.empty() ? nullptr : data(), dtype_, numel_}; }
  bool fences_stand() const {
    for (std::int64_t i = 0; i < kFence; ++i) {
      const auto at = static_cast<std::size_t>(i);
      if (bytes_[at] != kFenceByte || bytes_[bytes_.size() - 1 - at] != kFenceByte) return false;
    }
    return true;
  }

 private:
  static constexpr std::int64_t kFence = 64 + 8;  // a multiple of every element size, but not of a register's
  static constexpr unsigned char kFenceByte = 0xa5;
  std::int64_t size() const { return numel_ * size_of(dtype_); }
  DType dtype_ = DType::f32;
  std::int64_t numel_ = 0;
  std::vector<unsigned char> bytes_;
};

enum class Values {
  plain,   // many magnitudes, both signs, zeros of both signs, some equal
  hard,    // besides: subnormals, huge ones, infinities, NaN
  finite,  // as plain, but of moderate size: sums stay finite
};

/// Random elements; bool gives 0 and 1, integers any bits (small ones too).
inline Array random_array(DType dtype, std::int64_t numel, Values values = Values::plain,
                          std::uint32_t seed = 1) {
  Array array(dtype, numel);
  std::mt19937_64 engine(seed * 7919u + static_cast<std::uint32_t>(numel));
  with_dtype(dtype, [&](auto type) {
    using T = decltype(type);
    T* to = array.as<T>();
    for (std::int64_t i = 0; i < numel; ++i) {
      const std::uint64_t r = engine();
      if constexpr (std::is_same_v<T, bool>) {
        to[i] = (r & 1) != 0;
      } else if constexpr (std::is_integral_v<T>) {
        to[i] =
            static_cast<T>((r & 0xf00) == 0 ? r >> 16 : r >> 16 & 7) * static_cast<T>((r & 1) != 0 ? 1 : -1);
      } else {
        const int exponent =
            values == Values::finite ? static_cast<int>(r >> 8 & 3) - 2 : static_cast<int>(r >> 8 & 15) - 9;
        double v = std::ldexp(1.0 + static_cast<double>(r >> 40) * 0x1p-24, exponent);
        if ((r >> 16 & 15) == 0) v = 0;
        if ((r >> 16 & 15) == 1) v = 1.5;
        if (values == Values::hard && (r >> 20 & 31) == 0) {
          constexpr double special[] = {HUGE_VAL, NAN,        0x1p-149, 0x1.8p-1074,
                                        0x1p-24,  0x1.fep127, 65504,    0x1p1020};
          v = special[r >> 25 & 7];
        }
        to[i] = numerics::cast<T>((r & 1) != 0 ? v : -v);
      }
    }
  });
  return array;
}

inline Array index_array(std::vector<std::int64_t> values) {
  Array array(DType::i64, static_cast<std::int64_t>(values.size()));
  if (!values.empty()) std::memcpy(array.data(), values.data(), values.size() * 8);
  return array;
}

/// Equal bits, any NaN being equal to any NaN; names the first element that differs.
inline testing::AssertionResult same_bits(const Array& expected, const Array& got) {
  if (!got.fences_stand()) return testing::AssertionFailure() << "wrote outside its output";
  testing::AssertionResult result = testing::AssertionSuccess();
  with_dtype(expected.dtype(), [&](auto type) {
    using T = decltype(type);
    const auto* a = expected.view().template as<T>();
    const auto* b = got.view().template as<T>();
    for (std::int64_t i = 0; i < expected.numel(); ++i) {
      if (std::memcmp(a + i, b + i, sizeof(T)) == 0) continue;
      if constexpr (!std::is_integral_v<T>) {
        const auto x = numerics::widen(a[i]), y = numerics::widen(b[i]);
        if (x != x && y != y) continue;
        result = testing::AssertionFailure() << fmt::format("element {} of {}: {:a}, expected {:a}", i,
                                                            expected.numel(), double{y}, double{x});
      } else {
        result = testing::AssertionFailure()
                 << "element " << i << " of " << expected.numel() << ": " << static_cast<long long>(b[i])
                 << ", expected " << static_cast<long long>(a[i]);
      }
      return;
    }
  });
  return result;
}

/// Gives back the instruction set, the number of threads and the choice of algorithm.
class Settings {
 public:
  explicit Settings(std::string kernel)
      : kernel_(std::move(kernel)), isa_(cpu::current_isa()), threads_(threads()) {}
  ~Settings() {
    backend(Device::cpu()).force_algorithm(kernel_, "");
    cpu::set_isa(isa_);
    set_threads(threads_);
  }
  Settings(const Settings&) = delete;
  Settings& operator=(const Settings&) = delete;

 private:
  std::string kernel_;
  cpu::Isa isa_;
  int threads_;
};

using Outputs = std::vector<Array>;

/// run(backend, outputs) by every algorithm of the kernel against "reference". `outputs` are copied before
/// each run (states of an optimizer come with their values, results come poisoned). Returns how many runs
/// were compared.
inline int expect_parity(const std::string& kernel, const Outputs& outputs,
                         const std::function<void(Backend&, Outputs&)>& run) {
  Backend& cpu = backend(Device::cpu());
  const Settings settings(kernel);
  Outputs expected = outputs;
  cpu.force_algorithm(kernel, "reference");
  run(cpu, expected);
  int compared = 0;
  const auto compare = [&](const std::string& algorithm, cpu::Isa isa, int threads) {
    cpu::set_isa(isa);
    set_threads(threads);
    Outputs got = outputs;
    try {
      run(cpu, got);
    } catch (const Error&) {
      return false;  // it refuses this problem
    }
    for (std::size_t i = 0; i < got.size(); ++i)
      EXPECT_TRUE(same_bits(expected[i], got[i]))
          << kernel << " by " << algorithm << ", " << cpu::isa_name(isa) << ", " << threads
          << " threads, output " << i;
    ++compared;
    return true;
  };
  for (const std::string& algorithm : cpu.algorithms(kernel)) {
    if (algorithm == "reference") continue;
    cpu.force_algorithm(kernel, algorithm);
    bool accepts = true;
    for (const cpu::Isa isa : cpu::available_isas()) accepts = accepts && compare(algorithm, isa, 1);
    for (const int threads : {2, 3, 7}) accepts = accepts && compare(algorithm, cpu::best_isa(), threads);
  }
  EXPECT_GT(compared, 0) << kernel << ": nothing but the reference accepts the problem";
  return compared;
}

}  // namespace isobit::parity
