// The definition of pooling: windows over x [n, d, h, w, c] give y [n, o, p, q, c], every channel by itself.
#include <array>
#include <vector>

#include "cpu/reference/reference.h"
#include "cpu/reference/types.h"

namespace isobit::cpu::reference {
namespace {

// Calls fn(output) for every output position of one sample, row major; output = {o, p, q}.
template <class Fn>
void for_each_output(const PoolGeometry& g, const Fn& fn) {
  for (std::int64_t o = 0; o < g.axis[0].out; ++o)
    for (std::int64_t p = 0; p < g.axis[1].out; ++p)
      for (std::int64_t q = 0; q < g.axis[2].out; ++q) fn(std::array<std::int64_t, 3>{o, p, q});
}

// Calls fn(position) for every tap of the window that lies inside the input, in window order; position = (d *
// H
// + h) * W + w.
template <class Fn>
void for_each_tap(const PoolGeometry& g, const std::array<std::int64_t, 3>& output, const Fn& fn) {
  const AxisGeometry &ad = g.axis[0], &ah = g.axis[1], &aw = g.axis[2];
  if (g.adaptive) {
    const auto first = [&](std::size_t i) { return output[i] * g.axis[i].in / g.axis[i].out; };
    const auto end = [&](std::size_t i) {
      return ((output[i] + 1) * g.axis[i].in + g.axis[i].out - 1) / g.axis[i].out;
    };
    for (std::int64_t d = first(0); d < end(0); ++d)
      for (std::int64_t h = first(1); h < end(1); ++h)
        for (std::int64_t w = first(2); w < end(2); ++w) fn((d * ah.in + h) * aw.in + w);
    return;
  }
  for (std::int64_t t = 0; t < ad.filter; ++t)
    for (std::int64_t r = 0; r < ah.filter; ++r)
      for (std::int64_t s = 0; s < aw.filter; ++s) {
        const std::int64_t d = output[0] * ad.stride + t * ad.dilation - ad.pad_before;
        const std::int64_t h = output[1] * ah.stride + r * ah.dilation - ah.pad_before;
        const std::int64_t w = output[2] * aw.stride + s * aw.dilation - aw.pad_before;
        if (d < 0 || d >= ad.in || h < 0 || h >= ah.in || w < 0 || w >= aw.in) continue;
        fn((d * ah.in + h) * aw.in + w);
      }
}

// Taps an average divides by: those inside the input, or inside the padded input.
std::int64_t count_of(const PoolGeometry& g, const std::array<std::int64_t, 3>& output) {
  if (g.sum) return 1;
  if (g.adaptive) {
    std::int64_t count = 0;
    for_each_tap(g, output, [&](std::int64_t) { ++count; });
    return count;
  }
  std::int64_t product = 1;
  for (std::size_t i = 0; i < 3; ++i) {
    const AxisGeometry& a = g.axis[i];
    std::int64_t count = 0;
    for (std::int64_t tap = 0; tap < a.filter; ++tap) {
      const std::int64_t in = output[i] * a.stride + tap * a.dilation - a.pad_before;
      const bool counts =
          g.count_include_pad ? -a.pad_before <= in && in < a.in + a.pad_after : 0 <= in && in < a.in;
      if (counts) ++count;
    }
    product *= count;
  }
  return product;
}

std::int64_t input_positions(const PoolGeometry& g) {
  return g.axis[0].in * g.axis[1].in * g.axis[2].in;
}

std::int64_t output_positions(const PoolGeometry& g) {
  return g.axis[0].out * g.axis[1].out * g.axis[2].out;
}

}  // namespace

void max_pool(const PoolGeometry& g, ConstView x, View y, View index) {
  with_floating("max_pool", x.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    std::int64_t out = 0;
    for (std::int64_t n = 0; n < g.n; ++n)
      for_each_output(g, [&](const auto& output) {
        for (std::int64_t c = 0; c < g.c; ++c, ++out) {
          Compute<S> best = 0;
          std::int64_t where = -1;
          for_each_tap(g, output, [&](std::int64_t position) {
            const Compute<S> v = load<S>(x, (n * input_positions(g) + position) * g.c + c);
            const bool best_is_nan = where >= 0 && best != best;
            if (where < 0 || (!best_is_nan && (v != v || v > best))) {
              best = v;
              where = position;
            }
          });
          store<S>(y, out, best);
          store<std::int64_t>(index, out, where);
        }
      });
  });
}

void max_pool_backward(const PoolGeometry& g, ConstView dy, ConstView index, View dx) {
  with_floating("max_pool_backward", dy.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    std::vector<Compute<S>> sum(static_cast<std::size_t>(g.n * input_positions(g) * g.c));
    std::int64_t out = 0;
    for (std::int64_t n = 0; n < g.n; ++n)
      for (std::int64_t o = 0; o < output_positions(g); ++o)
        for (std::int64_t c = 0; c < g.c; ++c, ++out) {
          const std::int64_t position = load<std::int64_t>(index, out);
          auto& element = sum[static_cast<std::size_t>((n * input_positions(g) + position) * g.c + c)];
          element = element + load<S>(dy, out);
        }
    for (std::size_t i = 0; i < sum.size(); ++i) store<S>(dx, static_cast<std::int64_t>(i), sum[i]);
  });
}

void max_pool_gather(const PoolGeometry& g, ConstView x, ConstView index, View y) {
  with_floating("max_pool_gather", x.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    std::int64_t out = 0;
    for (std::int64_t n = 0; n < g.n; ++n)
      for (std::int64_t o = 0; o < output_positions(g); ++o)
        for (std::int64_t c = 0; c < g.c; ++c, ++out) {
          const std::int64_t position = load<std::int64_t>(index, out);
          store<S>(y, out, load<S>(x, (n * input_positions(g) + position) * g.c + c));
        }
  });
}

void avg_pool(const PoolGeometry& g, ConstView x, View y) {
  with_floating("avg_pool", x.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    using V = Compute<S>;
    std::int64_t out = 0;
    for (std::int64_t n = 0; n < g.n; ++n)
      for_each_output(g, [&](const auto& output) {
        const V count = static_cast<V>(count_of(g, output));
        for (std::int64_t c = 0; c < g.c; ++c, ++out) {
          V sum = 0;
          for_each_tap(g, output, [&](std::int64_t position) {
            sum = sum + load<S>(x, (n * input_positions(g) + position) * g.c + c);
          });
          store<S>(y, out, sum / count);
        }
      });
  });
}

void avg_pool_backward(const PoolGeometry& g, ConstView dy, View dx) {
  with_floating("avg_pool_backward", dy.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    using V = Compute<S>;
    std::vector<V> sum(static_cast<std::size_t>(g.n * input_positions(g) * g.c));
    std::int64_t out = 0;
    for (std::int64_t n = 0; n < g.n; ++n)
      for_each_output(g, [&](const auto& output) {
        const V count = static_cast<V>(count_of(g, output));
        for (std::int64_t c = 0; c < g.c; ++c, ++out) {
          const V share = load<S>(dy, out) / count;
          for_each_tap(g, output, [&](std::int64_t position) {
            V& element = sum[static_cast<std::size_t>((n * input_positions(g) + position) * g.c + c)];
            element = element + share;
          });
        }
      });
    for (std::size_t i = 0; i < sum.size(); ++i) store<S>(dx, static_cast<std::int64_t>(i), sum[i]);
  });
}

}  // namespace isobit::cpu::reference
