// dropout: a thread owns a block of the generator, which decides over four neighbouring elements (grid-stride
// loop). out may be x. One kernel serves f32, f16 and bf16.
#include <cmath>

#include "cuda/kernels/kernels.h"
#include "cuda/kernels/random.cuh"

namespace isobit::gpu::kernels {
namespace {

template <class T>
__global__ void __launch_bounds__(kMapThreads)
    drop(RandomKey key, Counters counters, float threshold, T scale, const void* x, void* out, DType dtype,
         bool packs) {
  for_blocks<4>(counters, [&](std::uint64_t block, std::int64_t i) {
    const numerics::PhiloxBlock words = numerics::random_block(key, block);
    with_storage<T>(dtype, [&](auto type) {
      using S = decltype(type);
      T v[4];
      read_block<4>(static_cast<const S*>(x), i, counters.n, packs, v);
      for (int k = 0; k < 4; ++k)
        v[k] = numerics::uniform_from_word(words.word[k]) < threshold ? T{0} : v[k] * scale;
      write_block<4>(static_cast<S*>(out), i, counters.n, packs, v);
    });
  });
}

template <class T>
void run(RandomKey key, std::uint64_t first, double p, ConstView x, View out) {
  const Counters counters(first, out.numel, 4);
  // u is a multiple of 2^-24 below 1: it is less than p when it is less than p rounded up to such a multiple.
  const float threshold = static_cast<float>(std::ceil(p * 0x1p24) * 0x1p-24);
  const bool packs =
      packs_blocks<4>(counters, x.data, x.dtype) && packs_blocks<4>(counters, out.data, out.dtype);
  launch_live(drop<T>, grid_stride_blocks(blocks_of(counters, 4), kMapThreads), kMapThreads, 0,
              [=, scale = static_cast<T>(1 / (1 - p)), live = live_key(key, "dropout")] {
                return std::tuple(live != nullptr ? *live : key, counters, threshold, scale, x.data, out.data,
                                  out.dtype, packs);
              });
}

}  // namespace

void dropout(RandomKey key, std::uint64_t first, double p, ConstView x, View out) {
  if (!is_floating(x.dtype)) fail("dropout", "got {} elements, expected a floating type", x.dtype);
  if (x.dtype == DType::f64) return run<double>(key, first, p, x, out);
  run<float>(key, first, p, x, out);
}

}  // namespace isobit::gpu::kernels
