// The statistics of layer, group and instance norm sample by sample: a task owns samples, whose rows are in a
// cache when they are read again; what follows while they are is the caller's to say.
#if defined(ISOBIT_CPU_KERNELS_NORM_SAMPLES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_NORM_SAMPLES_INL_H_
#undef ISOBIT_CPU_KERNELS_NORM_SAMPLES_INL_H_
#else
#define ISOBIT_CPU_KERNELS_NORM_SAMPLES_INL_H_
#endif

#include "cpu/kernels/ahead-inl.h"
#include "cpu/kernels/channel_sums-inl.h"
#include "cpu/kernels/norm_groups-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

/// x, or (x - mean)^2 with the square rounded, of a sample of group or layer norm; `mean` as rows read it,
/// `last` the last element of all.
template <bool kOne, bool kSquare, class T>
auto moment_terms(const T* x, std::int64_t channels, const T* mean, const T* last) {
  return [=](auto tail, std::int64_t row, std::int64_t i, std::int64_t lanes, Vec<T>* t) HWY_ATTR {
    const T* const at = x + row * channels + i;
    if constexpr (!kSquare) ask_next_page(at, last);
    Vec<T> v = load_some<T, tail.value>(at, lanes);
    if constexpr (kSquare) {
      v = v - load_statistic<kOne, tail.value>(mean, i, lanes);
      v = v * v;
    }
    t[0] = v;
  };
}

/// Whether there are samples enough for every thread.
inline bool by_samples(const NormGeometry& g) {
  if (g.over_batch || g.numel() == 0) return false;
  if (one_for_channel(g)) return thread_count() == 1 || g.a >= 2 * thread_count();
  return in_samples(g);
}

/// Layer norm: a lanes tree, which the chains of GroupSums' one row begin with +0.
template <class T, class After>
void rows_of_layer(const NormGeometry& g, std::int64_t begin, std::int64_t end, const T* x, T* mean,
                   T* variance, const After& after) {
  const T count = static_cast<T>(g.d);
  for (std::int64_t a = begin; a < end; ++a) {
    const T* const row = x + a * g.d;
    const RowAhead<T> next(x, g.a, g.d, a);
    const T m =
        (T{0} + lanes_tree<T>(g.d,
                              [=](auto tail, std::int64_t i, std::int64_t lanes, Vec<T> acc) HWY_ATTR {
                                next.ask(i, lanes);
                                return acc + load_some<T, tail.value>(row + i, lanes);
                              })) /
        count;
    const Vec<T> centre(m);
    mean[a] = m;
    variance[a] =
        (T{0} + lanes_tree<T>(g.d,
                              [=](auto tail, std::int64_t i, std::int64_t lanes, Vec<T> acc) HWY_ATTR {
                                const Vec<T> v = load_some<T, tail.value>(row + i, lanes) - centre;
                                return acc + v * v;
                              })) /
        count;
    after(a);
  }
}

template <bool kOne, class T, class After>
void samples_of_groups(const NormGeometry& g, std::int64_t begin, std::int64_t end, const T* x, T* mean,
                       T* variance, const After& after) {
  const T count = static_cast<T>(g.count());
  const std::int64_t channels = g.channels(), sample = g.b * channels;
  const T* const last = x + (std::max<std::int64_t>(g.numel(), 1) - 1);
  GroupSums<T, 1> room(g);
  const Scratch<T> sums(room.lanes()), spread_mean(channels);
  const auto divide_into = [&](T* out, std::int64_t a) {
    for (std::int64_t i = 0; i < g.g; ++i) out[a * g.g + i] = sums[i] / count;
  };
  for (std::int64_t a = begin; a < end; ++a) {
    const T* const m = kOne ? mean + a : spread_mean.data();
    room.sample(moment_terms<kOne, false>(x + a * sample, channels, m, last), sums.data());
    divide_into(mean, a);
    if constexpr (!kOne) spread_sample(g, mean + a * g.g, spread_mean.data());
    room.sample(moment_terms<kOne, true>(x + a * sample, channels, m, last), sums.data());
    divide_into(variance, a);
    after(a);
  }
}

template <class T, class After>
void samples_of_channels(const NormGeometry& g, std::int64_t begin, std::int64_t end, const T* x, T* mean,
                         T* variance, const After& after) {
  const T count = static_cast<T>(g.count());
  const std::int64_t channels = g.channels(), sample = g.b * channels;
  const Scratch<T> room(channels);
  for (std::int64_t a = begin; a < end; ++a) {
    T *const m = mean + a * channels, *const v = variance + a * channels;
    ChannelSums<false, T>(x + a * sample, nullptr, channels, g.b, g.b).sum_leaf(0, m, room.data());
    for (std::int64_t i = 0; i < channels; ++i) m[i] /= count;
    ChannelSums<true, T>(x + a * sample, m, channels, g.b, g.b).sum_leaf(0, v, room.data());
    for (std::int64_t i = 0; i < channels; ++i) v[i] /= count;
    after(a);
  }
}

/// Where by_samples(). Each task makes its make_after() and calls it with the index of every sample of its
/// own, once mean and variance of that are there.
template <class T, class MakeAfter>
void statistics_of_samples(const NormGeometry& g, const T* x, T* mean, T* variance,
                           const MakeAfter& make_after) {
  const std::int64_t bytes = 2 * g.b * g.channels() * static_cast<std::int64_t>(sizeof(T));
  for_rows(g.a, bytes, [&](std::int64_t begin, std::int64_t end) {
    const auto after = make_after();
    if (one_for_channel(g)) return samples_of_channels(g, begin, end, x, mean, variance, after);
    if (!one_for_row(g)) return samples_of_groups<false>(g, begin, end, x, mean, variance, after);
    if (g.b > 1) return samples_of_groups<true>(g, begin, end, x, mean, variance, after);
    rows_of_layer(g, begin, end, x, mean, variance, after);
  });
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
