// norm_apply, element by element: h = (x - mean) * rstd, y = fma(h, gamma, beta). Batch norm: a thread owns
// packs of the same channels, whose numbers it keeps in registers. Layer and group norm: a group of lanes
// owns a stretch of a row. A missing gamma is 1 and a missing beta -0: fma(h, 1, beta) rounds h + beta,
// fma(h, gamma, -0) rounds h * gamma and keeps the sign of a zero.
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/norm.cuh"

namespace isobit::gpu::kernels {
namespace {

template <class V>
struct Affine {
  const V *mean, *variance, *gamma, *beta;
  V eps;
  __device__ V gamma_at(std::int64_t channel) const { return gamma == nullptr ? V{1} : gamma[channel]; }
  __device__ V beta_at(std::int64_t channel) const { return beta == nullptr ? -V{0} : beta[channel]; }
};

template <class S, int kPack>
__global__ void __launch_bounds__(kNormThreads, 2)
    apply_channels(ChannelWalk walk, Affine<Compute<S>> numbers, const S* x, S* y) {
  using V = Compute<S>;
  const std::int64_t thread = walk.thread();
  if (thread >= walk.threads) return;
  V mean[kPack], rstd[kPack], gamma[kPack], beta[kPack];
  for (int k = 0; k < kPack; ++k) {
    const std::int64_t channel = thread % walk.channel_packs * kPack + k;
    mean[k] = numbers.mean[channel];
    rstd[k] = reciprocal_deviation(numbers.variance[channel], numbers.eps);
    gamma[k] = numbers.gamma_at(channel);
    beta[k] = numbers.beta_at(channel);
  }
  for (std::int64_t i = thread; i < walk.packs; i += walk.threads) {
    Pack<S, kPack> pack = load_pack<S, kPack>(x + i * kPack);
    for (int k = 0; k < kPack; ++k)
      pack.at[k] =
          numerics::cast<S>(numerics::fma((widen(pack.at[k]) - mean[k]) * rstd[k], gamma[k], beta[k]));
    store_pack<S, kPack>(y + i * kPack, pack);
  }
}

template <class S>
__global__ void __launch_bounds__(kRowThreads, 2)
    apply_rows(NormGeometry g, RowWalk walk, Affine<Compute<S>> numbers, const S* x, S* y) {
  using V = Compute<S>;
  for_each_stretch(walk, g.d, [&](std::int64_t row, std::int64_t first, std::int64_t end) {
    const std::int64_t i = statistic_of_row(g, row), channel = row % g.g * g.d;
    const V mean = numbers.mean[i], rstd = reciprocal_deviation(numbers.variance[i], numbers.eps);
#pragma unroll 4
    for (std::int64_t j = first; j < end; j += walk.width) {
      const V h = (widen(x[row * g.d + j]) - mean) * rstd;
      y[row * g.d + j] =
          numerics::cast<S>(numerics::fma(h, numbers.gamma_at(channel + j), numbers.beta_at(channel + j)));
    }
  });
}

template <class S, int kPack>
void run_channels(const NormGeometry& g, const Affine<Compute<S>>& numbers, const S* x, S* y) {
  const ChannelWalk walk(g, kPack);
  launch(apply_channels<S, kPack>, walk.blocks(), kNormThreads, 0, walk, numbers, x, y);
}

}  // namespace

void norm_apply(const NormGeometry& g, double eps, ConstView x, ConstView mean, ConstView variance,
                ConstView gamma, ConstView beta, View y) {
  with_floating("norm_apply", x.dtype, [&](auto type) {
    using S = decltype(type);
    using V = Compute<S>;
    const Affine<V> numbers{mean.as<V>(), variance.as<V>(), gamma.as<V>(), beta.as<V>(), static_cast<V>(eps)};
    if (!g.over_batch) {
      const RowWalk walk(g);
      return launch(apply_rows<S>, walk.blocks(), kRowThreads, 0, g, walk, numbers, x.as<S>(), y.as<S>());
    }
    const bool packs =
        g.channels() % kNormPack == 0 && fits_packs<S, kNormPack>(x.data) && fits_packs<S, kNormPack>(y.data);
    (packs ? run_channels<S, kNormPack> : run_channels<S, 1>)(g, numbers, x.as<S>(), y.as<S>());
  });
}

}  // namespace isobit::gpu::kernels
