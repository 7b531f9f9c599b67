// The one place where extents and padding of convolutions and pools are computed. Everything here takes
// hostile numbers: each sum and product is checked, and what comes out is proven (core/geometry.h).
#include "core/geometry.h"

#include <isobit/error.h>
#include <isobit/ops.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace isobit {
namespace {

/// Where an axis' numbers come from, for messages.
struct Place {
  const char* op;
  const Shape& x;
  int axis;  ///< spatial axis, 0 = outermost
};

[[noreturn]] void too_large(const Place& at) {
  fail(at.op, "extents of spatial axis {} do not fit 63 bits (x {})", at.axis, at.x);
}

std::int64_t plus(const Place& at, std::int64_t a, std::int64_t b) {
  std::int64_t sum;
  if (__builtin_add_overflow(a, b, &sum)) too_large(at);
  return sum;
}
std::int64_t times(const Place& at, std::int64_t a, std::int64_t b) {
  std::int64_t product;
  if (__builtin_mul_overflow(a, b, &product)) too_large(at);
  return product;
}

void check_count(const char* op, const char* what, const PerAxis& v, int spatial, const Shape& x) {
  if (v.count != 1 && v.count != spatial)
    fail(op, "{} is given for {} axes, x {} has {} spatial {}", what, v.count, x, spatial,
         spatial == 1 ? "axis" : "axes");
}

int spatial_axes(const char* op, const Shape& x) {
  if (x.rank() < 3 || x.rank() > 5)
    fail(op, "x {} has {} axes, expected 3, 4 or 5: [n, (d,) (h,) w, c]", x, x.rank());
  return x.rank() - 2;
}

/// Extent of the window with its gaps: dilation * (filter - 1) + 1.
std::int64_t spread(const Place& at, const AxisGeometry& a) {
  return plus(at, times(at, a.dilation, a.filter - 1), 1);
}

/// Fills in stride, dilation and the filter's extent, all at least 1.
void set_window(const Place& at, const char* window_name, std::int64_t filter, const PerAxis& stride,
                const PerAxis& dilation, AxisGeometry& a) {
  a.in = at.x[at.axis + 1];
  a.filter = filter;
  a.stride = stride.value[at.axis];
  a.dilation = dilation.value[at.axis];
  if (a.in == 0) fail(at.op, "spatial axis {} of x {} has extent 0, expected at least 1", at.axis, at.x);
  if (filter < 1)
    fail(at.op, "{} has extent {} on spatial axis {}, expected at least 1 (x {})", window_name, filter,
         at.axis, at.x);
  if (a.stride < 1) fail(at.op, "stride is {} on spatial axis {}, expected at least 1", a.stride, at.axis);
  if (a.dilation < 1)
    fail(at.op, "dilation is {} on spatial axis {}, expected at least 1", a.dilation, at.axis);
}

/// Resolves the padding of an axis whose window is known.
void set_padding(const Place& at, const Padding& padding, int spatial, AxisGeometry& a) {
  if (const auto* rule = std::get_if<SameRule>(&padding.value)) {
    if (*rule == SameRule::valid) return;
    if (*rule == SameRule::full || *rule == SameRule::causal) {
      a.pad_before = spread(at, a) - 1;
      a.pad_after = *rule == SameRule::full ? a.pad_before : 0;
      return;
    }
    // out = ceil(in / stride), so the windows reach (out - 1) * stride + spread.
    const std::int64_t out = (a.in - 1) / a.stride + 1;
    const std::int64_t reach = plus(at, times(at, out - 1, a.stride), spread(at, a));
    const std::int64_t total = std::max<std::int64_t>(reach - a.in, 0);
    a.pad_before = *rule == SameRule::same_upper ? total / 2 : total - total / 2;
    a.pad_after = total - a.pad_before;
    return;
  }
  const auto& sides = std::get<1>(padding.value);
  if (sides.size() != 1 && sides.size() != static_cast<std::size_t>(spatial))
    fail(at.op, "padding is given for {} axes, x {} has {} spatial {}", sides.size(), at.x, spatial,
         spatial == 1 ? "axis" : "axes");
  const auto& side = sides[sides.size() == 1 ? 0 : static_cast<std::size_t>(at.axis)];
  a.pad_before = side.first;
  a.pad_after = side.second;
}

/// What lies outside the axis.
void set_mode(const Place& at, const PadModes& modes, int spatial, AxisGeometry& a) {
  if (modes.count != 1 && modes.count != spatial)
    fail(at.op, "padding modes are given for {} axes, x {} has {} spatial {}", modes.count, at.x, spatial,
         spatial == 1 ? "axis" : "axes");
  a.mode = modes.value[static_cast<std::size_t>(modes.count == 1 ? 0 : at.axis)];
}

std::int64_t padded_extent(const Place& at, const AxisGeometry& a) {
  return plus(at, plus(at, a.in, a.pad_before), a.pad_after);
}

void append(std::string& text, const char* key, std::int64_t value) {
  text += key;
  text += std::to_string(value);
}

/// An axis that a tensor of fewer axes does not have.
bool trivial(const AxisGeometry& a) {
  return a.in == 1 && a.filter == 1 && a.out == 1;
}

/// The axes that the rank has, in the compact grammar: ih, oh, kh, sh, dh (gap - 1), ph, phr (behind, where
/// it is another).
void append_axes(std::string& text, const std::array<AxisGeometry, 3>& axis) {
  const char letters[] = {'d', 'h', 'w'};
  for (int i = 0; i < 3; ++i) {
    const AxisGeometry& a = axis[i];
    if (i == 0 && trivial(a)) continue;
    const std::string letter(1, letters[i]);
    append(text, ("i" + letter).c_str(), a.in);
    append(text, ("o" + letter).c_str(), a.out);
    append(text, ("k" + letter).c_str(), a.filter);
    append(text, ("s" + letter).c_str(), a.stride);
    append(text, ("d" + letter).c_str(), a.dilation - 1);
    append(text, ("p" + letter).c_str(), a.pad_before);
    if (a.pad_after != a.pad_before) append(text, ("p" + letter + "r").c_str(), a.pad_after);
  }
}

Shape output_shape(std::int64_t n, const std::array<AxisGeometry, 3>& axis, std::int64_t channels, int rank) {
  std::array<std::int64_t, 5> extents{};
  extents[0] = n;
  for (int i = 1; i < rank - 1; ++i) extents[i] = axis[i + 4 - rank].out;
  extents[rank - 1] = channels;
  return Shape(std::span<const std::int64_t>(extents.data(), static_cast<std::size_t>(rank)));
}

}  // namespace

