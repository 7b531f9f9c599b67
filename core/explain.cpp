// The taps of a convolution, listed (isobit/explain.h).
#include <isobit/error.h>
#include <isobit/explain.h>

#include <algorithm>
#include <span>

#include "core/numerics/casts.h"
#include "core/numerics/fma.h"
#include "core/numerics/order.h"
#include "core/numerics/pad_index.h"
#include "core/ops/internal.h"
#include "core/verify/shapes.h"

namespace isobit {
namespace {

using Place = std::array<std::int64_t, 3>;

/// {d, h, w} of a position that has as many numbers as x has spatial axes.
Place place_of(const char* what, const Shape& x, const std::vector<std::int64_t>& position,
               const std::array<AxisGeometry, 3>& axis, std::int64_t AxisGeometry::*extent) {
  const auto spatial = static_cast<std::size_t>(x.rank() - 2);
  if (position.size() != spatial)
    fail("trace", "{} position has {} numbers, x {} has {} spatial axes", what, position.size(), x, spatial);
  Place place{};
  for (std::size_t i = 0; i < spatial; ++i) {
    const AxisGeometry& a = axis[3 - spatial + i];
    if (position[i] < 0 || position[i] >= a.*extent)
      fail("trace", "{} position is {} on spatial axis {}, expected from 0 to below {}", what, position[i], i,
           a.*extent);
    place[3 - spatial + i] = position[i];
  }
  return place;
}

/// One term of the sum in type V.
template <class V>
class Sum {
 public:
  void add(V x, V w, ConvTap& tap) {
    if (terms_ == numerics::kBlock) {
      total_ = closed_ ? total_ + chain_ : chain_;
      closed_ = true;
      chain_ = 0;
      terms_ = 0;
    }
    chain_ = numerics::fma(x, w, chain_);
    ++terms_;
    tap.x = x;
    tap.w = w;
    tap.product = x * w;
    tap.chain = chain_;
    tap.total = closed_ ? total_ + chain_ : chain_;
  }

