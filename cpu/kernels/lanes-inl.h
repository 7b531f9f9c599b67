// The lanes tree over one contiguous row (docs/numerics.md): term t goes to chain t mod 64, the chains join
// by halving. The 64 chains are 64 / Vec<T>::size registers; a chain without a term holds -0, which adds
// nothing.
#if defined(ISOBIT_CPU_KERNELS_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_LANES_INL_H_
#undef ISOBIT_CPU_KERNELS_LANES_INL_H_
#else
#define ISOBIT_CPU_KERNELS_LANES_INL_H_
#endif

#include "core/numerics/order.h"
#include "cpu/kernels/tiles-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

/// The lanes of a register joined by halving.
template <class T>
HWY_INLINE T join_lanes(Vec<T> v) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  constexpr Tag<T> d;
  v += Vec<T>(hn::ConcatLowerUpper(d, v.raw, v.raw));
#if HWY_TARGET == HWY_AVX3
  v += Vec<T>(hn::SwapAdjacentBlocks(v.raw));
#endif
  if constexpr (sizeof(T) == 4) {
    v += Vec<T>(hn::Shuffle1032(v.raw));
    v += Vec<T>(hn::Shuffle2301(v.raw));
  } else {
    v += Vec<T>(hn::Shuffle01(v.raw));
  }
  return first_lane(v);
#else
  HWY_ALIGN T lane[Vec<T>::size];
  store(v, lane);
  for (std::size_t half = Vec<T>::size / 2; half >= 1; half /= 2)
    for (std::size_t i = 0; i < half; ++i) lane[i] += lane[i + half];
  return lane[0];
#endif
}

/// The chains of a row.
template <class T>
struct LaneChains {
  static constexpr std::int64_t kSize = Vec<T>::size;
  static constexpr std::int64_t kCount = numerics::kLanes / kSize;
  Vec<T> chain[kCount];

  /// The whole sum: halving over registers, then inside the last one.
  HWY_INLINE T join() {
    for (std::int64_t half = kCount / 2; half >= 1; half /= 2)
      for (std::int64_t i = 0; i < half; ++i) chain[i] += chain[i + half];
    return join_lanes(chain[0]);
  }
};

/// The lanes tree over `n` terms. step(tail, i, lanes, acc) returns acc with the terms i .. i + lanes joined,
/// e.g. acc + load(x + i); with tail (std::true_type) lanes beyond `lanes` may hold anything. n 0 gives +0.
template <class T, class Step>
HWY_INLINE T lanes_tree(std::int64_t n, const Step& step) {
  using Chains = LaneChains<T>;
  constexpr std::int64_t size = Chains::kSize;
  if (n <= 0) return T{0};
  const Vec<T> zero(T{0}), nothing(-T{0});
  if (n == size) return join_lanes(step(std::false_type(), 0, n, zero));
  if (n < size) return join_lanes(select(first_n<T>(n), step(std::true_type(), 0, n, zero), nothing));
  Chains chains;
  std::int64_t t = 0;
  for (std::int64_t i = 0; i < Chains::kCount; ++i) {
    const std::int64_t left = n - i * size;
    chains.chain[i] = left >= size ? zero : left <= 0 ? nothing : select(first_n<T>(left), zero, nothing);
  }
  for (; t + numerics::kLanes <= n; t += numerics::kLanes)
    for (std::int64_t i = 0; i < Chains::kCount; ++i)
      chains.chain[i] = step(std::false_type(), t + i * size, size, chains.chain[i]);
  if (t < n) {
    for (std::int64_t i = 0; i < Chains::kCount; ++i) {
      const std::int64_t left = n - t - i * size;
      if (left >= size) {
        chains.chain[i] = step(std::false_type(), t + i * size, size, chains.chain[i]);
      } else if (left > 0) {
        const Vec<T> added = step(std::true_type(), t + i * size, left, chains.chain[i]);
        chains.chain[i] = select(first_n<T>(left), added, chains.chain[i]);
      }
    }
  }
  return chains.join();
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
