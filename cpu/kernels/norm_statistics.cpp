// norm_statistics: mean and biased variance in two passes. Batch norm: a lane owns a channel, batch tree over
// samples. Instance norm: a lane owns a channel of a sample, blocked chain over b. Layer and group norm: a
// task owns statistics, each a blocked chain over b of lanes trees over d.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/norm_statistics.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/norm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

/// x, or (x - mean)^2 with the square rounded.
template <class T, bool kSquare>
struct Moment {
  using Row = const T*;
  static constexpr int kSums = 1;
  const T* x;
  const T* mean;
  std::int64_t sample, step;  // elements of a sample; between the statistics of samples
  Moment at(std::int64_t offset) const {
    if (step == 0) return *this;
    return {x + offset, mean == nullptr ? nullptr : mean + offset / sample * step, sample, step};
  }
  Row row(std::int64_t offset) const { return x + offset; }
  template <bool kTail>
  HWY_INLINE void add(Row row, std::int64_t column, std::int64_t lanes, Vec<T>* sum) const {
    Vec<T> v = load_some<T, kTail>(row + column, lanes);
    if constexpr (kSquare) {
      v = v - load_some<T, kTail>(mean + column, lanes);
      v = v * v;
    }
    sum[0] += v;
  }
};

template <class T, bool kSquare>
T sample_moment(const NormGeometry& g, const T* x, T mean) {
  const Vec<T> m(mean);
  BlockChain<T> chain;
  for (std::int64_t b = 0; b < g.b; ++b, x += g.channels()) {
    chain.add(lanes_tree<T>(g.d, [&](auto tail, std::int64_t i, std::int64_t lanes, Vec<T> acc) HWY_ATTR {
      Vec<T> v = load_some<T, tail.value>(x + i, lanes);
      if constexpr (kSquare) {
        v = v - m;
        v = v * v;
      }
      return acc + v;
    }));
  }
  return chain.sum();
}

template <class T>
void statistics(const NormGeometry& g, const T* x, T* mean, T* variance) {
  const T count = static_cast<T>(g.count());
  if (!g.over_batch && !one_for_channel(g)) {
    return for_sample_statistics(g, 2 * sizeof(T), [&](std::int64_t i, std::int64_t offset, std::int64_t) {
      mean[i] = sample_moment<T, false>(g, x + offset, T{0}) / count;
      variance[i] = sample_moment<T, true>(g, x + offset, mean[i]) / count;
    });
  }
  const ColumnProblem p = g.over_batch ? norm_columns(g, sizeof(T)) : instance_columns(g, sizeof(T));
  const std::int64_t channels = g.channels(), sample = g.b * channels, step = sample_step(g);
  const auto divide_into = [count, channels](T* out) {
    return
        [out, count, channels](std::int64_t outer, std::int64_t column, std::int64_t width, const T* tile) {
          for (std::int64_t j = 0; j < width; ++j) out[outer * channels + column + j] = tile[j] / count;
        };
  };
  column_sums<T>(p, Moment<T, false>{x, mean, sample, step}, divide_into(mean));
  column_sums<T>(p, Moment<T, true>{x, mean, sample, step}, divide_into(variance));
}

}  // namespace

void run_norm_statistics(const NormGeometry& g, ConstView x, View mean, View variance) {
  with_compute(x.dtype, [&](auto type) {
    using T = decltype(type);
    statistics(g, Widened<T>(x).data(), mean.as<T>(), variance.as<T>());
  });
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(run_norm_statistics);

namespace kernels {
void norm_statistics(const NormGeometry& g, ConstView x, View mean, View variance) {
  HWY_DYNAMIC_DISPATCH(run_norm_statistics)(g, x, mean, variance);
}
}  // namespace kernels
}  // namespace isobit::cpu
#endif
