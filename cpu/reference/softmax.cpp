// The definition of softmax and log_softmax over rows of the last axis, and of their gradients.
#include <vector>

#include "core/numerics/elementary.h"
#include "cpu/reference/order.h"
#include "cpu/reference/reference.h"
#include "cpu/reference/types.h"

namespace isobit::cpu::reference {
namespace {

// A NaN wins.
template <class S>
Compute<S> row_maximum(ConstView x, std::int64_t first, std::int64_t columns) {
  Compute<S> best = load<S>(x, first);
  for (std::int64_t j = 1; j < columns && best == best; ++j) {
    const Compute<S> v = load<S>(x, first + j);
    if (v > best || v != v) best = v;
  }
  return best;
}

// Calls fn(first element) for every row.
template <class Fn>
void for_each_row(std::int64_t numel, std::int64_t columns, const Fn& fn) {
  if (columns == 0) return;
  for (std::int64_t first = 0; first < numel; first += columns) fn(first);
}

}  // namespace

void softmax(std::int64_t columns, ConstView x, View y) {
  with_floating("softmax", x.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    using V = Compute<S>;
    for_each_row(x.numel, columns, [&](std::int64_t first) {
      const V m = row_maximum<S>(x, first, columns);
      std::vector<V> e(static_cast<std::size_t>(columns));
      Lanes<V> s;
      for (std::int64_t j = 0; j < columns; ++j) {
        e[static_cast<std::size_t>(j)] = numerics::exp(load<S>(x, first + j) - m);
        s.add(e[static_cast<std::size_t>(j)]);
      }
      const V sum = s.sum();
      for (std::int64_t j = 0; j < columns; ++j) store<S>(y, first + j, e[static_cast<std::size_t>(j)] / sum);
    });
  });
}

void log_softmax(std::int64_t columns, ConstView x, View y) {
  with_floating("log_softmax", x.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    using V = Compute<S>;
    for_each_row(x.numel, columns, [&](std::int64_t first) {
      const V m = row_maximum<S>(x, first, columns);
      Lanes<V> s;
      for (std::int64_t j = 0; j < columns; ++j) s.add(numerics::exp(load<S>(x, first + j) - m));
      const V log_s = numerics::log(s.sum());
      for (std::int64_t j = 0; j < columns; ++j) store<S>(y, first + j, (load<S>(x, first + j) - m) - log_s);
    });
  });
}

void softmax_backward(std::int64_t columns, ConstView dy, ConstView y, View dx) {
  with_floating("softmax_backward", dy.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    using V = Compute<S>;
    for_each_row(dy.numel, columns, [&](std::int64_t first) {
      Lanes<V> lanes;
      for (std::int64_t j = 0; j < columns; ++j) lanes.fma(load<S>(dy, first + j), load<S>(y, first + j));
      const V t = lanes.sum();
      for (std::int64_t j = 0; j < columns; ++j)
        store<S>(dx, first + j, (load<S>(dy, first + j) - t) * load<S>(y, first + j));
    });
  });
}

void log_softmax_backward(std::int64_t columns, ConstView dy, ConstView y, View dx) {
  with_floating("log_softmax_backward", dy.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    using V = Compute<S>;
    for_each_row(dy.numel, columns, [&](std::int64_t first) {
      Lanes<V> lanes;
      for (std::int64_t j = 0; j < columns; ++j) lanes.add(load<S>(dy, first + j));
      const V t = lanes.sum();
      for (std::int64_t j = 0; j < columns; ++j)
        store<S>(dx, first + j,
                 numerics::fma(-numerics::exp(load<S>(y, first + j)), t, load<S>(dy, first + j)));
    });
  });
}

}  // namespace isobit::cpu::reference
