// Elements in host memory: what a kernel reads, what it must give, what came back.
#pragma once
#include <isobit/dtype.h>
#include <isobit/random.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/backend.h"

namespace isobit::verify {

class HostArray {
 public:
  HostArray() = default;
  /// Poisoned: all bits set, which is a NaN or -1.
  HostArray(DType dtype, std::int64_t numel);
  explicit HostArray(const std::vector<std::int64_t>& values);

  DType dtype() const { return dtype_; }
  std::int64_t numel() const { return numel_; }
  std::int64_t bytes() const { return numel_ * size_of(dtype_); }
  unsigned char* data() { return memory_.data(); }
  const unsigned char* data() const { return memory_.data(); }
  template <class T>
  T* as() {
    return reinterpret_cast<T*>(memory_.data());
  }
  View view() { return {memory_.data(), dtype_, numel_}; }
  ConstView view() const { return {memory_.data(), dtype_, numel_}; }

 private:
  DType dtype_ = DType::f32;
  std::int64_t numel_ = 0;
  std::vector<unsigned char> memory_;
};

/// What random elements are like. Integers are small ones mostly, and some of any bits; bool is 0 and 1.
enum class Values {
  plain,   ///< many magnitudes, both signs, zeros of both signs, subnormals, some equal
  hard,    ///< besides: infinities, NaN, the largest and the smallest; integers' lowest and largest
  finite,  ///< of moderate size: sums and squares stay finite
  tiny,    ///< magnitudes over nearly all exponents, so that products underflow and overflow
};
const char* name_of(Values values);

/// Element i is a pure function of (key, values, dtype, i).
HostArray random_array(DType dtype, std::int64_t numel, Values values, RandomKey key);
/// The absolute value of every element; floating.
void make_positive(HostArray& array);
/// Every element becomes `magnitude`, with the sign that it has; floating.
void set_magnitude(HostArray& array, double magnitude);

struct Mismatch {
  std::int64_t first = 0, count = 0;
};
/// Equal means the same bits, but any NaN equals any NaN. Both have the same type and size.
std::optional<Mismatch> compare(ConstView got, ConstView expected);
bool same_element(ConstView a, ConstView b, std::int64_t i);
/// "1.5 (0x3fc00000)": decimal, then the bits.
std::string element_text(ConstView v, std::int64_t i);
double element_value(ConstView v, std::int64_t i);

}  // namespace isobit::verify
