// softmax, log_softmax and their gradients over rows of the last axis. A task owns rows; a row's sum is the
// lanes tree (lanes-inl.h). The maximum has no order to keep: a NaN anywhere makes the whole row NaN, and
// which of two equal zeros is taken changes no bit of what follows. Results larger than the caches go past
// them.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/softmax.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/elementary_simd-inl.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/lanes-inl.h"
#include "cpu/kernels/stream-inl.h"
#include "cpu/runtime/scratch.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

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

/// Where a row of results is put together: in the result, or, where that goes past the caches, in room from
/// which done() sends it on.
template <class S>
class OutputRows {
 public:
  OutputRows(S* out, std::int64_t rows, std::int64_t columns)
      : out_(out),
        columns_(columns),
        streams_(past_caches(out, rows * bytes(), bytes())),
        room_(streams_ ? columns : 0) {}
  ~OutputRows() {
    if (streams_) hwy::FlushStream();
  }
  OutputRows(const OutputRows&) = delete;
  OutputRows& operator=(const OutputRows&) = delete;
  S* row(std::int64_t index) const { return streams_ ? room_.data() : out_ + index * columns_; }
  void done(std::int64_t index) const {
    if (streams_) stream_tile<S>(room_.data(), out_ + index * columns_, columns_);
  }

 private:
  std::int64_t bytes() const { return columns_ * static_cast<std::int64_t>(sizeof(S)); }
  S* out_;
  std::int64_t columns_;
  bool streams_;
  Scratch<S> room_;
};

template <class T>
T sum_of_row(const T* x, std::int64_t n) {
  return lanes_tree<T>(n, [x](auto tail, std::int64_t i, std::int64_t lanes, Vec<T> acc)
                              HWY_ATTR { return acc + load_some<T, tail.value>(x + i, lanes); });
}

/// room = exp(x - m), its lanes sum is returned.
template <class T>
T exponentials(const T* x, std::int64_t n, T* room) {
  const Vec<T> m(row_maximum(x, n));
  for_vectors<T>(n, [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
    store_some<tail.value>(exp(load_some<T, tail.value>(x + i, lanes) - m), room + i, lanes);
  });
  return sum_of_row(room, n);
}

template <class S>
void softmax_rows(std::int64_t rows, std::int64_t columns, const S* x, S* y) {
  using T = Compute<S>;
  for_rows(rows, columns * static_cast<std::int64_t>(2 * sizeof(S) + 32),
           [&](std::int64_t begin, std::int64_t end) {
             const OutputRows<S> out(y, rows, columns);
             Scratch<T> wide(columns), room(columns);
             T* const e = room.data();
             for (std::int64_t row = begin; row < end; ++row) {
               const Vec<T> s(exponentials(widened(x + row * columns, columns, wide.data()), columns, e));
               S* const to = out.row(row);
               for_vectors<T>(columns, [=](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
                 store_some<tail.value>(load_some<T, tail.value>(e + i, lanes) / s, to + i, lanes);
               });
               out.done(row);
             }
           });
}

template <class S>
void log_softmax_rows(std::int64_t rows, std::int64_t columns, const S* x, S* y) {
  using T = Compute<S>;
  for_rows(rows, columns * static_cast<std::int64_t>(2 * sizeof(S) + 32),
           [&](std::int64_t begin, std::int64_t end) {
             const OutputRows<S> out(y, rows, columns);
             Scratch<T> wide(columns), e(columns);
             for (std::int64_t row = begin; row < end; ++row) {
               const T* in = widened(x + row * columns, columns, wide.data());
               const Vec<T> log_s = log(Vec<T>(exponentials(in, columns, e.data())));
               const Vec<T> m(row_maximum(in, columns));
               S* const to = out.row(row);
               for_vectors<T>(columns, [=](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
                 store_some<tail.value>((load_some<T, tail.value>(in + i, lanes) - m) - log_s, to + i, lanes);
               });
               out.done(row);
             }
           });
}

