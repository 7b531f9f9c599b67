// norm_backward: e = dy * gamma; s1 = sum e, s2 = sum e * h over everything that a statistic covers, in its
// order; dx = rstd * fma(-h, s2 / count, e - s1 / count). Batch norm and group norm: the sums first
// (columns.cuh, row_sums.cuh), then dx element by element. Layer norm: a row belongs to a group of lanes, or
// (shared) to a block, which does both. A missing gamma is 1.
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/norm.cuh"

namespace isobit::gpu::kernels {
namespace {

template <class S>
struct Inputs {
  using V = Compute<S>;
  const S *dy, *x;
  const V *mean, *variance, *gamma;
  V eps;
  __device__ V gamma_at(std::int64_t channel) const { return gamma == nullptr ? V{1} : gamma[channel]; }
  __device__ V rstd(std::int64_t statistic) const { return reciprocal_deviation(variance[statistic], eps); }
};

template <class V>
struct Pair {
  V e, h;
  /// `mean_e`, `mean_eh`: s1 and s2 by the count.
  __device__ V gradient(V rstd, V mean_e, V mean_eh) const {
    return rstd * numerics::fma(-h, mean_eh, e - mean_e);
  }
};

// e and e * h, the product rounded.
template <class S>
struct GradientTerm {
  using Compute = kernels::Compute<S>;
  static constexpr int kSums = 2;
  NormGeometry g;
  Inputs<S> in;

