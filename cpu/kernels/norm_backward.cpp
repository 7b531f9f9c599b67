// norm_backward and norm_backward_affine: two sums side by side (of e and e * h; of dy and dy * h), in the
// orders of norm_statistics and of the batch tree; then dx is written, of group and layer norm sample by
// sample. Where there is no gamma it is 1, which changes no bit.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/norm_backward.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/norm_samples-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

/// What the passes read. mean and rstd as rows of channels read them; gamma is not null where it is read.
template <class T>
struct Inputs {
  const T* dy;
  const T* x;
  const T* mean;
  const T* rstd;
  const T* gamma;

  // Of e and h: an element's offset and its channel.
  Inputs at(std::int64_t offset, std::int64_t statistic) const {
    return {dy + offset, x + offset, mean + statistic, rstd + statistic, gamma};
  }
  template <bool kScaled, bool kTail>
  HWY_INLINE Vec<T> e(std::int64_t offset, std::int64_t i, std::int64_t lanes) const {
    const Vec<T> v = load_some<T, kTail>(dy + offset, lanes);
    if constexpr (!kScaled) return v;
    return v * load_some<T, kTail>(gamma + i, lanes);
  }
  template <bool kOne, bool kTail>
  HWY_INLINE Vec<T> h(std::int64_t offset, std::int64_t i, std::int64_t lanes) const {
    const Vec<T> v = load_some<T, kTail>(x + offset, lanes) - load_statistic<kOne, kTail>(mean, i, lanes);
    return v * load_statistic<kOne, kTail>(rstd, i, lanes);
  }
};

/// sums[0] = e, sums[1] = e * h, a lane a channel.
template <bool kOne, bool kScaled, class T>
struct BackwardTerm {
  using Row = Inputs<T>;
  static constexpr int kSums = 2;
  Inputs<T> in;
  std::int64_t sample;  // elements of a sample
  std::int64_t step;    // between the statistics of samples
  BackwardTerm at(std::int64_t offset) const { return {row(offset), sample, step}; }
  Row row(std::int64_t offset) const { return in.at(offset, step == 0 ? 0 : offset / sample * step); }
  template <bool kTail>
  HWY_INLINE void add(const Row& row, std::int64_t column, std::int64_t lanes, Vec<T>* sum) const {
    const Vec<T> e = row.template e<kScaled, kTail>(column, column, lanes);
    sum[0] += e;
    sum[1] += e * row.template h<kOne, kTail>(column, column, lanes);
  }
};

/// The same terms for GroupSums; last_dy, last_x: the last elements of all.
template <bool kOne, class T>
struct GroupTerms {
  Inputs<T> in;
  const T* last_dy;
  const T* last_x;

  template <class Tail>
  HWY_INLINE void operator()(Tail, std::int64_t offset, std::int64_t i, std::int64_t lanes, Vec<T>* t) const {
    ask_soon(in.dy + offset, last_dy);
    ask_soon(in.x + offset, last_x);
    t[0] = in.template e<true, Tail::value>(offset, i, lanes);
    t[1] = t[0] * in.template h<kOne, Tail::value>(offset, i, lanes);
  }
};

/// dx of rows that have the same statistics, some lanes at a time; mean_e, mean_eh as rows read them.
template <bool kOne, bool kStream, class T>
struct Gradient {
  Inputs<T> in;
  const T* mean_e;
  const T* mean_eh;
  T* dx;
  std::int64_t channels;

  template <bool kTail>
  HWY_INLINE void at(std::int64_t offset, std::int64_t i, std::int64_t lanes) const {
    const Vec<T> centred =
        in.template e<true, kTail>(offset, i, lanes) - load_statistic<kOne, kTail>(mean_e, i, lanes);
    const Vec<T> inner = fma(-in.template h<kOne, kTail>(offset, i, lanes),
                             load_statistic<kOne, kTail>(mean_eh, i, lanes), centred);
    put<kStream, kTail>(load_statistic<kOne, kTail>(in.rstd, i, lanes) * inner, dx + offset, lanes);
  }
};