 private:
  V chain_ = 0, total_ = 0;
  std::int64_t terms_ = 0;
  bool closed_ = false;
};

template <class V>
void trace_as(const ConvGeometry& g, const V* x, const V* w, V outside, ConvTrace& trace) {
  const auto& [depth, height, width] = g.axis;
  const std::int64_t channels = g.c_per_group(), first = trace.k / g.k_per_group() * channels;
  Sum<V> sum;
  std::int64_t row = 0;  // of the filter: (t, r, s, c)
  for (std::int64_t t = 0; t < depth.filter; ++t)
    for (std::int64_t r = 0; r < height.filter; ++r)
      for (std::int64_t s = 0; s < width.filter; ++s) {
        ConvTap tap;
        tap.tap = {t, r, s};
        std::int64_t from = trace.n;
        for (std::size_t i = 0; i < 3; ++i) {
          const AxisGeometry& a = g.axis[i];
          tap.padded[i] = trace.output[i] * a.stride + tap.tap[i] * a.dilation;
          tap.source[i] = numerics::pad_source(a.mode, tap.padded[i] - a.pad_before, a.in);
          tap.outside = tap.outside || tap.source[i] < 0;
          from = from * a.in + tap.source[i];
        }
        for (std::int64_t c = 0; c < channels; ++c, ++row) {
          tap.channel = first + c;
          sum.add(tap.outside ? outside : x[from * g.c + tap.channel], w[row * g.k + trace.k], tap);
          trace.taps.push_back(tap);
        }
      }
  trace.sum = trace.taps.empty() ? 0 : trace.taps.back().total;
}

/// The outputs and taps of one axis that read an element.
struct AxisUse {
  std::int64_t padded, tap, output;
};
std::vector<AxisUse> uses_of(const AxisGeometry& a, std::int64_t element) {
  constexpr std::int64_t kMost = std::int64_t{1} << 32;  // pairs that are worth looking at
  if (a.out > kMost / a.filter)
    fail("uses", "{} outputs and {} taps on an axis, expected at most {} pairs", a.out, a.filter, kMost);
  std::vector<AxisUse> found;
  for (std::int64_t out = 0; out < a.out; ++out)
    for (std::int64_t tap = 0; tap < a.filter; ++tap) {
      const std::int64_t padded = out * a.stride + tap * a.dilation;
      if (numerics::pad_source(a.mode, padded - a.pad_before, a.in) == element)
        found.push_back({padded, tap, out});
    }
  std::sort(found.begin(), found.end(), [](const AxisUse& a_use, const AxisUse& b_use) {
    return a_use.padded != b_use.padded ? a_use.padded < b_use.padded : a_use.tap < b_use.tap;
  });
  return found;
}

std::string text_of(const Place& place) {
  return fmt::format("{},{},{}", place[0], place[1], place[2]);
}

}  // namespace

ConvTrace trace(const Tensor& x, const Tensor& w, std::int64_t n, const std::vector<std::int64_t>& position,
                std::int64_t k, const ConvOptions& options) {
  ops::require_defined("trace", {&x, &w});
  ops::require_alike("trace", x, w);
  if (!is_floating(x.dtype())) fail("trace", "x is {}, expected a floating dtype", x.dtype());
  const ConvGeometry g = make_conv_geometry("trace", x.shape(), w.shape(), options);
  if (n < 0 || n >= g.n) fail("trace", "n is {}, expected from 0 to below {}", n, g.n);
  if (k < 0 || k >= g.k) fail("trace", "k is {}, expected from 0 to below {}", k, g.k);
  ConvTrace result;
  result.n = n;
  result.k = k;
  result.options = options;
  result.output = place_of("output", x.shape(), position, g.axis, &AxisGeometry::out);
  const NoGrad off;
  const DType type = ops::compute_type(x.dtype());
  const Tensor filter = ops::oriented_filter(w, options.flip).to(type).to(Device::cpu());
  const Tensor source = x.to(type).to(Device::cpu());
  const double outside = ops::scalar_like(x, g.pad_value).to(type).to(Device::cpu()).item();
  if (type == DType::f64) {
    trace_as(g, view(source).as<double>(), view(filter).as<double>(), outside, result);
  } else {
    trace_as(g, view(source).as<float>(), view(filter).as<float>(), static_cast<float>(outside), result);
  }
  return result;
}

std::vector<ConvUse> uses(const Shape& x, const Shape& w, const std::vector<std::int64_t>& position,
                          const ConvOptions& options) {
  const ConvGeometry g = make_conv_geometry("uses", x, w, options);
  const Place at = place_of("input", x, position, g.axis, &AxisGeometry::in);
  std::vector<ConvUse> found;
  const std::vector<AxisUse> depth = uses_of(g.axis[0], at[0]), height = uses_of(g.axis[1], at[1]),
                             width = uses_of(g.axis[2], at[2]);
  for (const AxisUse& d : depth)
    for (const AxisUse& h : height)
      for (const AxisUse& v : width)
        found.push_back(
            {{d.output, h.output, v.output}, {d.tap, h.tap, v.tap}, {d.padded, h.padded, v.padded}});
  std::stable_sort(found.begin(), found.end(), [](const ConvUse& a, const ConvUse& b) {
    return a.padded != b.padded ? a.padded < b.padded : a.tap < b.tap;
  });
  return found;
}

ConvProblem parse_conv_problem(const std::string& line) {
  const ConvGeometry g = verify::parse_conv_shape(line).geometry;
  const auto first = static_cast<std::size_t>(3 - shown_axes(g));
  std::vector<std::int64_t> x{g.n}, w;
  ConvProblem problem;
  std::vector<std::pair<std::int64_t, std::int64_t>> sides;
  ConvOptions& o = problem.options;
  for (std::size_t i = first; i < 3; ++i) {
    const AxisGeometry& a = g.axis[i];
    x.push_back(a.in);
    w.push_back(a.filter);
    sides.emplace_back(a.pad_before, a.pad_after);
    o.stride.value[i - first] = a.stride;
    o.dilation.value[i - first] = a.dilation;
    o.mode.value[i - first] = a.mode;
  }
  o.stride.count = o.dilation.count = o.mode.count = shown_axes(g);
  o.padding = Padding(std::move(sides));
  o.groups = g.groups;
  o.pad_value = g.pad_value;
  x.push_back(g.c);
  w.push_back(g.c_per_group());
  w.push_back(g.k);
  problem.x = Shape(std::span<const std::int64_t>(x));
  problem.w = Shape(std::span<const std::int64_t>(w));
  return problem;
}

std::string to_text(const ConvTrace& trace) {
  std::string text = fmt::format(
      "y[n {}, position {}, k {}]\n{:>9} {:>4} {:>12} {:>12} {:>14} {:>14} {:>14} {:>14}\n", trace.n,
      text_of(trace.output), trace.k, "tap", "c", "padded", "reads", "x", "w", "product", "sum");
  for (const ConvTap& tap : trace.taps)
    text +=
        fmt::format("{:>9} {:>4} {:>12} {:>12} {:>14.7g} {:>14.7g} {:>14.7g} {:>14.7g}\n", text_of(tap.tap),
                    tap.channel, text_of(tap.padded), tap.outside ? "the value" : text_of(tap.source), tap.x,
                    tap.w, tap.product, tap.total);
  return text;
}

std::string to_text(const std::vector<ConvUse>& uses) {
  std::string text = fmt::format("{:>12} {:>9} {:>12}\n", "padded", "tap", "output");
  for (const ConvUse& use : uses)
    text += fmt::format("{:>12} {:>9} {:>12}\n", text_of(use.padded), text_of(use.tap), text_of(use.output));
  return text;
}

}  // namespace isobit
