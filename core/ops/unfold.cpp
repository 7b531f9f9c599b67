// Windows out of a tensor and back, and channels to positions and back. unfold and fold are linear and each
// other's gradients.
#include "core/ops/internal.h"

namespace isobit {

namespace ops {
namespace {

/// x's windows as a convolution with one filter.
ConvGeometry window_geometry(const char* op, const Shape& x, const PerAxis& window,
                             const WindowOptions& options) {
  const int spatial = x.rank() - 2;
  if (spatial < 1 || spatial > 3)
    fail(op, "x {} has {} axes, expected 3, 4 or 5: [n, (d,) (h,) w, c]", x, x.rank());
  if (window.count != 1 && window.count != spatial)
    fail(op, "the window is given for {} axes, x {} has {} spatial", window.count, x, spatial);
  std::array<std::int64_t, Shape::max_rank> filter{};
  std::int64_t columns = x.begin()[x.rank() - 1];
  for (int i = 0; i < spatial; ++i) {
    const std::int64_t extent = window.value[static_cast<std::size_t>(i)];
    if (extent < 1) fail(op, "the window is {} on spatial axis {}, expected at least 1", extent, i);
    if (extent > (std::int64_t{1} << 40) || __builtin_mul_overflow(columns, extent, &columns))
      fail(op, "a window of {} on spatial axis {} of x {} has too many taps", extent, i, x);
    filter[i] = extent;
  }
  filter[spatial] = x.begin()[x.rank() - 1];
  filter[spatial + 1] = 1;
  ConvOptions conv;
  conv.stride = options.stride;
  conv.padding = options.padding;
  conv.dilation = options.dilation;
  conv.mode = options.mode;
  conv.pad_value = options.pad_value;
  const std::span<const std::int64_t> extents(filter.data(), static_cast<std::size_t>(x.rank()));
  return make_conv_geometry(op, x, Shape(extents), conv);
}

Shape columns_shape(const ConvGeometry& g, int rank) {
  return conv_output_shape(g, rank).with(-1, g.taps() * g.c);
}

ConvGeometry linear_part(ConvGeometry g) {
  g.pad_value = 0;
  return g;
}

/// The windows over the padded tensor, and the padding that makes it.
ConvGeometry padded_geometry(ConvGeometry g) {
  for (AxisGeometry& a : g.axis) {
    a.in += a.pad_before + a.pad_after;
    a.pad_before = a.pad_after = 0;
    a.mode = PadMode::constant;
  }
  return g;
}
PadGeometry padding_of(const ConvGeometry& g) {
  PadGeometry pad;
  pad.rank = 5;
  pad.in[0] = pad.out[0] = g.n;
  pad.in[4] = pad.out[4] = g.c;
  for (int i = 0; i < 3; ++i) {
    const AxisGeometry& a = g.axis[static_cast<std::size_t>(i)];
    pad.in[i + 1] = a.in;
    pad.out[i + 1] = a.in + a.pad_before + a.pad_after;
    pad.before[i + 1] = a.pad_before;
    pad.mode[i + 1] = a.mode;
  }
  return pad;
}

Tensor unfold_recorded(const ConvGeometry& g, const Tensor& x);

Tensor fold_recorded(const ConvGeometry& g, const Tensor& columns, const Shape& x_shape) {
  if (g.folds()) {
    Shape padded = x_shape;
    for (int i = 0; i < x_shape.rank() - 2; ++i) {
      const AxisGeometry& a = g.axis[static_cast<std::size_t>(i + 5 - x_shape.rank())];
      padded = padded.with(i + 1, a.in + a.pad_before + a.pad_after);
    }
    return pad_backward_recorded(padding_of(g), fold_recorded(padded_geometry(g), columns, padded), x_shape);
  }
  Tensor x = empty_as(columns, x_shape);
  backend(columns.device()).fold(g, view(columns), fresh_view(x));
  if (!recording({&columns})) return x;
  return record("fold", {columns}, x, {},
                [g](const BackwardContext& c) { return Gradients{unfold_recorded(linear_part(g), c.dy())}; });
}

Tensor unfold_recorded(const ConvGeometry& g, const Tensor& x) {
  Tensor columns = empty_as(x, columns_shape(g, x.rank()));
  backend(x.device()).unfold(g, view(x), fresh_view(columns));
  if (!recording({&x})) return columns;
  return record("unfold", {x}, columns, {}, [g, from = x.shape()](const BackwardContext& c) {
    return Gradients{fold_recorded(linear_part(g), c.dy(), from)};
  });
}

/// What depth_to_space and its inverse have in common: blocks per spatial axis of the deep tensor [n, e.., b
/// * c].
struct Blocks {
  int spatial;
  std::array<std::int64_t, 3> block{}, extent{};
  std::int64_t positions = 1, n, c;
};

/// The axes [n * e0, e1.., b0.., c] (dcr) or [n * e0, e1.., c, b0..] (crd) as those of [n * e0, b0, e1, b1..,
/// c].
std::array<int, Shape::max_rank> spread_order(const Blocks& b, ChannelOrder order) {
  const int s = b.spatial, first_block = order == ChannelOrder::dcr ? s : s + 1;
  std::array<int, Shape::max_rank> axes{};
  for (int i = 0; i < s; ++i) {
    axes[2 * i] = i;
    axes[2 * i + 1] = first_block + i;
  }
  axes[2 * s] = order == ChannelOrder::dcr ? 2 * s : s;
  return axes;
}

Blocks make_blocks(const char* op, const Tensor& x, const PerAxis& block, ChannelOrder order) {
  require_defined(op, {&x});
  const Shape& shape = x.shape();
  if (shape.rank() < 3 || shape.rank() > 5)
    fail(op, "x {} has {} axes, expected 3, 4 or 5: [n, (d,) (h,) w, c]", shape, shape.rank());
  if (order != ChannelOrder::dcr && order != ChannelOrder::crd)
    fail(op, "channel order {} is neither dcr nor crd", static_cast<int>(order));
  Blocks b;
  b.spatial = shape.rank() - 2;
  b.n = shape.begin()[0];
  b.c = shape.begin()[shape.rank() - 1];
  if (block.count != 1 && block.count != b.spatial)
    fail(op, "blocks are given for {} axes, x {} has {} spatial", block.count, shape, b.spatial);
  for (int i = 0; i < b.spatial; ++i) {
    b.block[i] = block.value[i];
    b.extent[i] = shape.begin()[i + 1];
    if (b.block[i] < 1) fail(op, "the block is {} on spatial axis {}, expected at least 1", b.block[i], i);
    if (b.block[i] > (std::int64_t{1} << 40) || __builtin_mul_overflow(b.positions, b.block[i], &b.positions))
      fail(op, "a block of {} on spatial axis {} of x {} has too many positions", b.block[i], i, shape);
  }
  return b;
}

Shape wide_shape(const Blocks& b) {
  std::array<std::int64_t, Shape::max_rank> e{};
  e[0] = b.n;
  for (int i = 0; i < b.spatial; ++i) e[i + 1] = b.extent[i] * b.block[i];
  e[b.spatial + 1] = b.c;
  return Shape(std::span<const std::int64_t>(e.data(), static_cast<std::size_t>(b.spatial) + 2));
}
Shape deep_shape(const Blocks& b) {
  std::array<std::int64_t, Shape::max_rank> e{};
  e[0] = b.n;
  for (int i = 0; i < b.spatial; ++i) e[i + 1] = b.extent[i];
  e[b.spatial + 1] = b.positions * b.c;
  return Shape(std::span<const std::int64_t>(e.data(), static_cast<std::size_t>(b.spatial) + 2));
}

/// The extents that spread_order() permutes.
std::array<std::int64_t, Shape::max_rank> deep_extents(const Blocks& b, ChannelOrder order) {
  const int s = b.spatial, first_block = order == ChannelOrder::dcr ? s : s + 1;
  std::array<std::int64_t, Shape::max_rank> e{};
  for (int i = 0; i < s; ++i) {
    e[i] = i == 0 ? b.n * b.extent[0] : b.extent[i];
    e[first_block + i] = b.block[i];
  }
  e[order == ChannelOrder::dcr ? 2 * s : s] = b.c;
  return e;
}

}  // namespace
}  // namespace ops

Tensor unfold(const Tensor& x, PerAxis window, const WindowOptions& options) {
  ops::require_defined("unfold", {&x});
  return ops::unfold_recorded(ops::window_geometry("unfold", x.shape(), window, options), x);
}

Tensor fold(const Tensor& columns, const Shape& x_shape, PerAxis window, const WindowOptions& options) {
  ops::require_defined("fold", {&columns});
  if (!is_floating(columns.dtype()))
    fail("fold", "columns is {}, expected a floating dtype", columns.dtype());
  const ConvGeometry g = ops::window_geometry("fold", x_shape, window, options);
  ops::require_shape("fold", "columns", columns, ops::columns_shape(g, x_shape.rank()));
  return ops::fold_recorded(ops::linear_part(g), columns, x_shape);
}

Tensor depth_to_space(const Tensor& x, PerAxis block, ChannelOrder order) {
  constexpr const char* kOp = "depth_to_space";
  ops::Blocks b = ops::make_blocks(kOp, x, block, order);
  if (b.c % b.positions != 0)
    fail(kOp, "{} channels do not divide into blocks of {} positions (x {})", b.c, b.positions, x.shape());
  b.c /= b.positions;
  for (int i = 0; i < b.spatial; ++i) {
    std::int64_t wide;
    if (__builtin_mul_overflow(b.extent[i], b.block[i], &wide))
      fail(kOp, "spatial axis {} of x {} times {} does not fit 63 bits", i, x.shape(), b.block[i]);
  }
  const auto extents = ops::deep_extents(b, order);
  const auto axes = ops::spread_order(b, order);
  const auto rank = 2 * static_cast<std::size_t>(b.spatial) + 1;
  return permute(x.reshape(std::span(extents).first(rank)), std::span(axes).first(rank))
      .reshape(ops::wide_shape(b));
}

Tensor space_to_depth(const Tensor& x, PerAxis block, ChannelOrder order) {
  constexpr const char* kOp = "space_to_depth";
  ops::Blocks b = ops::make_blocks(kOp, x, block, order);
  for (int i = 0; i < b.spatial; ++i) {
    if (b.extent[i] % b.block[i] != 0)
      fail(kOp, "spatial axis {} of x {} does not divide into blocks of {}", i, x.shape(), b.block[i]);
    b.extent[i] /= b.block[i];
  }
  std::int64_t channels;
  if (__builtin_mul_overflow(b.positions, b.c, &channels))
    fail(kOp, "{} channels times {} positions do not fit 63 bits", b.c, b.positions);
  const auto deep = ops::deep_extents(b, order);
  const auto axes = ops::spread_order(b, order);
  const int rank = 2 * b.spatial + 1;
  std::array<std::int64_t, Shape::max_rank> extents{};
  std::array<int, Shape::max_rank> back{};
  for (int i = 0; i < rank; ++i) {
    extents[i] = deep[axes[i]];
    back[axes[i]] = i;
  }
  return permute(x.reshape(std::span<const std::int64_t>(extents).first(static_cast<std::size_t>(rank))),
                 std::span<const int>(back).first(static_cast<std::size_t>(rank)))
      .reshape(ops::deep_shape(b));
}

}  // namespace isobit