ConvGeometry make_conv_geometry(const char* op, const Shape& x, const Shape& w, const ConvOptions& options) {
  const int spatial = spatial_axes(op, x);
  if (w.rank() != x.rank())
    fail(op, "filter w {} has {} axes, x {} has {}; expected [{}c/groups, k]", w, w.rank(), x, x.rank(),
         spatial == 1   ? "s, "
         : spatial == 2 ? "r, s, "
                        : "t, r, s, ");
  check_count(op, "stride", options.stride, spatial, x);
  check_count(op, "dilation", options.dilation, spatial, x);
  if (!std::isfinite(options.pad_value))
    fail(op, "pad_value is {}, expected a finite number", options.pad_value);
  const int rank = x.rank();
  const std::int64_t filter_channels = w.begin()[rank - 2];
  ConvGeometry g;
  g.n = x.begin()[0];
  g.c = x.begin()[rank - 1];
  g.k = w.begin()[rank - 1];
  g.groups = options.groups;
  g.pad_value = options.pad_value;
  if (g.groups < 1) fail(op, "groups is {}, expected at least 1", g.groups);
  std::int64_t expected;
  if (__builtin_mul_overflow(filter_channels, g.groups, &expected) || expected != g.c)
    fail(op, "filter has {} input channel{} per group, input has {} channel{} (x {}, w {}, groups {})",
         filter_channels, filter_channels == 1 ? "" : "s", g.c, g.c == 1 ? "" : "s", x, w, g.groups);
  if (g.k % g.groups != 0)
    fail(op, "{} filters do not divide into {} groups (x {}, w {})", g.k, g.groups, x, w);
  for (int i = 0; i < spatial; ++i) {
    const Place at{op, x, i};
    AxisGeometry& a = g.axis[i + 3 - spatial];
    set_window(at, "filter", w.begin()[i], options.stride, options.dilation, a);
    set_padding(at, options.padding, spatial, a);
    set_mode(at, options.mode, spatial, a);
    const std::int64_t cropped = plus(at, plus(at, a.in, std::min<std::int64_t>(a.pad_before, 0)),
                                      std::min<std::int64_t>(a.pad_after, 0));
    if (cropped < 0)
      fail(op, "padding {{{},{}}} crops more than spatial axis {} of x {} has", a.pad_before, a.pad_after, i,
           x);
    const std::int64_t padded = padded_extent(at, a), reach = spread(at, a);
    if (reach > padded)
      fail(op,
           "filter exceeds the padded input on spatial axis {}: it spans {} (extent {}, dilation {}), the "
           "padded input {} (x {}, w {}, padding {{{},{}}})",
           i, reach, a.filter, a.dilation, padded, x, w, a.pad_before, a.pad_after);
    a.out = (padded - reach) / a.stride + 1;
  }
  return g;
}

