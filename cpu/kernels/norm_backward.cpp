// norm_backward and norm_backward_affine: two sums side by side (of e and e * h; of dy and dy * h), in the
// orders of norm_statistics and of the batch tree; then one pass that writes dx.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/norm_backward.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/norm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

/// What the passes read. mean and rstd as rows of channels read them; gamma may be null.
template <class T>
struct Inputs {
  const T* dy;
  const T* x;
  const T* mean;
  const T* rstd;
  const T* gamma;
};

/// One row of them.
template <bool kOne, class T>
struct InputRow : Inputs<T> {
  template <bool kTail>
  HWY_INLINE Vec<T> e(std::int64_t i, std::int64_t lanes) const {
    const Vec<T> v = load_some<T, kTail>(this->dy + i, lanes);
    return this->gamma == nullptr ? v : v * load_some<T, kTail>(this->gamma + i, lanes);
  }
  template <bool kTail>
  HWY_INLINE Vec<T> h(std::int64_t i, std::int64_t lanes) const {
    const Vec<T> v =
        load_some<T, kTail>(this->x + i, lanes) - load_statistic<kOne, kTail>(this->mean, i, lanes);
    return v * load_statistic<kOne, kTail>(this->rstd, i, lanes);
  }
};

/// sums[0] = e, sums[1] = e * h.
template <bool kOne, class T>
struct BackwardTerm {
  using Row = InputRow<kOne, T>;
  static constexpr int kSums = 2;
  Inputs<T> in;
  std::int64_t sample;  // elements of a sample
  std::int64_t step;    // between the statistics of samples
  BackwardTerm at(std::int64_t offset) const { return {row(offset), sample, step}; }
  Row row(std::int64_t offset) const {
    const std::int64_t at = step == 0 ? 0 : offset / sample * step;
    return {{in.dy + offset, in.x + offset, in.mean + at, in.rstd + at, in.gamma}};
  }
  template <bool kTail>
  HWY_INLINE void add(const Row& row, std::int64_t column, std::int64_t lanes, Vec<T>* sum) const {
    const Vec<T> e = row.template e<kTail>(column, lanes);
    sum[0] += e;
    sum[1] += e * row.template h<kTail>(column, lanes);
  }
};

/// Means of e and e * h for the statistics of one sample.
template <class T>
void sample_means(const NormGeometry& g, InputRow<true, T> row, T count, T* mean_e, T* mean_eh) {
  BlockChain<T> e_chain, eh_chain;
  for (std::int64_t b = 0; b < g.b; ++b) {
    e_chain.add(lanes_tree<T>(g.d, [&](auto tail, std::int64_t i, std::int64_t lanes, Vec<T> acc)
                                       HWY_ATTR { return acc + row.template e<tail.value>(i, lanes); }));
    eh_chain.add(lanes_tree<T>(g.d, [&](auto tail, std::int64_t i, std::int64_t lanes, Vec<T> acc) HWY_ATTR {
      return acc + row.template e<tail.value>(i, lanes) * row.template h<tail.value>(i, lanes);
    }));
    row.dy += g.channels();
    row.x += g.channels();
  }
  *mean_e = e_chain.sum() / count;
  *mean_eh = eh_chain.sum() / count;
}

template <bool kOne, class T>
void write_rows(const NormGeometry& g, const Inputs<T>& in, const T* mean_e, const T* mean_eh, T* dx) {
  const std::int64_t channels = g.channels();
  const BackwardTerm<kOne, T> term{in, g.b * channels, sample_step(g)};
  for_rows(g.a * g.b, channels * static_cast<std::int64_t>(3 * sizeof(T)),
           [&](std::int64_t begin, std::int64_t end) {
             for (std::int64_t r = begin; r < end; ++r) {
               const InputRow<kOne, T> row = term.row(r * channels);
               const T *s1 = mean_e + (row.mean - in.mean), *s2 = mean_eh + (row.mean - in.mean);
               T* to = dx + r * channels;
               for_vectors<T>(channels, [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
                 const Vec<T> centred =
                     row.template e<tail.value>(i, lanes) - load_statistic<kOne, tail.value>(s1, i, lanes);
                 const Vec<T> inner = fma(-row.template h<tail.value>(i, lanes),
                                          load_statistic<kOne, tail.value>(s2, i, lanes), centred);
                 store_some<tail.value>(load_statistic<kOne, tail.value>(row.rstd, i, lanes) * inner, to + i,
                                        lanes);
               });
             }
           });
}

