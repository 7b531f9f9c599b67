// What softmax and log_softmax know of a row before they begin, and where they put it. The maximum has no
// order to keep: a NaN anywhere makes the whole row NaN, and which of two equal zeros is taken changes no bit
// of what follows.
#if defined(ISOBIT_CPU_KERNELS_SOFTMAX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_SOFTMAX_INL_H_
#undef ISOBIT_CPU_KERNELS_SOFTMAX_INL_H_
#else
#define ISOBIT_CPU_KERNELS_SOFTMAX_INL_H_
#endif

#include "cpu/kernels/elementary_ranges-inl.h"
#include "cpu/kernels/lanes-inl.h"
#include "cpu/kernels/quotient-inl.h"
#include "cpu/kernels/stream-inl.h"
#include "cpu/runtime/scratch.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

template <class T>
T row_maximum(const T* x, std::int64_t n) {
  constexpr std::int64_t size = Vec<T>::size;
  if (n < size) {
    T best = x[0];
    for (std::int64_t i = 1; i < n; ++i) best = x[i] > best || x[i] != x[i] ? x[i] : best;
    return best;
  }
  // Four registers hide the latency; the last, partial step reads elements twice.
  Vec<T> best[4];
  for (auto& b : best) b = load<T>(x);
  std::int64_t i = 0;
  for (; i + 4 * size <= n; i += 4 * size)
    for (std::int64_t k = 0; k < 4; ++k) best[k] = max(best[k], load<T>(x + i + k * size));
  for (; i + size <= n; i += size) best[0] = max(best[0], load<T>(x + i));
  if (i < n) best[1] = max(best[1], load<T>(x + n - size));
  HWY_ALIGN T lane[size];
  store(max(max(best[0], best[1]), max(best[2], best[3])), lane);
  T m = lane[0];
  for (std::int64_t k = 1; k < size; ++k) m = lane[k] > m || lane[k] != lane[k] ? lane[k] : m;
  return m;
}

/// The largest element of a row, and whether the others lie so close to it that exp of a difference, and its
/// share of the sum, need no more than the shorter ways of ordinary numbers: exp(-69) > Quotients::kLeast.
template <class T>
struct Extent {
  T largest;
  bool narrow = false;
};
template <class T>
inline constexpr bool kHasNarrow = std::is_same_v<T, float>&& HWY_TARGET != HWY_SCALAR;

#if HWY_TARGET != HWY_SCALAR
/// The extent of registers that are looked at one after the other. Without NaN the plain minimum and maximum
/// are those of every target; of magnitudes' bits NaN's are largest.
class Looked {
  static constexpr Tag<float> d{};
  static constexpr BitsTag<float> bits{};

 public:
  explicit HWY_INLINE Looked(const float* x)
      : most_(hn::LoadU(d, x)), least_(most_), magnitude_(hn::BitCast(bits, hn::Abs(most_))) {}

  HWY_INLINE void look(const float* x) {
    const auto v = hn::LoadU(d, x);
    most_ = hn::Max(most_, v);
    least_ = hn::Min(least_, v);
    magnitude_ = hn::Max(magnitude_, hn::BitCast(bits, hn::Abs(v)));
  }
  HWY_INLINE void join(const Looked& other) {
    most_ = hn::Max(most_, other.most_);
    least_ = hn::Min(least_, other.least_);
    magnitude_ = hn::Max(magnitude_, other.magnitude_);
  }
  /// narrow is false where an element is NaN, or infinite; largest is nothing then.
  HWY_INLINE Extent<float> extent() const {
    if (!hn::AllTrue(bits, hn::Lt(magnitude_, hn::Set(bits, 0x7f800000u)))) return {0};
    const float largest = hn::GetLane(hn::MaxOfLanes(d, most_));
    return {largest, largest - hn::GetLane(hn::MinOfLanes(d, least_)) <= 69};
  }

 private:
  Register<float> most_, least_;
  hn::Vec<BitsTag<float>> magnitude_;
};

/// As Looked::extent(), of a row.
inline Extent<float> narrow_extent(const float* x, std::int64_t n) {
  constexpr std::int64_t size = Vec<float>::size, kSide = 4;
  if (n < size) return {0};
  Looked side[kSide] = {Looked(x), Looked(x), Looked(x), Looked(x)};
  std::int64_t i = 0;
  for (; i + kSide * size <= n; i += kSide * size)
    repeat<kSide>([&](auto k) HWY_ATTR { side[k].look(x + i + k * size); });
  for (; i + size <= n; i += size) side[0].look(x + i);
  if (i < n) side[0].look(x + n - size);
  side[0].join(side[1]);
  side[2].join(side[3]);
  side[0].join(side[2]);
  return side[0].extent();
}
#endif

