// Memory for kernel tests: outputs start as NaN (all bits set), lie between fences, and may start off any
// alignment; what a kernel writes outside its output is seen.
#pragma once
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "core/backend.h"

namespace isobit::test {

class FencedBuffer {
 public:
  /// `numel` elements, the first of them `skip` elements behind a 64-byte border.
  FencedBuffer(DType dtype, std::int64_t numel, std::int64_t skip = 0)
      : dtype_(dtype), numel_(numel), bytes_(static_cast<std::size_t>(numel * size_of(dtype))) {
    const std::size_t before = kFence + static_cast<std::size_t>(skip * size_of(dtype));
    memory_.resize(before + bytes_ + kFence + 64);
    const std::size_t misaligned = reinterpret_cast<std::uintptr_t>(memory_.data()) % 64;
    begin_ = (misaligned == 0 ? 0 : 64 - misaligned) + before;
    std::memset(memory_.data(), kPattern, memory_.size());
    poison();
  }

  /// All bits set again: NaN for floating types.
  void poison() { std::memset(raw(), 0xff, bytes_); }
  View view() { return {raw(), dtype_, numel_}; }
  ConstView view() const { return {memory_.data() + begin_, dtype_, numel_}; }
  ConstView read() const { return view(); }
  template <class T>
  T* as() {
    return reinterpret_cast<T*>(memory_.data() + begin_);
  }
  template <class T>
  const T* as() const {
    return reinterpret_cast<const T*>(memory_.data() + begin_);
  }
  DType dtype() const { return dtype_; }
  std::int64_t numel() const { return numel_; }

  /// EXPECT_TRUE(buffer.fences_hold()): nothing was written outside.
  testing::AssertionResult fences_hold() const {
    for (std::size_t i = 0; i < memory_.size(); ++i) {
      if (i >= begin_ && i < begin_ + bytes_) continue;
      if (memory_[i] != static_cast<std::byte>(kPattern))
        return testing::AssertionFailure() << "byte " << static_cast<std::int64_t>(i - begin_)
                                           << " of a buffer of " << bytes_ << " bytes was written";
    }
    return testing::AssertionSuccess();
  }

 private:
  static constexpr std::size_t kFence = 256;
  static constexpr int kPattern = 0xa5;
  void* raw() { return memory_.data() + begin_; }

  DType dtype_;
  std::int64_t numel_;
  std::size_t bytes_, begin_ = 0;
  std::vector<std::byte> memory_;
};

}  // namespace isobit::test
