// local_response_norm and its gradient over windows of channels. A task owns rows, a lane a channel, whose
// window is summed in ascending order. A row lies widened between zeros for the channels that do not exist:
// they add +0 to chains that began at +0, which are never -0, so no bit changes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/local_response_norm.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/elementary_simd-inl.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/tiles-inl.h"
#include "cpu/runtime/scratch.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

/// A row of T between `before` and `after` zeros.
template <class T>
class PaddedRow {
 public:
  PaddedRow(std::int64_t before, std::int64_t columns, std::int64_t after)
      : room_(before + columns + after), row_(room_.data() + before) {
    std::fill_n(room_.data(), before, T{0});
    std::fill_n(row_ + columns, after, T{0});
  }
  T* data() const { return row_; }

 private:
  Scratch<T> room_;
  T* row_;
};

/// The numbers of the op in the compute type.
template <class T>
struct Numbers {
  Vec<T> scale, bias, exponent, factor;
  explicit Numbers(const LocalResponseGeometry& g)
      : scale(static_cast<T>(g.scale)),
        bias(static_cast<T>(g.bias)),
        exponent(static_cast<T>(-g.beta)),
        factor(static_cast<T>(g.scale * (-2 * g.beta))) {}
};

/// d of channels e ..., from a padded row; `s` receives their scale.
template <bool kTail, class T>
HWY_INLINE Vec<T> divisor(const LocalResponseGeometry& g, const Numbers<T>& numbers, const T* x,
                          std::int64_t e, std::int64_t lanes, Vec<T>* s) {
  Vec<T> q(T{0});
  for (std::int64_t j = e - g.before; j <= e + g.after; ++j) {
    const Vec<T> v = load_some<T, kTail>(x + j, lanes);
    q = fma(v, v, q);
  }
  const Vec<T> d = fma(numbers.scale, q, numbers.bias);
  *s = exp(numbers.exponent * log(d));
  return d;
}

/// Traffic and work of a row, in bytes (for_rows): a logarithm and an exponential are worth some.
template <class S>
std::int64_t cost(const LocalResponseGeometry& g, std::int64_t operands) {
  const auto each = static_cast<std::int64_t>(sizeof(S));
  return g.c * (operands * each + 64 + std::min<std::int64_t>(g.before + g.after, 4096) * each);
}

template <class S>
void forward_rows(const LocalResponseGeometry& g, const S* x, S* y) {
  using T = Compute<S>;
  const Numbers<T> numbers(g);
  for_rows(g.rows, cost<S>(g, 2), [&](std::int64_t begin, std::int64_t end) {
    const PaddedRow<T> row(g.before, g.c, g.after);
    for (std::int64_t at = begin * g.c; at < end * g.c; at += g.c) {
      convert_tile(x + at, row.data(), g.c);
      for_vectors<T>(g.c, [&](auto tail, std::int64_t e, std::int64_t lanes) HWY_ATTR {
        Vec<T> s;
        divisor<tail.value>(g, numbers, row.data(), e, lanes, &s);
        store_some<tail.value>(load_some<T, tail.value>(row.data() + e, lanes) * s, y + at + e, lanes);
      });
    }
  });
}

template <class S>
void backward_rows(const LocalResponseGeometry& g, const S* dy, const S* x, S* dx) {
  using T = Compute<S>;
  const Numbers<T> numbers(g);
  for_rows(g.rows, cost<S>(g, 3) * 2, [&](std::int64_t begin, std::int64_t end) {
    const PaddedRow<T> row(g.before, g.c, g.after), terms(g.after, g.c, g.before);
    const Scratch<T> straight(g.c);
    for (std::int64_t at = begin * g.c; at < end * g.c; at += g.c) {
      convert_tile(x + at, row.data(), g.c);
      for_vectors<T>(g.c, [&](auto tail, std::int64_t e, std::int64_t lanes) HWY_ATTR {
        Vec<T> s;
        const Vec<T> d = divisor<tail.value>(g, numbers, row.data(), e, lanes, &s);
        const Vec<T> v = load_some<T, tail.value>(dy + at + e, lanes);
        store_some<tail.value>(v * s, straight.data() + e, lanes);
        const Vec<T> y = load_some<T, tail.value>(row.data() + e, lanes) * s;
        store_some<tail.value>(v * (y / d), terms.data() + e, lanes);
      });
      for_vectors<T>(g.c, [&](auto tail, std::int64_t e, std::int64_t lanes) HWY_ATTR {
        Vec<T> t(T{0});
        for (std::int64_t j = e - g.after; j <= e + g.before; ++j)
          t += load_some<T, tail.value>(terms.data() + j, lanes);
        const Vec<T> slope = numbers.factor * load_some<T, tail.value>(row.data() + e, lanes);
        store_some<tail.value>(fma(slope, t, load_some<T, tail.value>(straight.data() + e, lanes)),
                               dx + at + e, lanes);
      });
    }
  });
}

}  // namespace

void run_local_response_norm(const LocalResponseGeometry& g, ConstView x, View y) {
  with_floating(x.dtype, [&](auto type) {
    using S = decltype(type);
    forward_rows(g, x.as<S>(), y.as<S>());
  });
}
void run_local_response_norm_backward(const LocalResponseGeometry& g, ConstView dy, ConstView x, View dx) {
  with_floating(x.dtype, [&](auto type) {
    using S = decltype(type);
    backward_rows(g, dy.as<S>(), x.as<S>(), dx.as<S>());
  });
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(run_local_response_norm);
HWY_EXPORT(run_local_response_norm_backward);

namespace kernels {
void local_response_norm(const LocalResponseGeometry& g, ConstView x, View y) {
  HWY_DYNAMIC_DISPATCH(run_local_response_norm)(g, x, y);
}
void local_response_norm_backward(const LocalResponseGeometry& g, ConstView dy, ConstView x, View dx) {
  HWY_DYNAMIC_DISPATCH(run_local_response_norm_backward)(g, dy, x, dx);
}
}  // namespace kernels
}  // namespace isobit::cpu
#endif