template <class T>
void backward(const NormGeometry& g, double eps, const T* dy, const T* x, const T* mean, const T* variance,
              const T* gamma, T* dx) {
  const std::int64_t n = g.statistics(), room = spread_size(g);
  const T count = static_cast<T>(g.count());
  Scratch<T> rstd(n), mean_e(n), mean_eh(n), room1(room), room2(room), room3(room), room4(room);
  reciprocal_deviation(variance, static_cast<T>(eps), n, rstd.data());
  if (g.over_batch || one_for_channel(g)) {
    const std::int64_t channels = g.channels();
    const BackwardTerm<false, T> term{{dy, x, mean, rstd.data(), gamma}, g.b * channels, sample_step(g)};
    const ColumnProblem p =
        g.over_batch ? norm_columns(g, 2 * sizeof(T)) : instance_columns(g, 2 * sizeof(T));
    column_sums<T>(p, term, [&](std::int64_t outer, std::int64_t column, std::int64_t width, const T* tile) {
      for (std::int64_t j = 0; j < width; ++j) {
        mean_e[outer * channels + column + j] = tile[j] / count;
        mean_eh[outer * channels + column + j] = tile[kColumns<T> + j] / count;
      }
    });
  } else {
    T *e = mean_e.data(), *eh = mean_eh.data(), *r = rstd.data();
    for_sample_statistics(g, 4 * sizeof(T), [&](std::int64_t i, std::int64_t offset, std::int64_t channel) {
      const InputRow<true, T> row{
          {dy + offset, x + offset, mean + i, r + i, gamma == nullptr ? nullptr : gamma + channel}};
      sample_means<T>(g, row, count, e + i, eh + i);
    });
  }
  const Inputs<T> in{dy, x, spread(g, mean, room1.data()), spread<T>(g, rstd.data(), room2.data()), gamma};
  const auto write = one_for_row(g) ? write_rows<true, T> : write_rows<false, T>;
  write(g, in, spread<T>(g, mean_e.data(), room3.data()), spread<T>(g, mean_eh.data(), room4.data()), dx);
}

template <class T>
void affine(const NormGeometry& g, double eps, const T* dy, const T* x, const T* mean, const T* variance,
            T* dgamma, T* dbeta) {
  const std::int64_t n = g.statistics(), room = spread_size(g);
  Scratch<T> rstd(n), room1(room), room2(room);
  reciprocal_deviation(variance, static_cast<T>(eps), n, rstd.data());
  const Inputs<T> in{dy, x, spread(g, mean, room1.data()), spread<T>(g, rstd.data(), room2.data()), nullptr};
  const auto done = [&](std::int64_t, std::int64_t column, std::int64_t width, const T* tile) {
    if (dbeta != nullptr) std::copy_n(tile, width, dbeta + column);
    if (dgamma != nullptr) std::copy_n(tile + kColumns<T>, width, dgamma + column);
  };
  const ColumnProblem p = norm_columns(g, 2 * sizeof(T));
  const std::int64_t sample = g.b * g.channels(), step = sample_step(g);
  if (one_for_row(g)) return column_sums<T>(p, BackwardTerm<true, T>{in, sample, step}, done);
  column_sums<T>(p, BackwardTerm<false, T>{in, sample, step}, done);
}

}  // namespace

void run_norm_backward(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                       ConstView variance, ConstView gamma, View dx) {
  if (g.numel() == 0) return;
  with_compute(x.dtype, [&](auto type) {
    using T = decltype(type);
    const Widened<T> gradient(dy), input(x);
    const Rounded<T> out(dx);
    backward(g, eps, gradient.data(), input.data(), mean.as<T>(), variance.as<T>(), gamma.as<T>(),
             out.data());
    out.finish();
  });
}

void run_norm_backward_affine(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                              ConstView variance, View dgamma, View dbeta) {
  with_compute(x.dtype, [&](auto type) {
    using T = decltype(type);
    const Widened<T> gradient(dy), input(x);
    affine(g, eps, gradient.data(), input.data(), mean.as<T>(), variance.as<T>(), dgamma.as<T>(),
           dbeta.as<T>());
  });
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(run_norm_backward);
HWY_EXPORT(run_norm_backward_affine);

namespace kernels {
void norm_backward(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                   ConstView variance, ConstView gamma, View dx) {
  HWY_DYNAMIC_DISPATCH(run_norm_backward)(g, eps, dy, x, mean, variance, gamma, dx);
}
void norm_backward_affine(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                          ConstView variance, View dgamma, View dbeta) {
  HWY_DYNAMIC_DISPATCH(run_norm_backward_affine)(g, eps, dy, x, mean, variance, dgamma, dbeta);
}
}  // namespace kernels
}  // namespace isobit::cpu
#endif
