// random_uniform, random_normal: a thread owns a block of the generator, four f32 (f16, bf16) or two f64
// elements (grid-stride loop), and stores them at once where they lie in an aligned pack. f32, f16 and bf16
// share a kernel.
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/random.cuh"

namespace isobit::gpu::kernels {
namespace {

__device__ void uniform_block(RandomKey key, std::uint64_t block, float (&u)[4]) {
  const numerics::PhiloxBlock words = numerics::random_block(key, block);
  for (int k = 0; k < 4; ++k) u[k] = numerics::uniform_from_word(words.word[k]);
}
__device__ void uniform_block(RandomKey key, std::uint64_t block, double (&u)[2]) {
  const numerics::PhiloxBlock words = numerics::random_block(key, block);
  u[0] = numerics::uniform_from_words(words.word[0], words.word[1]);
  u[1] = numerics::uniform_from_words(words.word[2], words.word[3]);
}
__device__ void normal_block(RandomKey key, std::uint64_t block, float (&z)[4]) {
  numerics::normal_block_f32(key, block, z);
}
__device__ void normal_block(RandomKey key, std::uint64_t block, double (&z)[2]) {
  numerics::normal_block_f64(key, block, z);
}

/// Where a kernel writes; `packs`: whole blocks at once.
struct Target {
  void* data;
  DType dtype;
  bool packs;
};

template <class T>
__device__ void store_block(const Counters& c, std::int64_t i, const T (&v)[kBlockValues<T>], Target out) {
  with_storage<T>(out.dtype, [&](auto type) {
    write_block<kBlockValues<T>>(static_cast<decltype(type)*>(out.data), i, c.n, out.packs, v);
  });
}

template <class T>
__global__ void __launch_bounds__(kMapThreads)
    draw_uniform(RandomKey key, Counters counters, T low, T high, Target out) {
  for_blocks<kBlockValues<T>>(counters, [&](std::uint64_t block, std::int64_t i) {
    T v[kBlockValues<T>];
    uniform_block(key, block, v);
    for (T& u : v) u = numerics::uniform_between(u, low, high);
    store_block(counters, i, v, out);
  });
}

template <class T>
__global__ void __launch_bounds__(kMapThreads)
    draw_normal(RandomKey key, Counters counters, T mean, T deviation, Target out) {
  for_blocks<kBlockValues<T>>(counters, [&](std::uint64_t block, std::int64_t i) {
    T v[kBlockValues<T>];
    normal_block(key, block, v);
    for (T& z : v) z = numerics::fma(z, deviation, mean);
    store_block(counters, i, v, out);
  });
}

/// Runs kernel(key, counters, a, b, ...) for elements of T.
template <class T>
void run(const char* op, void (*kernel)(RandomKey, Counters, T, T, Target), RandomKey key,
         std::uint64_t first, double a, double b, View out) {
  constexpr int kEach = kBlockValues<T>;
  const Counters counters(first, out.numel, kEach);
  const Target target{out.data, out.dtype, packs_blocks<kEach>(counters, out.data, out.dtype)};
  launch_live(kernel, grid_stride_blocks(blocks_of(counters, kEach), kMapThreads), kMapThreads, 0,
              [=, live = live_key(key, op)] {
                return std::tuple(live != nullptr ? *live : key, counters, static_cast<T>(a),
                                  static_cast<T>(b), target);
              });
}

}  // namespace

void random_uniform(RandomKey key, std::uint64_t first, double low, double high, View out) {
  if (!is_floating(out.dtype)) fail("random_uniform", "got {} elements, expected a floating type", out.dtype);
  if (out.dtype == DType::f64)
    return run<double>("random_uniform", draw_uniform<double>, key, first, low, high, out);
  run<float>("random_uniform", draw_uniform<float>, key, first, low, high, out);
}

void random_normal(RandomKey key, std::uint64_t first, double mean, double deviation, View out) {
  if (!is_floating(out.dtype)) fail("random_normal", "got {} elements, expected a floating type", out.dtype);
  if (out.dtype == DType::f64)
    return run<double>("random_normal", draw_normal<double>, key, first, mean, deviation, out);
  run<float>("random_normal", draw_normal<float>, key, first, mean, deviation, out);
}

}  // namespace isobit::gpu::kernels
