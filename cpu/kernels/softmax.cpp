// softmax, log_softmax and their gradients over rows of the last axis. A task owns rows; a row's sum is the
// lanes tree (lanes-inl.h). Results larger than the caches go past them.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/softmax.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/ahead-inl.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/softmax-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

template <class T>
T sum_of_row(const T* x, std::int64_t n) {
  return lanes_tree<T>(n, [x](auto tail, std::int64_t i, std::int64_t lanes, Vec<T> acc)
                              HWY_ATTR { return acc + load_some<T, tail.value>(x + i, lanes); });
}

/// Whether a row goes past the caches while the exponentials of the next one are computed: stores in one go
/// would wait for memory, and the arithmetic for them.
template <bool kStream, class S>
inline constexpr bool kOverlaps = kStream&& std::is_same_v<S, Compute<S>>;

/// A row of a task that is still to be written.
template <class T, class S>
struct Unwritten {
  const T* from = nullptr;  // null: none
  T sum{0}, largest{0};
  bool narrow = false;
  S* to = nullptr;
};

template <bool kStream, class S>
void softmax_rows(std::int64_t rows, std::int64_t columns, const S* x, S* y) {
  using T = Compute<S>;
  for_rows(rows, columns * static_cast<std::int64_t>(2 * sizeof(S) + 32),
           [&](std::int64_t begin, std::int64_t end) {
             const OutputRows<kStream, S> out(y, columns);
             const std::int64_t step = (columns + 15) / 16 * 16;
             const Scratch<T> wide(columns), room(2 * step);
             Unwritten<T, S> last;
             const auto write_last = [&] {
               if (last.from != nullptr)
                 write_shares<kStream>(last.from, last.sum, last.narrow, columns, last.to);
             };
             for (std::int64_t row = begin; row < end; ++row) {
               const T* const in = widened(x + row * columns, columns, wide.data());
               T* const e = room.data() + row % 2 * step;
               const RowAhead<S> next(x, rows, columns, row);
               Extent<T> of = extent(in, columns);
               T s{0};
               bool written = false;
               if constexpr (kOverlaps<kStream, S> && kHasNarrow<T>) {
                 if (last.narrow && of.narrow) {
                   const NarrowShares shares{last.from, Quotients(Vec<T>(last.sum)), last.to};
                   s = exponentials<true>(in, columns, of, e,
                                          [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
                                            next.ask(i, lanes);
                                            shares.template write<true, tail.value>(i, lanes);
                                          });
                   written = true;
                 }
               }
               if (!written) {
                 write_last();
                 s = exponentials<true>(in, columns, of, e,
                                        [&](auto, std::int64_t i, std::int64_t lanes)
                                            HWY_ATTR { next.ask(i, lanes); });
               }
               last = {e, s, of.largest, of.narrow && s <= T{Quotients::kMost}, out.row(row)};
               if constexpr (!kOverlaps<kStream, S>) {
                 write_last();
                 last.from = nullptr;
                 out.done(row);
               }
             }
             write_last();
           });
}

template <bool kStream, class S>
void log_softmax_rows(std::int64_t rows, std::int64_t columns, const S* x, S* y) {
  using T = Compute<S>;
  for_rows(rows, columns * static_cast<std::int64_t>(2 * sizeof(S) + 32),
           [&](std::int64_t begin, std::int64_t end) {
             const OutputRows<kStream, S> out(y, columns);
             const Scratch<T> wide(columns);
             Unwritten<T, S> last;
             const auto logarithms = [&]() HWY_ATTR {
               return Logarithms<T, S>{last.from, Vec<T>(last.largest), log(Vec<T>(last.sum)), last.to};
             };
             for (std::int64_t row = begin; row < end; ++row) {
               const T* const in = widened(x + row * columns, columns, wide.data());
               const RowAhead<S> next(x, rows, columns, row);
               const Extent<T> of = extent(in, columns);
               T s{0};
               if (kOverlaps<kStream, S> && last.from != nullptr) {
                 const Logarithms<T, S> of_last = logarithms();
                 s = exponentials<false, T>(in, columns, of, nullptr,
                                            [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
                                              next.ask(i, lanes);
                                              of_last.template write<kStream, tail.value>(i, lanes);
                                            });
               } else {
                 s = exponentials<false, T>(in, columns, of, nullptr,
                                            [&](auto, std::int64_t i, std::int64_t lanes)
                                                HWY_ATTR { next.ask(i, lanes); });
               }
               last = {in, s, of.largest, of.narrow, out.row(row)};
               if constexpr (!kOverlaps<kStream, S>) {
                 write_row<kStream, T>(logarithms(), columns);
                 out.done(row);
               }
             }
             if (kOverlaps<kStream, S> && last.from != nullptr) write_row<kStream, T>(logarithms(), columns);
           });
}

