// Convolution. forward, backward_input and backward_filter are each bilinear, and the gradients of each are
// the other two: closed under differentiation, so any order of derivative works.
#include "core/ops/internal.h"

namespace isobit {

namespace ops {
namespace {

/// Floating tensors of one dtype on one device; b may be undefined.
void require_operands(const char* op, const Tensor& x, const Tensor& w, const Tensor& b = {}) {
  require_defined(op, {&x, &w});
  require_alike(op, x, w);
  if (b.defined()) require_alike(op, x, b);
  if (!is_floating(x.dtype())) fail(op, "x is {}, expected a floating dtype", x.dtype());
}

void require_bias(const char* op, const Tensor& b, std::int64_t k) {
  if (b.defined() && (b.rank() != 1 || b.shape().begin()[0] != k))
    fail(op, "bias has shape {}, expected [{}]", b.shape(), k);
}

}  // namespace

Tensor conv_recorded(const char* op, const ConvGeometry& g, const Tensor& x, const Tensor& w, const Tensor& b,
                     Activate activation, const Shape& y_shape) {
  Tensor y = empty_as(x, y_shape);
  const Activation after = activation == Activate::relu ? Activation::relu : Activation::none;
  backend(x.device()).conv_forward(g, view(x), view(w), {view_or_null(b), after}, fresh_view(y));
  if (!recording({&x, &w, &b})) return y;
  if (activation == Activate::none)
    return record(op, {x, w, b}, y, {x, w}, [g](const BackwardContext& c) {
      const Tensor x_saved = c.saved(0), w_saved = c.saved(1);
      Gradients d(3);
      if (c.needs(0)) d[0] = conv_backward_input_recorded(g, c.dy(), w_saved, x_saved.shape());
      if (c.needs(1)) d[1] = conv_backward_filter_recorded(g, x_saved, c.dy(), w_saved.shape());
      if (c.needs(2)) d[2] = bias_gradient(c.dy());
      return d;
    });
  return record(op, {x, w, b}, y, {x, w, y}, [g](const BackwardContext& c) {
    const Tensor x_saved = c.saved(0), w_saved = c.saved(1);
    const Tensor dz = gradient_op(BinaryOp::relu_grad, c.dy(), c.saved(2));
    Gradients d(3);
    if (c.needs(0)) d[0] = conv_backward_input_recorded(g, dz, w_saved, x_saved.shape());
    if (c.needs(1)) d[1] = conv_backward_filter_recorded(g, x_saved, dz, w_saved.shape());
    if (c.needs(2)) d[2] = bias_gradient(dz);
    return d;
  });
}

Tensor conv_backward_input_recorded(const ConvGeometry& g, const Tensor& dy, const Tensor& w,
                                    const Shape& x_shape) {
  Tensor dx = empty_as(dy, x_shape);
  backend(dy.device()).conv_backward_input(g, view(dy), view(w), fresh_view(dx));
  if (!recording({&dy, &w})) return dx;
  return record("conv_backward_input", {dy, w}, dx, {dy, w}, [g](const BackwardContext& c) {
    const Tensor dy_saved = c.saved(0), w_saved = c.saved(1);
    Gradients d(2);
    if (c.needs(0)) d[0] = conv_recorded("conv", g, c.dy(), w_saved, {}, Activate::none, dy_saved.shape());
    if (c.needs(1)) d[1] = conv_backward_filter_recorded(g, c.dy(), dy_saved, w_saved.shape());
    return d;
  });
}

Tensor conv_backward_filter_recorded(const ConvGeometry& g, const Tensor& x, const Tensor& dy,
                                     const Shape& w_shape) {
  Tensor dw = empty_as(x, w_shape);
  backend(x.device()).conv_backward_filter(g, view(x), view(dy), fresh_view(dw));
  if (!recording({&x, &dy})) return dw;
  return record("conv_backward_filter", {x, dy}, dw, {x, dy}, [g](const BackwardContext& c) {
    const Tensor x_saved = c.saved(0), dy_saved = c.saved(1);
    Gradients d(2);
    if (c.needs(0)) d[0] = conv_backward_input_recorded(g, dy_saved, c.dy(), x_saved.shape());
    if (c.needs(1)) d[1] = conv_recorded("conv", g, x_saved, c.dy(), {}, Activate::none, dy_saved.shape());
    return d;
  });
}

Tensor bias_gradient(const Tensor& dy) {
  constexpr int kAxes[] = {0, 1, 2, 3, 4, 5, 6};
  // A single row of a linear layer has no axis but the channels.
  if (dy.rank() < 2) return dy;
  return sum(dy, std::span(kAxes, static_cast<std::size_t>(dy.rank() - 1)));
}

}  // namespace ops

Tensor conv(const Tensor& x, const Tensor& w, const Tensor& b, const ConvOptions& options) {
  ops::require_operands("conv", x, w, b);
  const ConvGeometry g = make_conv_geometry("conv", x.shape(), w.shape(), options);
  ops::require_bias("conv", b, g.k);
  return ops::conv_recorded("conv", g, x, w, b, options.activation, conv_output_shape(g, x.rank()));
}

namespace {

void refuse_activation(const char* op, const ConvOptions& options) {
  if (options.activation != Activate::none)
    fail(op, "an activation is fused into the forward convolution only, expected Activate::none");
}

}  // namespace

Tensor conv_backward_input(const Tensor& dy, const Tensor& w, const Shape& x_shape,
                           const ConvOptions& options) {
  constexpr const char* kOp = "conv_backward_input";
  ops::require_operands(kOp, dy, w);
  refuse_activation(kOp, options);
  const ConvGeometry g = make_conv_geometry(kOp, x_shape, w.shape(), options);
  ops::require_shape(kOp, "dy", dy, conv_output_shape(g, x_shape.rank()));
  return ops::conv_backward_input_recorded(g, dy, w, x_shape);
}

Tensor conv_backward_filter(const Tensor& x, const Tensor& dy, const Shape& w_shape,
                            const ConvOptions& options) {
  constexpr const char* kOp = "conv_backward_filter";
  ops::require_operands(kOp, x, dy);
  refuse_activation(kOp, options);
  const ConvGeometry g = make_conv_geometry(kOp, x.shape(), w_shape, options);
  ops::require_shape(kOp, "dy", dy, conv_output_shape(g, x.rank()));
  return ops::conv_backward_filter_recorded(g, x, dy, w_shape);
}

Tensor linear(const Tensor& x, const Tensor& w, const Tensor& b) {
  ops::require_operands("linear", x, w, b);
  const ConvGeometry g = make_linear_geometry(x.shape(), w.shape());
  ops::require_bias("linear", b, g.k);
  return ops::conv_recorded("linear", g, x, w, b, Activate::none, x.shape().with(-1, g.k));
}

}  // namespace isobit
