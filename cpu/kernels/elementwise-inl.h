// The walk of element-wise kernels over operands that may be broadcast, permuted or strided. The output is
// dense and cut into tiles of its row-major order; of each operand a tile is had as a pointer to contiguous
// values of the compute type: the operand itself where it lies so, else a buffer that was filled with the
// elements needed. So every function has one inner loop, over contiguous memory.
#if defined(ISOBIT_CPU_KERNELS_ELEMENTWISE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_ELEMENTWISE_INL_H_
#undef ISOBIT_CPU_KERNELS_ELEMENTWISE_INL_H_
#else
#define ISOBIT_CPU_KERNELS_ELEMENTWISE_INL_H_
#endif

#include "core/geometry.h"
#include "cpu/kernels/stream-inl.h"
#include "cpu/kernels/tiles-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

/// Copies or widens n elements; integers and bool stay as they are.
template <class T, class S>
HWY_INLINE void fetch(const S* from, T* to, std::int64_t n) {
  if constexpr (std::is_same_v<T, S>) {
    std::copy_n(from, n, to);
  } else {
    convert_tile(from, to, n);
  }
}

/// Operand `which` of a geometry: S in memory, T in a tile.
template <class S, class T>
class Operand {
 public:
  Operand(const StridedGeometry& g, int which, const S* data)
      : g_(g), stride_(g.stride[which]), data_(data + g.offset[which]) {
    int axis = g.rank - 1;
    while (axis >= 0 && (g.extent[axis] == 1 || stride_[axis] == period_)) period_ *= g.extent[axis--];
    bool repeats = true;
    for (int i = axis; i >= 0; --i) repeats = repeats && (g.extent[i] == 1 || stride_[i] == 0);
    access_ = axis < 0           ? Access::dense
              : !repeats         ? Access::rows
              : period_ <= kTile ? Access::pattern
                                 : Access::run;
  }

  /// Whether tile() reads the operand itself, however long the tile.
  bool direct() const { return access_ == Access::dense && std::is_same_v<S, T>; }

  /// Elements [begin, begin + n) of the loop, n <= kTile (any n when direct). `buffer` holds 2 * kTile
  /// elements and belongs to this operand alone from the first call on.
  const T* tile(std::int64_t begin, std::int64_t n, T* buffer) {
    switch (access_) {
      case Access::dense:
        if constexpr (std::is_same_v<S, T>) return data_ + begin;
        fetch(data_ + begin, buffer, n);
        return buffer;
      case Access::pattern:
        if (!filled_) fill_pattern(buffer, std::min(kTile, g_.numel()) + period_);
        return buffer + (period_ == 1 ? 0 : begin % period_);
      case Access::run: {
        const std::int64_t phase = begin % period_;
        const std::int64_t first = std::min(n, period_ - phase);
        if constexpr (std::is_same_v<S, T>) {
          if (first == n) return data_ + phase;
        }
        fetch(data_ + phase, buffer, first);
        if (first < n) fetch(data_, buffer + first, n - first);
        return buffer;
      }
      default:
        gather(begin, n, buffer);
        return buffer;
    }
  }

  /// The elements themselves, element by element where need be, to `to`; any n >= 1.
  void gather(std::int64_t begin, std::int64_t n, T* to) const {
    std::int64_t index[Shape::max_rank];
    std::int64_t offset = 0;
    for (int i = g_.rank - 1; i >= 0; --i) {
      index[i] = begin % g_.extent[i];
      begin /= g_.extent[i];
      offset += index[i] * stride_[i];
    }
    const int inner = g_.rank - 1;
    const std::int64_t step = stride_[inner];
    while (true) {
      const std::int64_t run = std::min(n, g_.extent[inner] - index[inner]);
      const S* from = data_ + offset;
      if (step == 1) {
        fetch(from, to, run);
      } else if (step == 0) {
        T value;
        fetch(from, &value, 1);
        std::fill_n(to, run, value);
      } else {
        for (std::int64_t i = 0; i < run; ++i) fetch(from + i * step, to + i, 1);
      }
      n -= run;
      if (n == 0) return;
      to += run;
      offset -= index[inner] * step;
      index[inner] = 0;
      for (int i = inner - 1; i >= 0; --i) {
        offset += stride_[i];
        if (++index[i] < g_.extent[i]) break;
        offset -= index[i] * stride_[i];
        index[i] = 0;
      }
    }
  }