/// dx, once its sums are there.
template <bool kOne, bool kStream, class T>
void write_all(const NormGeometry& g, const Inputs<T>& in, const T* mean_e, const T* mean_eh, T* dx) {
  const std::int64_t channels = g.channels(), step = sample_step(g);
  for_rows(g.a * g.b, channels * static_cast<std::int64_t>(3 * sizeof(T)),
           [&](std::int64_t begin, std::int64_t end) {
             for (std::int64_t row = begin, a = begin / g.b; row < end; ++a) {
               const std::int64_t rows = std::min(end, (a + 1) * g.b) - row;
               const Gradient<kOne, kStream, T> of_sample{in.at(row * channels, a * step), mean_e + a * step,
                                                          mean_eh + a * step, dx + row * channels, channels};
               for (std::int64_t i = 0; i < rows; ++i) for_row<T>(of_sample, i);
               row += rows;
             }
             if (kStream) hwy::FlushStream();
           });
}

/// What a sample's gradient is written with, in memory of its own.
template <bool kOne, bool kStream, class T>
class SampleGradients {
 public:
  static constexpr bool kWrites = true;

  SampleGradients(const NormGeometry& g, const Inputs<T>& in, T* dx)
      : g_(g), in_(in), dx_(dx), size_(kOne ? 1 : g.channels()), statistics_(4 * size_), sums_(2 * size_) {}
  ~SampleGradients() {
    if (kStream) hwy::FlushStream();
  }
  SampleGradients(const SampleGradients&) = delete;
  SampleGradients& operator=(const SampleGradients&) = delete;

  /// Of sample a; as long as the one after the next has not been asked for.
  Inputs<T> inputs(std::int64_t a) const {
    T* const room = statistics_.data() + a % 2 * 2 * size_;
    spread_to(in_.mean + a * g_.g, room);
    spread_to(in_.rstd + a * g_.g, room + size_);
    const std::int64_t first = a * g_.b * g_.channels();
    return {in_.dy + first, in_.x + first, room, room + size_, in_.gamma};
  }
  /// mean_e and mean_eh of the sample whose rows() are asked for next.
  void set_sums(const T* mean_e, const T* mean_eh) const {
    spread_to(mean_e, sums_.data());
    spread_to(mean_eh, sums_.data() + size_);
  }
  Gradient<kOne, kStream, T> rows(std::int64_t a) const {
    const std::int64_t channels = g_.channels();
    return {inputs(a), sums_.data(), sums_.data() + size_, dx_ + a * g_.b * channels, channels};
  }

 private:
  void spread_to(const T* statistics, T* room) const {
    if constexpr (kOne) {
      *room = *statistics;
    } else {
      spread_sample(g_, statistics, room);
    }
  }

  const NormGeometry& g_;
  const Inputs<T> in_;
  T* const dx_;
  const std::int64_t size_;
  const Scratch<T> statistics_, sums_;
};

