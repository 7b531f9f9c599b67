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
  FencedBuffer(DType dtype, std::int64_t numel, std::int64_t skip = 0);
  FencedBuffer(FencedBuffer&&) = default;  // the memory stays where it is
  FencedBuffer(const FencedBuffer&) = delete;
  FencedBuffer& operator=(const FencedBuffer&) = delete;

  /// All bits set again: NaN for floating types.
  void poison();
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
  std::size_t bytes_ = 0, begin_ = 0;
  std::vector<std::byte> memory_;
};

}  // namespace isobit::test