template <class S>
void softmax_backward_rows(std::int64_t rows, std::int64_t columns, const S* dy, const S* y, S* dx) {
  using T = Compute<S>;
  for_rows(
      rows, columns * static_cast<std::int64_t>(3 * sizeof(S)), [&](std::int64_t begin, std::int64_t end) {
        const OutputRows<S> out(dx, rows, columns);
        for (std::int64_t row = begin; row < end; ++row) {
          const S *const d = dy + row * columns, *const p = y + row * columns;
          S* const to = out.row(row);
          const Vec<T> t(lanes_tree<T>(columns, [&](auto tail, std::int64_t i, std::int64_t lanes,
                                                    Vec<T> acc) HWY_ATTR {
            return fma(load_some<T, tail.value>(d + i, lanes), load_some<T, tail.value>(p + i, lanes), acc);
          }));
          for_vectors<T>(columns, [=](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
            const Vec<T> v = load_some<T, tail.value>(d + i, lanes) - t;
            store_some<tail.value>(v * load_some<T, tail.value>(p + i, lanes), to + i, lanes);
          });
          out.done(row);
        }
      });
}

template <class S>
void log_softmax_backward_rows(std::int64_t rows, std::int64_t columns, const S* dy, const S* y, S* dx) {
  using T = Compute<S>;
  for_rows(rows, columns * static_cast<std::int64_t>(3 * sizeof(S) + 32),
           [&](std::int64_t begin, std::int64_t end) {
             const OutputRows<S> out(dx, rows, columns);
             Scratch<T> wide(columns);
             for (std::int64_t row = begin; row < end; ++row) {
               const T* const d = widened(dy + row * columns, columns, wide.data());
               const S* const p = y + row * columns;
               S* const to = out.row(row);
               const Vec<T> t(sum_of_row(d, columns));
               for_vectors<T>(columns, [=](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
                 const Vec<T> e = exp(load_some<T, tail.value>(p + i, lanes));
                 store_some<tail.value>(fma(-e, t, load_some<T, tail.value>(d + i, lanes)), to + i, lanes);
               });
               out.done(row);
             }
           });
}

}  // namespace

void run_softmax(bool log, std::int64_t columns, ConstView x, View y) {
  if (x.numel == 0 || columns == 0) return;
  with_floating(x.dtype, [&](auto type) {
    using S = decltype(type);
    (log ? log_softmax_rows<S> : softmax_rows<S>)(x.numel / columns, columns, x.as<S>(), y.as<S>());
  });
}
void run_softmax_backward(bool log, std::int64_t columns, ConstView dy, ConstView y, View dx) {
  if (dy.numel == 0 || columns == 0) return;
  with_floating(dy.dtype, [&](auto type) {
    using S = decltype(type);
    const auto rows = log ? log_softmax_backward_rows<S> : softmax_backward_rows<S>;
    rows(dy.numel / columns, columns, dy.as<S>(), y.as<S>(), dx.as<S>());
  });
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(run_softmax);
HWY_EXPORT(run_softmax_backward);

namespace kernels {
void softmax(std::int64_t columns, ConstView x, View y) {
  HWY_DYNAMIC_DISPATCH(run_softmax)(false, columns, x, y);
}
void log_softmax(std::int64_t columns, ConstView x, View y) {
  HWY_DYNAMIC_DISPATCH(run_softmax)(true, columns, x, y);
}
void softmax_backward(std::int64_t columns, ConstView dy, ConstView y, View dx) {
  HWY_DYNAMIC_DISPATCH(run_softmax_backward)(false, columns, dy, y, dx);
}
void log_softmax_backward(std::int64_t columns, ConstView dy, ConstView y, View dx) {
  HWY_DYNAMIC_DISPATCH(run_softmax_backward)(true, columns, dy, y, dx);
}
}  // namespace kernels
}  // namespace isobit::cpu
#endif