Shape conv_output_shape(const ConvGeometry& g, int rank) {
  return output_shape(g.n, g.axis, g.k, rank);
}

ConvGeometry make_linear_geometry(const Shape& x, const Shape& w) {
  if (x.rank() < 1) fail("linear", "x {} has no axis, expected [n.., c]", x);
  if (w.rank() != 2) fail("linear", "w {} has {} axes, expected [c, k] (x {})", w, w.rank(), x);
  const std::int64_t channels = x.begin()[x.rank() - 1];
  if (w.begin()[0] != channels)
    fail("linear", "w has {} input feature{}, x has {} (x {}, w {})", w.begin()[0],
         w.begin()[0] == 1 ? "" : "s", channels, x, w);
  ConvGeometry g;
  g.n = x.rank() > 1 ? x.begin()[0] : 1;
  g.c = channels;
  g.k = w.begin()[1];
  std::int64_t positions = 1;  // cannot overflow: Shape has proven the product of the extents that are not 0
  for (int i = 1; i < x.rank() - 1; ++i) positions *= x.begin()[i];
  g.axis[2].in = g.axis[2].out = positions;
  return g;
}

PoolGeometry make_pool_geometry(const char* op, const Shape& x, const PerAxis& window,
                                const PoolOptions& options) {
  const int spatial = spatial_axes(op, x);
  const PerAxis& stride = options.stride ? *options.stride : window;
  check_count(op, "window", window, spatial, x);
  check_count(op, "stride", stride, spatial, x);
  check_count(op, "dilation", options.dilation, spatial, x);
  PoolGeometry g;
  g.n = x.begin()[0];
  g.c = x.begin()[x.rank() - 1];
  g.count_include_pad = options.count_include_pad;
  for (int i = 0; i < spatial; ++i) {
    const Place at{op, x, i};
    AxisGeometry& a = g.axis[i + 3 - spatial];
    set_window(at, "window", window.value[i], stride, options.dilation, a);
    set_padding(at, options.padding, spatial, a);
    const std::int64_t reach = spread(at, a);
    if (a.pad_before < 0 || a.pad_after < 0 || a.pad_before >= reach || a.pad_after >= reach)
      fail(op, "padding {{{},{}}} on spatial axis {}, expected from 0 to less than the window's {}",
           a.pad_before, a.pad_after, i, reach);
    const std::int64_t padded = padded_extent(at, a);
    if (reach > padded)
      fail(op,
           "window exceeds the padded input on spatial axis {}: it spans {} (extent {}, dilation {}), the "
           "padded input {} (x {}, padding {{{},{}}})",
           i, reach, a.filter, a.dilation, padded, x, a.pad_before, a.pad_after);
    const std::int64_t room = padded - reach;
    a.out = room / a.stride + 1;
    // A last partial window counts when it begins inside the input or its left padding (ONNX).
    if (options.ceil_mode && room % a.stride != 0) {
      std::int64_t start;
      if (!__builtin_mul_overflow(a.out, a.stride, &start) && start < a.in + a.pad_before) ++a.out;
    }
    // A window that begins in the left padding first meets the input at (start mod dilation), which lies
    // beyond a short input; starts repeat with the dilation.
    if (a.pad_before > 0 && a.in < a.dilation) {
      const std::int64_t starts = std::min(a.out, (a.pad_before - 1) / a.stride + 1);
      constexpr std::int64_t kPatience = 1 << 20;
      for (std::int64_t p = 0; p < std::min(starts, kPatience + 1); ++p) {
        const std::int64_t before = a.pad_before - p * a.stride;
        if (p == kPatience || (a.dilation - before % a.dilation) % a.dilation >= a.in)
          fail(
              op,
              "padding {} and dilation {} leave a window without an element of the input (spatial axis {} of "
              "x {})",
              a.pad_before, a.dilation, i, x);
      }
    }
  }
  return g;
}

Shape pool_output_shape(const PoolGeometry& g, int rank) {
  return output_shape(g.n, g.axis, g.c, rank);
}

PoolGeometry make_adaptive_pool_geometry(const char* op, const Shape& x, const PerAxis& out) {
  const int spatial = spatial_axes(op, x);
  check_count(op, "output", out, spatial, x);
  PoolGeometry g;
  g.n = x.begin()[0];
  g.c = x.begin()[x.rank() - 1];
  g.adaptive = true;
  for (int i = 0; i < spatial; ++i) {
    AxisGeometry& a = g.axis[static_cast<std::size_t>(i + 3 - spatial)];
    a.in = x.begin()[i + 1];
    a.out = out.value[static_cast<std::size_t>(out.count == 1 ? 0 : i)];
    if (a.in == 0) fail(op, "spatial axis {} of x {} has extent 0, expected at least 1", i, x);
    if (a.out < 1) fail(op, "output is {} on spatial axis {}, expected at least 1", a.out, i);
    times({op, x, i}, a.in, a.out);  // the windows' ends are computed from these
  }
  return g;
}