/// Group and layer norm; mean and rstd a number a statistic. A task owns samples, whose rows are in a cache
/// when they are read again, while those of the next are read, or, of few samples, blocks of rows.
template <bool kOne, bool kStream, class T>
void group_backward(const NormGeometry& g, const Inputs<T>& in, T* dx) {
  const T count = static_cast<T>(g.count());
  const std::int64_t channels = g.channels(), sample = g.b * channels;
  const std::int64_t bytes = 3 * sizeof(T);
  const T *const last_dy = in.dy + (g.numel() - 1), *const last_x = in.x + (g.numel() - 1);
  if (!in_samples(g)) {
    const std::int64_t n = g.statistics(), size = spread_size(g);
    const Scratch<T> mean_e(n), mean_eh(n), room1(size), room2(size), room3(size), room4(size);
    const Inputs<T> read{in.dy, in.x, spread(g, in.mean, room1.data()), spread(g, in.rstd, room2.data()),
                         in.gamma};
    const std::int64_t lanes = GroupSums<T, 2>(g).lanes(), step = sample_step(g);
    sums_by_blocks<T, 2>(
        g, bytes,
        [&](std::int64_t a) {
          return GroupTerms<kOne, T>{read.at(a * sample, a * step), last_dy, last_x};
        },
        [&](std::int64_t a, const T* sums) {
          for (std::int64_t i = 0; i < g.g; ++i) {
            mean_e[a * g.g + i] = sums[i] / count;
            mean_eh[a * g.g + i] = sums[lanes + i] / count;
          }
        });
    return write_all<kOne, kStream>(g, read, spread<T>(g, mean_e.data(), room3.data()),
                                    spread<T>(g, mean_eh.data(), room4.data()), dx);
  }
  for_rows(g.a, sample * bytes, [&](std::int64_t begin, std::int64_t end) {
    GroupSums<T, 2> room(g);
    const std::int64_t lanes = room.lanes();
    const Scratch<T> sums(2 * lanes);
    const SampleGradients<kOne, kStream, T> gradients(g, in, dx);
    for_samples<T>(
        g, begin, end, gradients,
        [&](std::int64_t a) {
          return GroupTerms<kOne, T>{gradients.inputs(a), last_dy, last_x};
        },
        [&](std::int64_t, const auto& terms) { room.sample(terms, sums.data()); },
        [&](std::int64_t) {
          for (std::int64_t i = 0; i < 2 * lanes; ++i) sums[i] /= count;
          gradients.set_sums(sums.data(), sums.data() + lanes);
        });
  });
}

/// Batch and instance norm.
template <bool kStream, class T>
void channel_backward(const NormGeometry& g, const Inputs<T>& in, T* dx) {
  const T count = static_cast<T>(g.count());
  const std::int64_t channels = g.channels();
  const Scratch<T> mean_e(g.statistics()), mean_eh(g.statistics());
  const ColumnProblem p = g.over_batch ? norm_columns(g, 2 * sizeof(T)) : instance_columns(g, 2 * sizeof(T));
  const BackwardTerm<false, true, T> term{in, g.b * channels, sample_step(g)};
  column_sums<T>(p, term, [&](std::int64_t outer, std::int64_t column, std::int64_t width, const T* tile) {
    for (std::int64_t j = 0; j < width; ++j) {
      mean_e[outer * channels + column + j] = tile[j] / count;
      mean_eh[outer * channels + column + j] = tile[kColumns<T> + j] / count;
    }
  });
  write_all<false, kStream, T>(g, in, mean_e.data(), mean_eh.data(), dx);
}

template <bool kStream, class T>
void backward(const NormGeometry& g, const Inputs<T>& in, T* dx) {
  if (one_for_row(g)) return group_backward<true, kStream>(g, in, dx);
  if (is_repeated(g)) return group_backward<false, kStream>(g, in, dx);
  channel_backward<kStream>(g, in, dx);
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
  if (one_for_row(g)) return column_sums<T>(p, BackwardTerm<true, false, T>{in, sample, step}, done);
  column_sums<T>(p, BackwardTerm<false, false, T>{in, sample, step}, done);
}

}  // namespace

void run_norm_backward(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                       ConstView variance, ConstView gamma, View dx) {
  if (g.numel() == 0) return;
  with_compute(x.dtype, [&](auto type) {
    using T = decltype(type);
    const Widened<T> gradient(dy), input(x);
    const Rounded<T> out(dx);
    const Scratch<T> rstd(g.statistics()), ones(gamma.data == nullptr ? g.channels() : 0);
    reciprocal_deviation(variance.as<T>(), static_cast<T>(eps), g.statistics(), rstd.data());
    const Inputs<T> in{gradient.data(), input.data(), mean.as<T>(), rstd.data(),
                       or_all(gamma.as<T>(), T{1}, ones)};
    const std::int64_t row_bytes = g.channels() * static_cast<std::int64_t>(sizeof(T));
    if (past_caches(out.data(), g.a * g.b * row_bytes, row_bytes)) {
      backward<true>(g, in, out.data());
    } else {
      backward<false>(g, in, out.data());
    }
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
