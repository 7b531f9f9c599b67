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
/// narrow is false where an element is NaN, or infinite; largest is nothing then.
inline Extent<float> narrow_extent(const float* x, std::int64_t n) {
  constexpr Tag<float> d;
  constexpr BitsTag<float> bits;
  constexpr std::int64_t size = Vec<float>::size, kSide = 4;
  if (n < size) return {0};
  // Without NaN the plain minimum and maximum are those of every target; of magnitudes' bits NaN's are
  // largest.
  Register<float> most[kSide], least[kSide];
  hn::Vec<BitsTag<float>> magnitude[kSide];
  repeat<kSide>([&](auto k) HWY_ATTR {
    most[k] = least[k] = hn::LoadU(d, x);
    magnitude[k] = hn::Zero(bits);
  });
  const auto look = [&](auto k, const float* at) HWY_ATTR {
    const auto v = hn::LoadU(d, at);
    most[k] = hn::Max(most[k], v);
    least[k] = hn::Min(least[k], v);
    magnitude[k] = hn::Max(magnitude[k], hn::BitCast(bits, hn::Abs(v)));
  };
  std::int64_t i = 0;
  for (; i + kSide * size <= n; i += kSide * size)
    repeat<kSide>([&](auto k) HWY_ATTR { look(k, x + i + k * size); });
  constexpr std::integral_constant<int, 0> first;
  for (; i + size <= n; i += size) look(first, x + i);
  if (i < n) look(first, x + n - size);
  const auto widest = hn::Max(hn::Max(magnitude[0], magnitude[1]), hn::Max(magnitude[2], magnitude[3]));
  if (!hn::AllTrue(bits, hn::Lt(widest, hn::Set(bits, 0x7f800000u)))) return {0};
  const float largest =
      hn::GetLane(hn::MaxOfLanes(d, hn::Max(hn::Max(most[0], most[1]), hn::Max(most[2], most[3]))));
  const float smallest =
      hn::GetLane(hn::MinOfLanes(d, hn::Min(hn::Min(least[0], least[1]), hn::Min(least[2], least[3]))));
  return {largest, largest - smallest <= 69};
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

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