template <class T>
Extent<T> extent(const T* x, std::int64_t n) {
  if constexpr (kHasNarrow<T>) {
    const Extent<T> e = narrow_extent(x, n);
    if (e.narrow) return e;
  }
  return {row_maximum(x, n)};
}

/// A row in the compute type: where it lies, or widened into `room`.
template <class S>
const Compute<S>* widened(const S* x, std::int64_t n, Compute<S>* room) {
  if constexpr (std::is_same_v<S, Compute<S>>) {
    return x;
  } else {
    convert_tile(x, room, n);
    return room;
  }
}

/// Where a row of halves is put together that goes past the caches: in room, from which done() sends it on.
/// Other results are stored where they belong at once.
template <bool kStream, class S>
class OutputRows {
 public:
  OutputRows(S* out, std::int64_t columns) : out_(out), columns_(columns), room_(kInRoom ? columns : 0) {}
  ~OutputRows() {
    if (kStream) hwy::FlushStream();
  }
  OutputRows(const OutputRows&) = delete;
  OutputRows& operator=(const OutputRows&) = delete;
  S* row(std::int64_t index) const { return kInRoom ? room_.data() : out_ + index * columns_; }
  void done(std::int64_t index) const {
    if (kInRoom) stream_tile<S>(room_.data(), out_ + index * columns_, columns_);
  }

 private:
  static constexpr bool kInRoom = kStream && !std::is_same_v<S, Compute<S>>;
  S* out_;
  std::int64_t columns_;
  Scratch<S> room_;
};

/// The lanes sum of exp(x - m), which are stored in room unless that is null; meanwhile(tail, i, lanes) is
/// called for the same vectors.
template <bool kStore, class T, class Meanwhile>
T exponentials(const T* x, std::int64_t n, Extent<T> of, T* room, const Meanwhile& meanwhile) {
  const Vec<T> m(of.largest);
  const auto sum_of = [&](const auto& exponential) HWY_ATTR {
    return lanes_tree<T>(n, [&](auto tail, std::int64_t i, std::int64_t lanes, Vec<T> acc) HWY_ATTR {
      meanwhile(tail, i, lanes);
      const Vec<T> e = exponential(load_some<T, tail.value>(x + i, lanes) - m);
      if constexpr (kStore) store_some<tail.value>(e, room + i, lanes);
      return acc + e;
    });
  };
  if constexpr (kHasNarrow<T>) {
    if (of.narrow) return sum_of([](Vec<T> d) HWY_ATTR { return ranges::exp_of(d); });
  }
  return sum_of([](Vec<T> d) HWY_ATTR { return exp(d); });
}

/// to[i] = from[i] / s.
template <class T, class S>
struct Shares {
  const T* from;
  Vec<T> s;
  S* to;

  template <bool kStream, bool kTail>
  HWY_INLINE void write(std::int64_t i, std::int64_t lanes) const {
    put<kStream, kTail>(load_some<T, kTail>(from + i, lanes) / s, to + i, lanes);
  }
};

/// The same of a narrow row.
struct NarrowShares {
  const float* from;
  Quotients quotient;
  float* to;

  template <bool kStream, bool kTail>
  HWY_INLINE void write(std::int64_t i, std::int64_t lanes) const {
    put<kStream, kTail>(quotient(load_some<float, kTail>(from + i, lanes)), to + i, lanes);
  }
};

/// to[i] = (from[i] - m) - log_s.
template <class T, class S>
struct Logarithms {
  const T* from;
  Vec<T> m, log_s;
  S* to;

  template <bool kStream, bool kTail>
  HWY_INLINE void write(std::int64_t i, std::int64_t lanes) const {
    put<kStream, kTail>((load_some<T, kTail>(from + i, lanes) - m) - log_s, to + i, lanes);
  }
};

template <bool kStream, class T, class Row>
void write_row(const Row& row, std::int64_t n) {
  for_vectors<T>(n, [&](auto tail, std::int64_t i, std::int64_t lanes)
                        HWY_ATTR { row.template write<kStream, tail.value>(i, lanes); });
}

template <bool kStream, class T, class S>
void write_shares(const T* e, T s, bool narrow, std::int64_t n, S* to) {
  if constexpr (kHasNarrow<T> && std::is_same_v<S, T>) {
    if (narrow) return write_row<kStream, T>(NarrowShares{e, Quotients(Vec<T>(s)), to}, n);
  }
  write_row<kStream, T>(Shares<T, S>{e, Vec<T>(s), to}, n);
}

/// softmax or log_softmax of f32 in softmax_beside.cpp; false: not with these columns or instructions.
bool softmax_beside(bool log, std::int64_t rows, std::int64_t columns, const float* x, float* y);

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
