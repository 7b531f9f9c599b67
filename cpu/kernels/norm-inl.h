// What the norm kernels share. Statistics are brought into the form that a row of channels reads: one number
// for the row (layer norm), or one for every channel, the same for all rows (batch norm) or for the rows of a
// sample (group norm; where a group is one channel, as they are).
#if defined(ISOBIT_CPU_KERNELS_NORM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_NORM_INL_H_
#undef ISOBIT_CPU_KERNELS_NORM_INL_H_
#else
#define ISOBIT_CPU_KERNELS_NORM_INL_H_
#endif

#include "core/geometry.h"
#include "cpu/kernels/columns-inl.h"
#include "cpu/kernels/lanes-inl.h"
#include "cpu/kernels/stream-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

/// A tensor in the compute type: as it lies, or, of halves, a widened copy.
template <class T>
class Widened {
 public:
  explicit Widened(ConstView v) : room_(size_of(v.dtype) == 2 ? v.numel : 0), data_(v.as<T>()) {
    if (size_of(v.dtype) != 2) return;
    if constexpr (std::is_same_v<T, float>) {
      data_ = room_.data();
      for_ranges(v.numel, 6, [&](std::int64_t begin, std::int64_t end) {
        T* to = room_.data() + begin;
        if (v.dtype == DType::f16) return convert_tile(v.as<f16>() + begin, to, end - begin);
        convert_tile(v.as<bf16>() + begin, to, end - begin);
      });
    }
  }
  const T* data() const { return data_; }

 private:
  Scratch<T> room_;
  const T* data_;
};

/// Where results in the compute type go: the tensor itself, or room that finish() rounds into halves.
template <class T>
class Rounded {
 public:
  explicit Rounded(View v)
      : view_(v),
        room_(size_of(v.dtype) == 2 ? v.numel : 0),
        data_(size_of(v.dtype) == 2 ? room_.data() : v.as<T>()) {}
  T* data() const { return data_; }
  void finish() const {
    if (size_of(view_.dtype) != 2) return;
    if constexpr (std::is_same_v<T, float>) {
      for_ranges(view_.numel, 6, [&](std::int64_t begin, std::int64_t end) {
        const T* from = data_ + begin;
        if (view_.dtype == DType::f16) return convert_tile(from, view_.as<f16>() + begin, end - begin);
        convert_tile(from, view_.as<bf16>() + begin, end - begin);
      });
    }
  }

 private:
  View view_;
  Scratch<T> room_;
  T* data_;
};

/// Calls body(T{}) for the compute type.
template <class Body>
HWY_INLINE void with_compute(DType dtype, const Body& body) {
  if (dtype == DType::f64) return body(double{});
  body(float{});
}

/// A number for every row, or for every channel of a row.
inline bool one_for_row(const NormGeometry& g) {
  return !g.over_batch && g.g == 1;
}
inline bool is_repeated(const NormGeometry& g) {
  return !g.over_batch && g.g > 1 && g.d > 1;
}
/// Instance norm: every channel of a sample has a statistic of its own, so that a lane may own it.
inline bool one_for_channel(const NormGeometry& g) {
  return !g.over_batch && g.g > 1 && g.d == 1;
}
/// Elements between the numbers of one sample and of the next.
inline std::int64_t sample_step(const NormGeometry& g) {
  return g.over_batch ? 0 : g.g == 1 ? 1 : g.channels();
}
/// Room that spread() needs.
inline std::int64_t spread_size(const NormGeometry& g) {
  return is_repeated(g) ? g.a * g.channels() : 0;
}
/// The same for one sample.
template <class T>
void spread_sample(const NormGeometry& g, const T* statistics, T* room) {
  for (std::int64_t i = 0; i < g.g; ++i) std::fill_n(room + i * g.d, g.d, statistics[i]);
}
/// Statistics as rows read them; `room` is used when each must be repeated for its channels.
template <class T>
const T* spread(const NormGeometry& g, const T* statistics, T* room) {
  if (!is_repeated(g)) return statistics;
  for (std::int64_t i = 0; i < g.statistics(); ++i) std::fill_n(room + i * g.d, g.d, statistics[i]);
  return room;
}

/// p, or where it is null room filled with `value`.
template <class T>
const T* or_all(const T* p, T value, const Scratch<T>& room) {
  if (p != nullptr) return p;
  std::fill(room.begin(), room.end(), value);
  return room.data();
}

/// out = 1 / sqrt(variance + eps).
template <class T>
void reciprocal_deviation(const T* variance, T eps, std::int64_t n, T* out) {
  for_vectors<T>(n, [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
    const Vec<T> v = load_some<T, tail.value>(variance + i, lanes);
    store_some<tail.value>(Vec<T>(T{1}) / sqrt(v + Vec<T>(eps)), out + i, lanes);
  });
}

/// p[column ...] or, when there is one number for the row, p[0] in all lanes.
template <bool kOne, bool kTail, class T>
HWY_INLINE Vec<T> load_statistic(const T* p, std::int64_t column, std::int64_t lanes) {
  if constexpr (kOne) {
    return Vec<T>(*p);
  } else {
    return load_some<T, kTail>(p + column, lanes);
  }
}

/// What a row is normalised with.
template <class T>
struct Affine {
  const T* mean;  // and rstd: as rows read them
  const T* rstd;
  const T* gamma;  // not null, nor is beta
  const T* beta;
};

/// y = fma((x - mean) * rstd, gamma, beta) of rows with the same statistics, some lanes at a time.
template <bool kOne, bool kStream, class T>
struct Normalise {
  const T* x;
  Affine<T> p;
  T* y;
  std::int64_t channels;

  /// Elements [offset, offset + lanes), whose channels begin with i.
  template <bool kTail>
  HWY_INLINE void at(std::int64_t offset, std::int64_t i, std::int64_t lanes) const {
    Vec<T> v = load_some<T, kTail>(x + offset, lanes);
    v = v - load_statistic<kOne, kTail>(p.mean, i, lanes);
    v = v * load_statistic<kOne, kTail>(p.rstd, i, lanes);
    v = fma(v, load_some<T, kTail>(p.gamma + i, lanes), load_some<T, kTail>(p.beta + i, lanes));
    put<kStream, kTail>(v, y + offset, lanes);
  }
};

/// The same of whole rows, or what else has such an at().
template <class T, class Rows>
HWY_INLINE void for_row(const Rows rows, std::int64_t row) {
  const std::int64_t first = row * rows.channels;
  for_vectors<T>(rows.channels, [=](auto tail, std::int64_t i, std::int64_t lanes)
                                    HWY_ATTR { rows.template at<tail.value>(first + i, i, lanes); });
}

/// The rows of x as a column problem: batch tree over a, blocked chain over (a, b) in a leaf, a column is a
/// channel.
inline ColumnProblem norm_columns(const NormGeometry& g, std::int64_t bytes) {
  ColumnProblem p;
  p.rows.add(g.a * g.b, g.channels());
  p.width = g.channels();
  p.leaf_rows = numerics::leaf_samples(g.b) * g.b;
  p.bytes = bytes;
  return p;
}

/// The same for the statistics of single samples, each a channel's: blocked chains over b.
inline ColumnProblem instance_columns(const NormGeometry& g, std::int64_t bytes) {
  ColumnProblem p;
  p.outer.add(g.a, g.b * g.channels());
  p.rows.add(g.b, g.channels());
  p.width = g.channels();
  p.bytes = bytes;
  return p;
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