LocalResponseGeometry make_local_response_geometry(const char* op, const Shape& x, std::int64_t size,
                                                   const LocalResponseOptions& options) {
  if (x.rank() < 1) fail(op, "x is a scalar, expected [..., c]");
  if (size < 1) fail(op, "size is {}, expected at least 1", size);
  if (!(options.alpha >= 0) || !std::isfinite(options.alpha))
    fail(op, "alpha is {}, expected a finite number >= 0", options.alpha);
  if (!std::isfinite(options.beta)) fail(op, "beta is {}, expected a finite number", options.beta);
  if (!(options.bias > 0) || !std::isfinite(options.bias))
    fail(op, "bias is {}, expected a finite number > 0", options.bias);
  LocalResponseGeometry g;
  g.c = x[-1];
  if (g.c < 1) fail(op, "last axis of x {} has extent 0, expected at least 1", x);
  g.rows = x.numel() / g.c;
  g.before = std::min((size - 1) / 2, g.c - 1);
  g.after = std::min(size / 2, g.c - 1);
  g.scale = options.alpha / static_cast<double>(size);
  g.beta = options.beta;
  g.bias = options.bias;
  return g;
}

PadGeometry make_pad_geometry(const char* op, const Shape& x,
                              std::span<const std::pair<std::int64_t, std::int64_t>> widths,
                              std::span<const PadMode> modes, Shape* out) {
  if (widths.size() != static_cast<std::size_t>(x.rank()))
    fail(op, "{} widths for x {}, expected one {{before, after}} for each of its {} axes", widths.size(), x,
         x.rank());
  if (modes.size() != 1 && modes.size() != static_cast<std::size_t>(x.rank()))
    fail(op, "{} modes for x {}, expected one, or one for each of its {} axes", modes.size(), x, x.rank());
  PadGeometry g;
  g.rank = std::max(x.rank(), 1);
  g.in[0] = g.out[0] = 1;
  for (int i = 0; i < x.rank(); ++i) {
    const auto [before, after] = widths[static_cast<std::size_t>(i)];
    const std::int64_t in = x.begin()[i];
    std::int64_t cropped, padded;
    if (__builtin_add_overflow(in, std::min<std::int64_t>(before, 0), &cropped) ||
        __builtin_add_overflow(cropped, std::min<std::int64_t>(after, 0), &cropped) || cropped < 0)
      fail(op, "widths {{{},{}}} crop more than axis {} of x {} has", before, after, i, x);
    if (__builtin_add_overflow(cropped, std::max<std::int64_t>(before, 0), &padded) ||
        __builtin_add_overflow(padded, std::max<std::int64_t>(after, 0), &padded))
      fail(op, "widths {{{},{}}} of axis {} do not fit 63 bits (x {})", before, after, i, x);
    g.mode[i] = modes[modes.size() == 1 ? 0 : static_cast<std::size_t>(i)];
    if (in == 0 && padded > 0 && g.mode[i] != PadMode::constant)
      fail(op, "axis {} of x {} has no element to {} (widths {{{},{}}})", i, x, name_of(g.mode[i]), before,
           after);
    g.in[i] = in;
    g.out[i] = padded;
    g.before[i] = before;
  }
  *out = Shape(std::span<const std::int64_t>(g.out.data(), static_cast<std::size_t>(x.rank())));
  return g;
}

std::string ConvGeometry::to_string() const {
  std::string text;
  append(text, "mb", n);
  append(text, "g", groups);
  append(text, "ic", c);
  append(text, "oc", k);
  append_axes(text, axis);
  const auto axes = static_cast<std::size_t>(shown_axes(*this));
  bool plain = pad_value == 0, same = true;
  for (std::size_t i = 3 - axes; i < 3; ++i) {
    plain = plain && axis[i].mode == PadMode::constant;
    same = same && axis[i].mode == axis[2].mode;
  }
  if (plain) return text;
  for (std::size_t i = same ? 2 : 3 - axes; i < 3; ++i) text += std::string("@") + name_of(axis[i].mode);
  if (pad_value != 0) text += fmt::format("={}", pad_value);
  return text;
}

int shown_axes(const ConvGeometry& g) {
  return trivial(g.axis[0]) ? 2 : 3;
}

std::string PoolGeometry::to_string() const {
  std::string text;
  append(text, "mb", n);
  append(text, "ic", c);
  append_axes(text, axis);
  if (count_include_pad) text += "include_pad";
  if (sum) text += "sum";
  if (adaptive) text += "adaptive";
  return text;
}

}  // namespace isobit