  struct Column {
    const S *dy, *x;
    Compute mean, rstd, gamma;
    __device__ Pair<Compute> pair(std::int64_t at) const {
      return {widen(dy[at]) * gamma, (widen(x[at]) - mean) * rstd};
    }
    __device__ void value(std::int64_t at, std::int64_t, Compute (&out)[2]) const {
      const Pair<Compute> p = pair(at);
      out[0] = p.e;
      out[1] = p.e * p.h;
    }
  };
  struct Row {
    const S *dy, *x;
    Compute mean, rstd;
    const Compute* gamma;
    __device__ Pair<Compute> pair(std::int64_t j) const {
      return {gamma == nullptr ? widen(dy[j]) : widen(dy[j]) * gamma[j], (widen(x[j]) - mean) * rstd};
    }
    __device__ void value(std::int64_t j, Compute* out) const {
      const Pair<Compute> p = pair(j);
      out[0] = p.e;
      out[1] = p.e * p.h;
    }
  };
  __device__ Column column(std::int64_t i) const {
    return {in.dy, in.x, in.mean[i], in.rstd(i), in.gamma_at(i % g.g)};
  }
  __device__ Row row(std::int64_t r, std::int64_t columns) const {
    const std::int64_t i = statistic_of_row(g, r);
    return {in.dy + r * columns, in.x + r * columns, in.mean[i], in.rstd(i),
            in.gamma == nullptr ? nullptr : in.gamma + r % g.g * columns};
  }
};

// ---- a row at a time (one position a sample): sums and dx

template <class S>
__global__ void __launch_bounds__(kRowThreads, 2)
    group_gradient(GradientTerm<S> term, std::int64_t rows, std::int64_t columns, int width,
                   Compute<S> divisor, S* dx) {
  using V = Compute<S>;
  for_each_row(rows, columns, width, [&](std::int64_t row, int lane, std::int64_t count) {
    const auto of_row = term.row(row < rows ? row : 0, columns);
    V sum[2];
    group_sums(count, lane, width, sum, [&](V* acc, std::int64_t j) {
      V value[2];
      of_row.value(j, value);
      acc[0] = acc[0] + value[0];
      acc[1] = acc[1] + value[1];
    });
    const V mean_e = sum[0] / divisor, mean_eh = sum[1] / divisor;
#pragma unroll 4
    for (std::int64_t j = lane; j < count; j += width)
      dx[row * columns + j] = numerics::cast<S>(of_row.pair(j).gradient(of_row.rstd, mean_e, mean_eh));
  });
}

template <class S>
__global__ void __launch_bounds__(kRowThreads, 2)
    block_gradient(GradientTerm<S> term, std::int64_t rows, std::int64_t columns, Compute<S> divisor, S* dx) {
  using V = Compute<S>;
  using Stage = RowStage<V, 2>;
  SHARED(stage, Stage);
  for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const auto of_row = term.row(row, columns);
    V sum[2];
    block_row_sums<false>(columns, stage, sum, [&](std::int64_t j, V* out) { of_row.value(j, out); });
    const V mean_e = sum[0] / divisor, mean_eh = sum[1] / divisor;
#pragma unroll 4
    for (std::int64_t j = threadIdx.x; j < columns; j += kRowThreads)
      dx[row * columns + j] = numerics::cast<S>(of_row.pair(j).gradient(of_row.rstd, mean_e, mean_eh));
  }
}

// ---- dx when the sums are known: means[0] of e, means[1] of e * h

template <class V>
struct Means {
  const V *e, *eh;
};

template <class S, int kPack>
__global__ void __launch_bounds__(kNormThreads, 2)
    channel_gradient(ChannelWalk walk, Inputs<S> in, Means<Compute<S>> means, S* dx) {
  using V = Compute<S>;
  const std::int64_t thread = walk.thread();
  if (thread >= walk.threads) return;
  V mean[kPack], rstd[kPack], gamma[kPack], mean_e[kPack], mean_eh[kPack];
  for (int k = 0; k < kPack; ++k) {
    const std::int64_t channel = thread % walk.channel_packs * kPack + k;
    mean[k] = in.mean[channel];
    rstd[k] = in.rstd(channel);
    gamma[k] = in.gamma_at(channel);
    mean_e[k] = means.e[channel];
    mean_eh[k] = means.eh[channel];
  }
  for (std::int64_t i = thread; i < walk.packs; i += walk.threads) {
    const Pack<S, kPack> x = load_pack<S, kPack>(in.x + i * kPack);
    Pack<S, kPack> pack = load_pack<S, kPack>(in.dy + i * kPack);
    for (int k = 0; k < kPack; ++k) {
      const Pair<V> p{widen(pack.at[k]) * gamma[k], (widen(x.at[k]) - mean[k]) * rstd[k]};
      pack.at[k] = numerics::cast<S>(p.gradient(rstd[k], mean_e[k], mean_eh[k]));
    }
    store_pack<S, kPack>(dx + i * kPack, pack);
  }
}

template <class S>
__global__ void __launch_bounds__(kRowThreads, 2)
    row_gradient(RowWalk walk, GradientTerm<S> term, Means<Compute<S>> means, S* dx) {
  const std::int64_t columns = term.g.d;
  for_each_stretch(walk, columns, [&](std::int64_t row, std::int64_t first, std::int64_t end) {
    const std::int64_t i = statistic_of_row(term.g, row);
    const auto of_row = term.row(row, columns);
    for (std::int64_t j = first; j < end; j += walk.width)
      dx[row * columns + j] =
          numerics::cast<S>(of_row.pair(j).gradient(of_row.rstd, means.e[i], means.eh[i]));
  });
}

template <class S, int kPack>
void run_channels(const NormGeometry& g, const Inputs<S>& in, const Means<Compute<S>>& means, S* dx) {
  const ChannelWalk walk(g, kPack);
  launch(channel_gradient<S, kPack>, walk.blocks(), kNormThreads, 0, walk, in, means, dx);
}

template <class S>
void gradient(const NormGeometry& g, const Inputs<S>& in, S* dx, bool share) {
  using V = Compute<S>;
  const GradientTerm<S> term{g, in};
  Sink<V, 2> sink = mean_sink<V, 2>(g);
  if (!g.over_batch && g.b == 1) {
    const std::int64_t rows = g.a * g.g;
    if (share && refuse_block_rows(rows, g.d) == nullptr)
      return launch(block_gradient<S>, grid_stride_blocks(rows, 1), kRowThreads, 0, term, rows, g.d,
                    sink.divisor, dx);
    const int width = lane_group(g.d);
    return launch(group_gradient<S>, row_blocks(rows, width), kRowThreads, 0, term, rows, g.d, width,
                  sink.divisor, dx);
  }
  if (g.numel() == 0) return;
  const std::int64_t statistics = g.statistics();
  const Scratch room(2 * statistics * static_cast<std::int64_t>(sizeof(V)));
  const Means<V> means{room.as<V>(), room.as<V>() + statistics};
  sink.out[0] = room.as<V>();
  sink.out[1] = room.as<V>() + statistics;
  sum_statistics(g, term, share, sink);
  if (!g.over_batch) {
    const RowWalk walk(g);
    return launch(row_gradient<S>, walk.blocks(), kRowThreads, 0, walk, term, means, dx);
  }
  const bool packs = g.channels() % kNormPack == 0 && fits_packs<S, kNormPack>(in.x) &&
                     fits_packs<S, kNormPack>(in.dy) && fits_packs<S, kNormPack>(dx);
  (packs ? run_channels<S, kNormPack> : run_channels<S, 1>)(g, in, means, dx);
}

void run(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean, ConstView variance,
         ConstView gamma, View dx, bool share) {
  with_floating("norm_backward", x.dtype, [&](auto type) {
    using S = decltype(type);
    using V = Compute<S>;
    const Inputs<S> in{dy.as<S>(),       x.as<S>(),     mean.as<V>(),
                       variance.as<V>(), gamma.as<V>(), static_cast<V>(eps)};
    gradient(g, in, dx.as<S>(), share);
  });
}

}  // namespace

void norm_backward(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                   ConstView variance, ConstView gamma, View dx) {
  run(g, eps, dy, x, mean, variance, gamma, dx, false);
}
void norm_backward_shared(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                          ConstView variance, ConstView gamma, View dx) {
  run(g, eps, dy, x, mean, variance, gamma, dx, true);
}
const char* refuse_norm_backward_shared(const NormGeometry& g, double, ConstView, ConstView, ConstView,
                                        ConstView, ConstView, View) {
  return refuse_shared_statistics(g);
}

}  // namespace isobit::gpu::kernels
