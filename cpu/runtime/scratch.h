// Scratch<T>: working memory of one call on one thread, taken from a stack that the thread keeps, so that a
// kernel that needs a panel or a row of accumulators asks the system for memory only the first time.
//
//   Scratch<float> panel(rows * columns);   // 64-byte aligned, uninitialised
//
// Objects of one thread are destroyed in the reverse order of their making (they are locals), and never on
// another thread. Up to 64 MiB a thread are kept when the last is gone. Under AddressSanitizer what lies
// between and behind the objects is poisoned.
#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>

namespace isobit::cpu {

namespace detail {

struct ScratchMark {
  std::size_t chunk = 0, used = 0;
};
/// `bytes` from this thread's stack; `mark` receives what gives them back. Throws OutOfMemory.
void* take_scratch(std::size_t bytes, ScratchMark* mark);
void give_scratch_back(const ScratchMark& mark) noexcept;
/// Bytes this thread's stack holds from the system; for tests.
std::size_t scratch_held() noexcept;
/// Gives back what this thread's stack keeps, unless something of it is in use.
void release_scratch() noexcept;
/// Bytes that the stacks of all threads hold, and the most they ever held (since reset_scratch_peak).
struct ScratchStats {
  std::int64_t held = 0, peak = 0;
};
ScratchStats scratch_stats() noexcept;
void reset_scratch_peak() noexcept;
[[noreturn]] void fail_scratch(std::int64_t count, std::size_t size);

}  // namespace detail

template <class T>
class Scratch {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  explicit Scratch(std::int64_t count) : size_(count) {
    if (count < 0 ||
        count > std::numeric_limits<std::int64_t>::max() / 2 / static_cast<std::int64_t>(sizeof(T)))
      detail::fail_scratch(count, sizeof(T));
    data_ = static_cast<T*>(detail::take_scratch(static_cast<std::size_t>(count) * sizeof(T), &mark_));
  }
  ~Scratch() { detail::give_scratch_back(mark_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  T* data() const { return data_; }
  std::int64_t size() const { return size_; }
  T& operator[](std::int64_t i) const { return data_[i]; }
  T* begin() const { return data_; }
  T* end() const { return data_ + size_; }
  std::span<T> span() const { return {data_, static_cast<std::size_t>(size_)}; }

 private:
  T* data_ = nullptr;
  std::int64_t size_ = 0;
  detail::ScratchMark mark_;
};

}  // namespace isobit::cpu
