// Asking for memory before it is read. Processors read ahead by themselves, but only within a page, and not
// while a loop's arithmetic keeps them from running on to the next loads: measured on a Zen 4 core, a 3x3
// average then pays for its sums and for memory one after the other. Lines are asked into the second-level
// cache: asking the first level takes the few places that its own misses need, and gained nothing.
#if defined(ISOBIT_CPU_KERNELS_AHEAD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_AHEAD_INL_H_
#undef ISOBIT_CPU_KERNELS_AHEAD_INL_H_
#else
#define ISOBIT_CPU_KERNELS_AHEAD_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

/// How far ahead memory is asked for: some of the second-level cache.
inline constexpr std::int64_t kAheadBytes = 65536;

/// Asks for what lies kAheadBytes behind x[at ... at + n), of an array of `size` elements.
template <class S>
HWY_INLINE void ask_ahead(const S* x, std::int64_t size, std::int64_t at, std::int64_t n) {
  constexpr std::int64_t kLine = 64 / sizeof(S);
  at += kAheadBytes / static_cast<std::int64_t>(sizeof(S));
  for (const std::int64_t end = std::min(at + n, size); at < end; at += kLine)
    __builtin_prefetch(x + at, 0, 2);
}

/// How far ahead memory is asked for into the first level, which holds 32 KB at least.
inline constexpr std::int64_t kSoonBytes = 16384;

/// Asks for what lies kSoonBytes behind `at`, of an array that ends with *last, where it is only read, once
/// and in order. A core that writes nothing waits for each line that is not asked for: of 64 MB a Zen 5 core
/// reads 32 GB/s unasked, 35 when a page ahead is asked for, 40 from three pages on, in either level.
template <class S>
HWY_INLINE void ask_soon(const S* at, const S* last) {
  constexpr std::ptrdiff_t kSoon = kSoonBytes / sizeof(S);
  __builtin_prefetch(at + std::min(kSoon, last - at), 0, 3);
}

/// Asks for a row of a matrix while one some rows before it is worked at.
template <class S>
class RowAhead {
 public:
  RowAhead(const S* x, std::int64_t rows, std::int64_t columns, std::int64_t row)
      : at_(x + std::min(row + std::max<std::int64_t>(kAhead / columns, 1), rows - 1) * columns) {}
  /// What lies there beside the elements [i, i + lanes) of the row.
  HWY_INLINE void ask(std::int64_t i, std::int64_t lanes) const {
    constexpr std::int64_t kLine = 64 / sizeof(S);
    for (std::int64_t k = 0; k < lanes; k += kLine) __builtin_prefetch(at_ + i + k, 0, 2);
  }

 private:
  static constexpr std::int64_t kAhead = 16384 / sizeof(S);
  const S* at_;
};

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
