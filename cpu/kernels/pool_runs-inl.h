// Runs of pixels whose windows lie one pixel apart and have all their taps: elements that follow each other
// in the result read elements that follow each other, of one run of memory for every tap. No address is
// reckoned inside.
#if defined(ISOBIT_CPU_KERNELS_POOL_RUNS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_POOL_RUNS_INL_H_
#undef ISOBIT_CPU_KERNELS_POOL_RUNS_INL_H_
#else
#define ISOBIT_CPU_KERNELS_POOL_RUNS_INL_H_
#endif

#include "cpu/kernels/pool-inl.h"
#include "cpu/kernels/stream-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

/// Pixels [begin, end) of a row.
struct PixelRun {
  std::int64_t begin = 0, end = 0;
};

/// Of outputs, by their windows.
inline PixelRun run_of_windows(const PoolGeometry& g, const std::vector<Window>& columns) {
  const AxisGeometry& width = g.axis[2];
  PixelRun run;
  if (g.adaptive || width.stride != 1) return run;
  const auto whole = [&](std::int64_t q) {
    const Window& w = columns[static_cast<std::size_t>(q)];
    return w.count == width.filter && w.padded == width.filter;
  };
  while (run.begin < width.out && !whole(run.begin)) ++run.begin;
  run.end = run.begin;
  while (run.end < width.out && whole(run.end)) ++run.end;
  return run;
}

/// Of inputs, by the outputs that hold them.
inline PixelRun run_of_holders(const PoolGeometry& g, const Holders& columns) {
  const AxisGeometry& width = g.axis[2];
  PixelRun run;
  if (g.adaptive || width.stride != 1) return run;
  while (run.begin < width.in && columns.count(run.begin) != width.filter) ++run.begin;
  run.end = run.begin;
  while (run.end < width.in && columns.count(run.end) == width.filter) ++run.end;
  return run;
}

/// to[i] = finish(the sum of x[offset[0] + i], x[offset[1] + i], ..., i) for n elements. kCount as in
/// with_count.
template <int kCount, bool kStream, class T, class X, class S, class Finish>
HWY_INLINE void sum_run(const X* x, const std::int64_t* offset, std::int64_t any_count, std::int64_t n, S* to,
                        const Finish& finish) {
  constexpr int kPlaces = std::max(kCount, 1);
  const X* from[kPlaces];
  for (int t = 0; t < kCount; ++t) from[t] = x + offset[t];
  for_vectors<T>(n, [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
    constexpr bool kTail = tail.value;
    Vec<T> sum(T{0});
    if constexpr (kCount > 0) {
      for (int t = 0; t < kCount; ++t) sum += load_some<T, kTail>(from[t] + i, lanes);
    } else {
      for (std::int64_t t = 0; t < any_count; ++t) sum += load_some<T, kTail>(x + offset[t] + i, lanes);
    }
    put<kStream, kTail>(finish(sum, i), to + i, lanes);
  });
}

/// Where to ask for memory while `n` elements of x, of `size`, are read from `at` on.
template <class S>
HWY_INLINE const S* ahead_of(const S* x, std::int64_t size, std::int64_t at, std::int64_t n) {
  constexpr auto kAhead = kAheadBytes / static_cast<std::int64_t>(sizeof(S));
  return x + std::max<std::int64_t>(std::min(at + kAhead, size - n), 0);
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