 private:
  enum class Access {
    dense,    // as the output lies
    pattern,  // a short run that repeats (a scalar is a run of one): repeated once in the buffer, read at its
              // phase
    run,      // a long run that repeats
    rows,     // anything else
  };

  void fill_pattern(T* buffer, std::int64_t wanted) {
    fetch(data_, buffer, period_);
    for (std::int64_t have = period_; have < wanted;) {
      const std::int64_t n = std::min(have, wanted - have);
      std::copy_n(buffer, n, buffer + have);
      have += n;
    }
    filled_ = true;
  }

  const StridedGeometry& g_;
  const std::array<std::int64_t, Shape::max_rank>& stride_;
  const S* data_;
  std::int64_t period_ = 1;  // elements of the innermost axes that lie as in the output
  Access access_;
  bool filled_ = false;
};

/// out[i] = f(parameter, a[i], b[i]) on contiguous elements; past the caches where it can and `past` says so.
template <class T, class O>
using BinaryTile = void (*)(T parameter, const T* a, const T* b, O* out, std::int64_t n, bool past);

/// Elements [begin, end) of the loop. O is what f writes, R what the output stores (R != O for f16, bf16).
template <class S, class T, class O, class R>
void binary_range(BinaryTile<T, O> f, T parameter, const StridedGeometry& g, const S* a, const S* b, R* out,
                  std::int64_t begin, std::int64_t end, bool past) {
  Operand<S, T> first(g, 0, a), second(g, 1, b);
  HWY_ALIGN T a_tile[2 * kTile];
  HWY_ALIGN T b_tile[2 * kTile];
  if constexpr (std::is_same_v<O, R>) {
    if (first.direct() && second.direct()) {
      return f(parameter, first.tile(begin, 0, a_tile), second.tile(begin, 0, b_tile), out + begin,
               end - begin, past);
    }
  }
  for (std::int64_t i = begin; i < end; i += kTile) {
    const std::int64_t n = std::min(kTile, end - i);
    const T* x = first.tile(i, n, a_tile);
    const T* y = second.tile(i, n, b_tile);
    if constexpr (std::is_same_v<O, R>) {
      f(parameter, x, y, out + i, n, past);
    } else {
      HWY_ALIGN O result[kTile];
      f(parameter, x, y, result, n, false);
      if (past) {
        HWY_ALIGN R narrow[kTile];
        convert_tile(result, narrow, n);
        stream_tile(narrow, out + i, n);
      } else {
        convert_tile(result, out + i, n);
      }
    }
  }
}

/// The whole loop, on as many threads as it is worth. `cost`: the function's own, in bytes of traffic an
/// element. `past`: the result goes past the caches.
template <class S, class T, class O, class R>
void binary_loop(BinaryTile<T, O> f, T parameter, const StridedGeometry& g, const S* a, const S* b, R* out,
                 std::int64_t cost, bool past = false) {
  const std::int64_t n = g.numel();
  if constexpr (std::is_same_v<S, T> && std::is_same_v<O, R>) {  // a small problem shall cost little
    if (n <= kTile && g.rank == 1 && g.stride[0][0] == 1 && g.stride[1][0] == 1)
      return f(parameter, a + g.offset[0], b + g.offset[1], out, n, false);
  }
  for_ranges(n, static_cast<std::int64_t>(2 * sizeof(S) + sizeof(R)) + cost,
             [&](std::int64_t begin, std::int64_t end) {
               binary_range<S, T, O, R>(f, parameter, g, a, b, out, begin, end, past);
               if (past) hwy::FlushStream();
             });
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
