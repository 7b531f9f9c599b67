// The statistics of layer, group and instance norm sample by sample: a task owns samples, whose rows are in a
// cache when they are read again. What follows while they are, `after`, is the caller's: kWrites is whether
// anything does, serves(one) whether it does with one number for a row, or with one for every channel, and
// rows(a) has what for_row() and Beside ask for.
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
struct MomentTerms {
  const T* x;
  const T* mean;
  const T* last;

  template <class Tail>
  HWY_INLINE void operator()(Tail, std::int64_t offset, std::int64_t i, std::int64_t lanes, Vec<T>* t) const {
    const T* const at = x + offset;
    if constexpr (!kSquare) ask_soon(at, last);
    Vec<T> v = load_some<T, Tail::value>(at, lanes);
    if constexpr (kSquare) {
      v = v - load_statistic<kOne, Tail::value>(mean, i, lanes);
      v = v * v;
    }
    t[0] = v;
  }
};

/// Whether there are samples enough for every thread.
inline bool by_samples(const NormGeometry& g) {
  if (g.over_batch || g.numel() == 0) return false;
  if (one_for_channel(g)) return thread_count() == 1 || g.a >= 2 * thread_count();
  return in_samples(g);
}

/// Where nothing follows.
struct NothingAfter {
  static constexpr bool kWrites = false;
  static constexpr bool serves(bool) { return true; }
};

/// The terms of a sample; beside each, the same lanes of the sample before it are written.
template <class Terms, class Rows>
struct Beside {
  Terms terms;
  Rows written;

  template <class Tail, class V>
  HWY_INLINE void operator()(Tail tail, std::int64_t offset, std::int64_t i, std::int64_t lanes, V* t) const {
    terms(tail, offset, i, lanes, t);
    written.template at<Tail::value>(offset, i, lanes);
  }
};
template <class Terms, class Rows>
Beside(Terms, Rows) -> Beside<Terms, Rows>;

/// For samples [begin, end): sum(a, terms), then others(a); of the sample before it after.rows() beside that.
template <class T, class After, class TermsOf, class Sum, class Others>
void for_samples(const NormGeometry& g, std::int64_t begin, std::int64_t end, const After& after,
                 const TermsOf& terms_of, const Sum& sum, const Others& others) {
  if (begin >= end) return;
  sum(begin, terms_of(begin));
  others(begin);
  for (std::int64_t a = begin + 1; a < end; ++a) {
    if constexpr (After::kWrites) {
      sum(a, Beside{terms_of(a), after.rows(a - 1)});
    } else {
      sum(a, terms_of(a));
    }
    others(a);
  }
  if constexpr (After::kWrites) {
    const auto rows = after.rows(end - 1);
    for (std::int64_t row = 0; row < g.b; ++row) for_row<T>(rows, row);
  }
}

/// The lanes tree of a row's terms, which the chains of GroupSums' one row begin with +0.
template <class T, class Terms>
T row_sum(std::int64_t n, const Terms terms) {
  T sum;
  lanes_trees<T, 1>(n, RowStep<1, Terms>{terms}, &sum);
  return T{0} + sum;
}

/// Layer norm.
template <class T, class After>
void rows_of_layer(const NormGeometry& g, std::int64_t begin, std::int64_t end, const T* x, T* mean,
                   T* variance, const After& after) {
  const std::int64_t n = g.d;
  const T count = static_cast<T>(n);
  const T* const last = x + (g.numel() - 1);
  for_samples<T>(
      g, begin, end, after,
      [=](std::int64_t a) {
        return MomentTerms<true, false, T>{x + a * n, nullptr, last};
      },
      [=](std::int64_t a, const auto& terms) { mean[a] = row_sum<T>(n, terms) / count; },
      [=](std::int64_t a) {
        variance[a] = row_sum<T>(n, MomentTerms<true, true, T>{x + a * n, mean + a, last}) / count;
      });
}

template <bool kOne, class T, class After>
void samples_of_groups(const NormGeometry& g, std::int64_t begin, std::int64_t end, const T* x, T* mean,
                       T* variance, const After& after) {
  const T count = static_cast<T>(g.count());
  const std::int64_t channels = g.channels(), sample = g.b * channels;
  const T* const last = x + (g.numel() - 1);
  GroupSums<T, 1> room(g);
  const Scratch<T> sums(room.lanes()), spread_mean(channels);
  const auto divide_into = [&](T* out, std::int64_t a) {
    for (std::int64_t i = 0; i < g.g; ++i) out[a * g.g + i] = sums[i] / count;
  };
  for_samples<T>(
      g, begin, end, after,
      [=](std::int64_t a) {
        return MomentTerms<kOne, false, T>{x + a * sample, mean, last};
      },
      [&](std::int64_t a, const auto& terms) {
        room.sample(terms, sums.data());
        divide_into(mean, a);
      },
      [&](std::int64_t a) {
        if constexpr (!kOne) spread_sample(g, mean + a * g.g, spread_mean.data());
        const T* const m = kOne ? mean + a : spread_mean.data();
        room.sample(MomentTerms<kOne, true, T>{x + a * sample, m, last}, sums.data());
        divide_into(variance, a);
      });
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
    if constexpr (After::kWrites) {
      const auto rows = after.rows(a);
      for (std::int64_t row = 0; row < g.b; ++row) for_row<T>(rows, row);
    }
  }
}

/// Where by_samples(). Each task makes its make_after() and asks it for the rows of every sample of its own,
/// once mean and variance of that are there.
template <class T, class MakeAfter>
void statistics_of_samples(const NormGeometry& g, const T* x, T* mean, T* variance,
                           const MakeAfter& make_after) {
  const std::int64_t bytes = 2 * g.b * g.channels() * static_cast<std::int64_t>(sizeof(T));
  for_rows(g.a, bytes, [&](std::int64_t begin, std::int64_t end) {
    const auto after = make_after();
    using After = std::decay_t<decltype(after)>;
    if constexpr (After::serves(true)) {
      if (one_for_row(g) && g.b > 1) return samples_of_groups<true>(g, begin, end, x, mean, variance, after);
      if (one_for_row(g)) return rows_of_layer(g, begin, end, x, mean, variance, after);
    }
    if constexpr (After::serves(false)) {
      if (one_for_channel(g)) return samples_of_channels(g, begin, end, x, mean, variance, after);
      samples_of_groups<false>(g, begin, end, x, mean, variance, after);
    }
  });
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
