// gelu of f32 where some |x| are below 1 and some are not: both of its branches for every element would cost
// the sum of the two. With AVX-512 the arguments beyond 1 of a chunk are brought together, computed, and put
// back between the others; the same bits. Other targets, and chunks that are mostly beyond, take both
// branches.
#if defined(ISOBIT_CPU_KERNELS_GELU_MIXED_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_GELU_MIXED_INL_H_
#undef ISOBIT_CPU_KERNELS_GELU_MIXED_INL_H_
#else
#define ISOBIT_CPU_KERNELS_GELU_MIXED_INL_H_
#endif

#include "cpu/kernels/pointwise_simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX3

/// gelu's branch for |x| >= 1 and NaN.
HWY_INLINE Vec<float> gelu_beyond(Vec<float> x) {
  using F = Vec<float>;
  using C = constants::Tail<float>;
  const F absolute = magnitude(x);
  const F a = select(absolute > F(C::kLargest), F(C::kLargest), absolute);
  const ExpParts<F> tail = tail_times_argument(a);
  const F below = ((tail.high + tail.low) * tail.scale2) * tail.scale1;
  return with_sign(select(x < F(0), below, absolute - below), x);
}

/// The lanes of the mask from consecutive lanes of `from`, the others from `to`. (Highway has no name for
/// it.)
HWY_INLINE Vec<float> put_back(Vec<float> to, Mask<float> mask, const float* from) {
  return Vec<float>(Register<float>{_mm512_mask_expand_ps(to.raw.raw, mask.raw.raw, _mm512_loadu_ps(from))});
}

/// Elements of a chunk.
inline constexpr std::int64_t kGeluChunk = 512;

/// `n` elements, whole registers, at most a chunk; false when most are beyond and nothing was done.
inline bool gelu_chunk(const float* x, float* out, std::int64_t n, bool past) {
  constexpr Tag<float> t;
  constexpr std::int64_t size = Vec<float>::size;
  const Vec<float> none(0.0f);
  HWY_ALIGN float beyond[kGeluChunk + size];
  Mask<float> mask[kGeluChunk / size];
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < n; i += size) {
    const Vec<float> v = load(x + i);
    const Mask<float> m = !(magnitude(v) < Vec<float>(1));
    mask[i / size] = m;
    store(Vec<float>(hn::Compress(v.raw, m.raw)), beyond + count);
    count += static_cast<std::int64_t>(hn::CountTrue(t, m.raw));
  }
  if (count > n / 2) return false;
  // The last register's lanes beyond `count` are some of x.
  for (std::int64_t i = 0; i < count; i += size) store(gelu_beyond(load(beyond + i)), beyond + i);
  const ranges::Gelu near;
  const float* next = beyond;
  for (std::int64_t i = 0; i < n; i += size) {
    const Mask<float> m = mask[i / size];
    const Vec<float> y = put_back(near(load(x + i), none), m, next);
    next += hn::CountTrue(t, m.raw);
    if (past) {
      hn::Stream(y.raw, t, out + i);
    } else {
      store(y, out + i);
    }
  }
  return true;
}

/// Both branches for every element.
[[gnu::noinline]] inline void gelu_both(const float* x, float* out, std::int64_t n) {
  unary_tile<Gelu, float>(0, x, out, n, false);
}

inline void gelu_tile(float, const float* x, float* out, std::int64_t n, bool past) {
  constexpr std::int64_t size = Vec<float>::size;
  const Vec<float> none(0.0f);
  const ranges::Gelu near;
  int both = 0;  // chunks to come that are not looked at, since one before was mostly beyond
  std::int64_t i = 0;
  while (i + kFour<float> <= n) {
    if (past) ask_ahead<float>(i, n, x);
    const Vec<float> x0 = load(x + i), x1 = load(x + i + size), x2 = load(x + i + 2 * size),
                     x3 = load(x + i + 3 * size);
    if (ranges::all_within(x0, x1, x2, x3, ranges::Gelu::kLargest)) {
      if constexpr (kOneByOne) {
        for (std::int64_t k = i; k < i + kFour<float>; k += size) store(near(load(x + k), none), out + k);
      } else {
        put_four(near(x0, none), near(x1, none), near(x2, none), near(x3, none), out + i, past);
      }
      i += kFour<float>;
    } else {
      const std::int64_t chunk = std::min(kGeluChunk, (n - i) / size * size);
      if (both > 0 || !gelu_chunk(x + i, out + i, chunk, past)) {
        gelu_both(x + i, out + i, chunk);
        both = both > 0 ? both - 1 : 15;
      }
      i += chunk;
    }
  }
  if (i < n) gelu_both(x + i, out + i, n - i);
}

#else

inline void gelu_tile(float a, const float* x, float* out, std::int64_t n, bool past) {
  ranged_tile<Gelu, ranges::Gelu>(a, x, out, n, past);
}

#endif

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
