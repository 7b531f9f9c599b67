// norm_backward_affine: dgamma = sum of dy * h (product rounded), dbeta = sum of dy, of each channel over (a,
// b): sums of columns (columns.cuh: batch tree over a, blocked chain over (a, b) in a leaf). Layer and group
// norm read 1 / sqrt(variance + eps) of every statistic from a table that is made first.
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/norm.cuh"

namespace isobit::gpu::kernels {
namespace {

// dy * h and dy. rstd: a table, or null for batch norm, where a column has one.
template <class S>
struct AffineTerm {
  using Compute = kernels::Compute<S>;
  static constexpr int kSums = 2;
  NormGeometry g;
  const S *dy, *x;
  const Compute *mean, *variance, *rstd;
  Compute eps;

  struct Column {
    const S *dy, *x;
    const Compute *means, *rstds;  // of row a = 0 at this column's group; null: mean and rstd serve all rows
    Compute mean, rstd;
    std::int64_t b, groups;

    __device__ void value(std::int64_t at, std::int64_t row, Compute (&out)[2]) const {
      const Compute v = widen(dy[at]);
      Compute m = mean, r = rstd;
      if (rstds != nullptr) {
        const std::int64_t i = (b == 1 ? row : row / b) * groups;
        m = means[i];
        r = rstds[i];
      }
      out[0] = v * ((widen(x[at]) - m) * r);
      out[1] = v;
    }
  };
  __device__ Column column(std::int64_t i) const {
    if (g.over_batch)
      return {dy, x, nullptr, nullptr, mean[i], reciprocal_deviation(variance[i], eps), g.b, g.g};
    return {dy, x, mean + i / g.d, rstd + i / g.d, 0, 0, g.b, g.g};
  }
};

// One statistic a thread.
template <class V>
__global__ void __launch_bounds__(kNormThreads, 2)
    reciprocal_deviations(std::int64_t count, const V* variance, V eps, V* out) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kNormThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kNormThreads + threadIdx.x; i < count;
       i += step)
    out[i] = reciprocal_deviation(variance[i], eps);
}

void run(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean, ConstView variance,
         View dgamma, View dbeta, bool share) {
  with_floating("norm_backward_affine", x.dtype, [&](auto type) {
    using S = decltype(type);
    using V = Compute<S>;
    const Columns columns = norm_columns(g);
    if (dgamma.data == nullptr) {
      Sink<V, 1> sink;
      sink.out[0] = dbeta.data;
      if (dbeta.data != nullptr) sum_columns(columns, PlainTerm<S>{dy.as<S>()}, share, sink);
      return;
    }
    Sink<V, 2> sink;
    sink.out[0] = dgamma.data;
    sink.out[1] = dbeta.data;
    AffineTerm<S> term{g,       dy.as<S>(),         x.as<S>(), mean.as<V>(), variance.as<V>(),
                       nullptr, static_cast<V>(eps)};
    if (g.over_batch) return sum_columns(columns, term, share, sink);
    const std::int64_t statistics = g.statistics();
    const Scratch rstd(statistics * static_cast<std::int64_t>(sizeof(V)));
    launch(reciprocal_deviations<V>, grid_stride_blocks(statistics, kNormThreads), kNormThreads, 0,
           statistics, variance.as<V>(), static_cast<V>(eps), rstd.as<V>());
    term.rstd = rstd.as<V>();
    sum_columns(columns, term, share, sink);
  });
}

}  // namespace

void norm_backward_affine(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                          ConstView variance, View dgamma, View dbeta) {
  run(g, eps, dy, x, mean, variance, dgamma, dbeta, false);
}
void norm_backward_affine_shared(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                                 ConstView variance, View dgamma, View dbeta) {
  run(g, eps, dy, x, mean, variance, dgamma, dbeta, true);
}
const char* refuse_norm_backward_affine_shared(const NormGeometry& g, double, ConstView, ConstView, ConstView,
                                               ConstView, View, View) {
  if (g.a * g.b <= numerics::kMaxLeafSamples) return "sums are too short to be shared";
  if (g.channels() >= kBusyThreads) return "there are channels enough to give each to a thread";
  return nullptr;
}

}  // namespace isobit::gpu::kernels
