// random_uniform and random_normal: Philox's uniforms (philox-inl.h), scaled, or two and two through Box and
// Muller (core/numerics/random_values.h has the same formulas for plain numbers). A lane owns an element or a
// pair.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/random.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/elementary_simd-inl.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/philox-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

template <class S>
void uniform(RandomKey key, std::uint64_t first, double low, double high, S* out, std::int64_t n) {
  using T = Compute<S>;
  for_ranges(n, sizeof(S) + 8, [&](std::int64_t begin, std::int64_t end) {
    for_uniforms<T>(key, first, begin, end,
                    [&](std::int64_t i, std::int64_t count, const T* u, std::int64_t skip) {
                      const Vec<T> l(static_cast<T>(low)), h(static_cast<T>(high)), range = h - l;
                      for_vectors<T>(count, [&](auto tail, std::int64_t k, std::int64_t lanes) HWY_ATTR {
                        const Vec<T> v = fma(load_some<T, tail.value>(u + skip + k, lanes), range, l);
                        store_some<tail.value>(select(v < h, v, l), out + i + k, lanes);
                      });
                    });
  });
}

/// normal[2 j], normal[2 j + 1] from uniforms u[2 j], u[2 j + 1], for all j below `pairs`.
template <class T>
void box_muller(const T* u, std::int64_t pairs, T* normal) {
  constexpr std::int64_t most = 2 * kSide;
  HWY_ALIGN T first[most];
  HWY_ALIGN T second[most];
  for (std::int64_t j = 0; j < pairs; ++j) {
    first[j] = u[2 * j];
    second[j] = u[2 * j + 1];
  }
  for_vectors<T>(pairs, [&](auto tail, std::int64_t j, std::int64_t lanes) HWY_ATTR {
    const Vec<T> u0 = load_some<T, tail.value>(first + j, lanes),
                 u1 = load_some<T, tail.value>(second + j, lanes);
    const Vec<T> radius = sqrt(Vec<T>(T{-2}) * log(Vec<T>(T{1}) - u0));
    const Vec<T> angle = Vec<T>(static_cast<T>(0x1.921fb54442d18p+2)) * u1;
    store_some<tail.value>(radius * cos(angle), first + j, lanes);
    store_some<tail.value>(radius * sin(angle), second + j, lanes);
  });
  for (std::int64_t j = 0; j < pairs; ++j) {
    normal[2 * j] = first[j];
    normal[2 * j + 1] = second[j];
  }
}

template <class S>
void normal(RandomKey key, std::uint64_t first, double mean, double deviation, S* out, std::int64_t n) {
  using T = Compute<S>;
  constexpr std::int64_t pairs = kSide * 8 / static_cast<std::int64_t>(sizeof(T));
  for_ranges(n, sizeof(S) + 64, [&](std::int64_t begin, std::int64_t end) {
    for_uniforms<T>(key, first, begin, end,
                    [&](std::int64_t i, std::int64_t count, const T* u, std::int64_t skip) {
                      HWY_ALIGN T deviate[2 * pairs];
                      box_muller(u, pairs, deviate);
                      const Vec<T> m(static_cast<T>(mean)), d(static_cast<T>(deviation));
                      for_vectors<T>(count, [&](auto tail, std::int64_t k, std::int64_t lanes) HWY_ATTR {
                        store_some<tail.value>(fma(load_some<T, tail.value>(deviate + skip + k, lanes), d, m),
                                               out + i + k, lanes);
                      });
                    });
  });
}

}  // namespace

void run_random_uniform(RandomKey key, std::uint64_t first, double low, double high, View out) {
  with_floating(out.dtype, [&](auto type) {
    using S = decltype(type);
    uniform(key, first, low, high, out.as<S>(), out.numel);
  });
}
void run_random_normal(RandomKey key, std::uint64_t first, double mean, double deviation, View out) {
  with_floating(out.dtype, [&](auto type) {
    using S = decltype(type);
    normal(key, first, mean, deviation, out.as<S>(), out.numel);
  });
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(run_random_uniform);
HWY_EXPORT(run_random_normal);

namespace kernels {
void random_uniform(RandomKey key, std::uint64_t first, double low, double high, View out) {
  HWY_DYNAMIC_DISPATCH(run_random_uniform)(key, first, low, high, out);
}
void random_normal(RandomKey key, std::uint64_t first, double mean, double deviation, View out) {
  HWY_DYNAMIC_DISPATCH(run_random_normal)(key, first, mean, deviation, out);
}
}  // namespace kernels
}  // namespace isobit::cpu
#endif
