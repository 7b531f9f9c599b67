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

/// body(0), body(1) ... below kCount, as constants where they are not many: what they index stays in
/// registers.
template <std::int64_t kCount, std::int64_t kIndex = 0, class Body>
HWY_INLINE void repeat(const Body& body) {
  if constexpr (kCount > 16) {
    for (std::int64_t i = 0; i < kCount; ++i) body(i);
  } else if constexpr (kIndex < kCount) {
    body(std::integral_constant<std::int64_t, kIndex>());
    repeat<kCount, kIndex + 1>(body);
  }
}

/// The chains of a row.
template <class T>
struct LaneChains {
  static constexpr std::int64_t kSize = Vec<T>::size;
  static constexpr std::int64_t kCount = numerics::kLanes / kSize;
  Vec<T> chain[kCount];

  /// The whole sum: halving over registers, then inside the last one.
  template <std::int64_t kHalf = kCount / 2>
  HWY_INLINE T join() {
    if constexpr (kHalf == 0) {
      return join_lanes(chain[0]);
    } else {
      repeat<kHalf>([this](auto i) HWY_ATTR { chain[i] += chain[i + kHalf]; });
      return join<kHalf / 2>();
    }
  }
};

/// kSums lanes trees over `n` terms, side by side. step(tail, i, lanes, Vec<T>* acc) joins the terms i .. i +
/// lanes to acc[0 .. kSums), e.g. acc[0] += load(x + i); with tail (std::true_type) lanes beyond `lanes` may
/// hold anything. n 0 gives +0.
template <class T, std::int64_t kSums, class Step>
HWY_INLINE void lanes_trees(std::int64_t n, const Step& step, T* sums) {
  using Chains = LaneChains<T>;
  constexpr std::int64_t size = Chains::kSize;
  const Vec<T> zero(T{0}), nothing(-T{0});
  if (n <= size) {
    Vec<T> acc[kSums];
    repeat<kSums>([&](auto k) HWY_ATTR { acc[k] = zero; });
    if (n == size) {
      step(std::false_type(), 0, n, acc);
    } else if (n > 0) {
      step(std::true_type(), 0, n, acc);
      repeat<kSums>([&](auto k) HWY_ATTR { acc[k] = select(first_n<T>(n), acc[k], nothing); });
    }
    repeat<kSums>([&](auto k) HWY_ATTR { sums[k] = join_lanes(acc[k]); });
    return;
  }
  Chains chains[kSums];
  repeat<Chains::kCount>([&](auto i) HWY_ATTR {
    const std::int64_t left = n - i * size;
    repeat<kSums>([&](auto k) HWY_ATTR {
      chains[k].chain[i] = left >= size ? zero
                           : left <= 0  ? nothing
                                        : select(first_n<T>(left), zero, nothing);
    });
  });
  const auto join = [&](auto tail, auto i, std::int64_t t, std::int64_t left) HWY_ATTR {
    Vec<T> acc[kSums];
    repeat<kSums>([&](auto k) HWY_ATTR { acc[k] = chains[k].chain[i]; });
    step(tail, t + i * size, tail.value ? left : size, acc);
    repeat<kSums>([&](auto k) HWY_ATTR {
      chains[k].chain[i] = tail.value ? select(first_n<T>(left), acc[k], chains[k].chain[i]) : acc[k];
    });
  };
  std::int64_t t = 0;
  for (; t + numerics::kLanes <= n; t += numerics::kLanes)
    repeat<Chains::kCount>([&](auto i) HWY_ATTR { join(std::false_type(), i, t, size); });
  if (t < n)
    repeat<Chains::kCount>([&](auto i) HWY_ATTR {
      const std::int64_t left = n - t - i * size;
      if (left >= size) {
        join(std::false_type(), i, t, size);
      } else if (left > 0) {
        join(std::true_type(), i, t, left);
      }
    });
  repeat<kSums>([&](auto k) HWY_ATTR { sums[k] = chains[k].join(); });
}

/// One lanes tree. step(tail, i, lanes, acc) returns acc with the terms joined, e.g. acc + load(x + i).
template <class T, class Step>
HWY_INLINE T lanes_tree(std::int64_t n, const Step& step) {
  T sum;
  lanes_trees<T, 1>(
      n,
      [&](auto tail, std::int64_t i, std::int64_t lanes, Vec<T>* acc)
          HWY_ATTR { acc[0] = step(tail, i, lanes, acc[0]); },
      &sum);
  return sum;
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