template <bool kStream, class S>
void softmax_backward_rows(std::int64_t rows, std::int64_t columns, const S* dy, const S* y, S* dx) {
  using T = Compute<S>;
  for_rows(
      rows, columns * static_cast<std::int64_t>(3 * sizeof(S)), [&](std::int64_t begin, std::int64_t end) {
        const OutputRows<kStream, S> out(dx, columns);
        for (std::int64_t row = begin; row < end; ++row) {
          const S *const d = dy + row * columns, *const p = y + row * columns;
          const RowAhead<S> next_d(dy, rows, columns, row), next_p(y, rows, columns, row);
          S* const to = out.row(row);
          const Vec<T> t(lanes_tree<T>(columns, [&](auto tail, std::int64_t i, std::int64_t lanes,
                                                    Vec<T> acc) HWY_ATTR {
            return fma(load_some<T, tail.value>(d + i, lanes), load_some<T, tail.value>(p + i, lanes), acc);
          }));
          for_vectors<T>(columns, [=](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
            next_d.ask(i, lanes);
            next_p.ask(i, lanes);
            const Vec<T> v = load_some<T, tail.value>(d + i, lanes) - t;
            put<kStream, tail.value>(v * load_some<T, tail.value>(p + i, lanes), to + i, lanes);
          });
          out.done(row);
        }
      });
}

template <bool kStream, class S>
void log_softmax_backward_rows(std::int64_t rows, std::int64_t columns, const S* dy, const S* y, S* dx) {
  using T = Compute<S>;
  for_rows(rows, columns * static_cast<std::int64_t>(3 * sizeof(S) + 32),
           [&](std::int64_t begin, std::int64_t end) {
             const OutputRows<kStream, S> out(dx, columns);
             Scratch<T> wide(columns);
             for (std::int64_t row = begin; row < end; ++row) {
               const T* const d = widened(dy + row * columns, columns, wide.data());
               const S* const p = y + row * columns;
               const RowAhead<S> next_d(dy, rows, columns, row), next_p(y, rows, columns, row);
               S* const to = out.row(row);
               const Vec<T> t(sum_of_row(d, columns));
               for_vectors<T>(columns, [=](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
                 next_d.ask(i, lanes);
                 next_p.ask(i, lanes);
                 const Vec<T> e = exp(load_some<T, tail.value>(p + i, lanes));
                 const Vec<T> v = fma(-e, t, load_some<T, tail.value>(d + i, lanes));
                 put<kStream, tail.value>(v, to + i, lanes);
               });
               out.done(row);
             }
           });
}

/// Calls body(std::true_type()) for rows that go past the caches, else with false.
template <class S, class Body>
void with_stream(View out, std::int64_t columns, const Body& body) {
  constexpr std::int64_t size = sizeof(S);
  if (past_caches(out.data, out.numel * size, columns * size)) return body(std::true_type());
  body(std::false_type());
}

}  // namespace

void run_softmax(bool log, std::int64_t columns, ConstView x, View y) {
  if (x.numel == 0 || columns == 0) return;
  if (x.dtype == DType::f32 && softmax_beside(log, x.numel / columns, columns, x.as<float>(), y.as<float>()))
    return;
  with_floating(x.dtype, [&](auto type) {
    using S = decltype(type);
    with_stream<S>(y, columns, [&](auto stream) {
      constexpr bool kStream = decltype(stream)::value;
      const auto rows = log ? log_softmax_rows<kStream, S> : softmax_rows<kStream, S>;
      rows(x.numel / columns, columns, x.as<S>(), y.as<S>());
    });
  });
}
void run_softmax_backward(bool log, std::int64_t columns, ConstView dy, ConstView y, View dx) {
  if (dy.numel == 0 || columns == 0) return;
  with_floating(dy.dtype, [&](auto type) {
    using S = decltype(type);
    with_stream<S>(dx, columns, [&](auto stream) {
      constexpr bool kStream = decltype(stream)::value;
      const auto rows = log ? log_softmax_backward_rows<kStream, S> : softmax_backward_rows<kStream, S>;
      rows(dy.numel / columns, columns, dy.as<S>(), y.as<S>(), dx.as<S>());
    });
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
