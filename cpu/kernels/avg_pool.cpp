// avg_pool and its gradient: channels last, a vector lane owns a channel and sums the real taps of its window
// in window order; the gradient of an element sums dy / count over the windows that hold it in row-major
// order. A sum is an average whose count is 1: dividing by it changes no bit.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/avg_pool.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/pool-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

template <class S>
void forward(const PoolGeometry& g, const S* x, S* y) {
  using T = Compute<S>;
  const std::int64_t rows = g.n * g.axis[0].out * g.axis[1].out, row_size = g.axis[2].out * g.c;
  const std::int64_t sample = input_positions(g) * g.c, pixels = g.positions(), c = g.c;
  if (rows == 0 || row_size == 0) return;
  for_rows(rows, row_size * static_cast<std::int64_t>(sizeof(S) * (1 + taps_of(g))),
           [&](std::int64_t begin, std::int64_t end) {
             Scratch<std::int64_t> room(taps_of(g));
             for_windows(
                 g, begin, end, room.data(),
                 [&](std::int64_t pixel, const std::int64_t* taps, std::int64_t count, std::int64_t by) {
                   const S* in = x + pixel / pixels * sample;
                   S* out = y + pixel * c;
                   const T divisor = static_cast<T>(by);
                   for_vectors<T>(c, [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
                     Vec<T> sum(T{0});
                     for (std::int64_t t = 0; t < count; ++t)
                       sum += load_some<T, tail.value>(in + taps[t] * c + i, lanes);
                     store_some<tail.value>(sum / Vec<T>(divisor), out + i, lanes);
                   });
                 });
           });
}

template <class S>
void backward(const PoolGeometry& g, const S* dy, S* dx) {
  using T = Compute<S>;
  const std::int64_t rows = g.n * g.axis[0].in * g.axis[1].in, row_size = g.axis[2].in * g.c, c = g.c;
  if (rows == 0 || row_size == 0) return;
  const std::array<Holders, 3> holders = all_holders(g);
  // The divisor of an output: a product over the axes, converted once.
  const std::int64_t pixels = g.positions();
  Scratch<T> divisors(pixels);
  for (std::int64_t pixel = 0; pixel < pixels; ++pixel) {
    const Window w = window(g, 2, pixel % g.axis[2].out);
    const Window h = window(g, 1, pixel / g.axis[2].out % g.axis[1].out);
    const Window d = window(g, 0, pixel / g.axis[2].out / g.axis[1].out);
    divisors[pixel] = static_cast<T>(divisor_of(g, d, h, w));
  }
  const T* divisor = divisors.data();
  for_rows(
      rows, row_size * static_cast<std::int64_t>(4 * sizeof(S)), [&](std::int64_t begin, std::int64_t end) {
        Scratch<std::int64_t> room(most_holders(g));
        for_holders(g, holders, begin, end, room.data(),
                    [&](std::int64_t pixel, std::int64_t, const std::int64_t* outputs, std::int64_t count) {
                      S* to = dx + pixel * c;
                      for_vectors<T>(c, [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
                        Vec<T> sum(T{0});
                        for (std::int64_t o = 0; o < count; ++o)
                          sum += load_some<T, tail.value>(dy + outputs[o] * c + i, lanes) /
                                 Vec<T>(divisor[outputs[o] % pixels]);
                        store_some<tail.value>(sum, to + i, lanes);
                      });
                    });
      });
}

}  // namespace

void run_avg_pool(const PoolGeometry& g, ConstView x, View y) {
  with_floating(x.dtype, [&](auto type) {
    using S = decltype(type);
    forward(g, x.as<S>(), y.as<S>());
  });
}
void run_avg_pool_backward(const PoolGeometry& g, ConstView dy, View dx) {
  with_floating(dy.dtype, [&](auto type) {
    using S = decltype(type);
    backward(g, dy.as<S>(), dx.as<S>());
  });
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(run_avg_pool);
HWY_EXPORT(run_avg_pool_backward);

namespace kernels {
void avg_pool(const PoolGeometry& g, ConstView x, View y) {
  HWY_DYNAMIC_DISPATCH(run_avg_pool)(g, x, y);
}
void avg_pool_backward(const PoolGeometry& g, ConstView dy, View dx) {
  HWY_DYNAMIC_DISPATCH(run_avg_pool_backward)(g, dy, dx);
}
}  // namespace kernels
}  // namespace isobit::cpu
#endif
