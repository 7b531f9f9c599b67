// norm_statistics: mean and biased variance in two passes. Batch norm: a lane owns a channel, batch tree over
// samples; a task owns leaves (channel_sums-inl.h) or, where they are few, columns (columns-inl.h). The
// others by samples (norm_samples-inl.h) or, where these are few, instance norm by columns, layer and group
// norm by blocks of rows (norm_groups-inl.h).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/norm_statistics.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/norm_samples-inl.h"

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

/// Group and layer norm of few samples: a task owns blocks of rows.
template <bool kOne, class T>
void group_statistics(const NormGeometry& g, const T* x, T* mean, T* variance) {
  const T count = static_cast<T>(g.count());
  const std::int64_t channels = g.channels(), sample = g.b * channels;
  const auto divide_into = [&](T* out, std::int64_t a, const T* sums) {
    for (std::int64_t i = 0; i < g.g; ++i) out[a * g.g + i] = sums[i] / count;
  };
  const Scratch<T> room(spread_size(g));
  const T* const last = x + (std::max<std::int64_t>(g.numel(), 1) - 1);
  sums_by_blocks<T, 1>(
      g, sizeof(T),
      [&](std::int64_t a) {
        return MomentTerms<kOne, false, T>{x + a * sample, mean, last};
      },
      [&](std::int64_t a, const T* sums) { divide_into(mean, a, sums); });
  const T* const spread_mean = spread<T>(g, mean, room.data());
  sums_by_blocks<T, 1>(
      g, sizeof(T),
      [&](std::int64_t a) {
        return MomentTerms<kOne, true, T>{x + a * sample, spread_mean + a * (kOne ? 1 : channels), last};
      },
      [&](std::int64_t a, const T* sums) { divide_into(variance, a, sums); });
}

/// Batch norm by leaves.
template <class T>
void batch_statistics(const NormGeometry& g, const T* x, T* mean, T* variance) {
  const T count = static_cast<T>(g.count());
  const std::int64_t channels = g.channels(), rows = g.a * g.b;
  const std::int64_t leaf = numerics::leaf_samples(g.b) * g.b;
  ChannelSums<false, T>(x, nullptr, channels, rows, leaf).sum_all(false, mean);
  for (std::int64_t i = 0; i < channels; ++i) mean[i] /= count;
  ChannelSums<true, T>(x, mean, channels, rows, leaf).sum_all(true, variance);
  for (std::int64_t i = 0; i < channels; ++i) variance[i] /= count;
}

template <class T>
void statistics(const NormGeometry& g, const T* x, T* mean, T* variance) {
  const T count = static_cast<T>(g.count());
  if (by_samples(g)) return statistics_of_samples(g, x, mean, variance, [] { return NothingAfter(); });
  if (one_for_row(g)) return group_statistics<true>(g, x, mean, variance);
  if (is_repeated(g)) return group_statistics<false>(g, x, mean, variance);
  const std::int64_t leaves = g.over_batch ? g.a / numerics::leaf_samples(g.b) : 0;
  if (g.numel() > 0 && g.over_batch && (thread_count() == 1 || leaves >= 2 * thread_count()))
    return batch_statistics(g, x, mean, variance);
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
