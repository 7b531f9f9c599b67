// Convolution. forward, backward_input and backward_filter are each bilinear, and the gradients of each are
// the other two: closed under differentiation, so any order of derivative works.
#include <cmath>

#include "core/ops/internal.h"
#include "core/ops/norm.h"

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

namespace {

constexpr Activation kActivation[] = {Activation::none, Activation::relu,    Activation::leaky_relu,
                                      Activation::silu, Activation::sigmoid, Activation::tanh,
                                      Activation::gelu};

/// What a gradient with respect to x or dy sees of g: the part that is linear in them.
ConvGeometry linear_part(ConvGeometry g) {
  g.pad_value = 0;
  return g;
}

/// dz from dy and y = the activation of z, for those that need no more.
Tensor through_activation(Activate activation, const Tensor& dy, const Tensor& y) {
  switch (activation) {
    case Activate::relu:
      return gradient_op(BinaryOp::relu_grad, dy, y);
    case Activate::sigmoid:
      return gradient_op(BinaryOp::sigmoid_grad, dy, y);
    case Activate::tanh:
      return gradient_op(BinaryOp::tanh_grad, dy, y);
    default:
      return dy;
  }
}

}  // namespace

Tensor activated(Activate activation, double slope, const Tensor& z) {
  switch (activation) {
    case Activate::none:
      return z;
    case Activate::relu:
      return relu(z);
    case Activate::leaky_relu:
      return leaky_relu(z, slope);
    case Activate::silu:
      return silu(z);
    case Activate::sigmoid:
      return sigmoid(z);
    case Activate::tanh:
      return tanh(z);
    case Activate::gelu:
      return gelu(z);
  }
  fail("conv", "activation {} is none of the seven", static_cast<int>(activation));
}

Tensor conv_recorded(const char* op, const ConvGeometry& g, const Tensor& x, const Tensor& w, const Tensor& b,
                     Activate activation, double slope, const Shape& y_shape) {
  const bool records = recording({&x, &w, &b});
  if (records &&
      (activation == Activate::leaky_relu || activation == Activate::silu || activation == Activate::gelu))
    return activated(activation, slope, conv_recorded(op, g, x, w, b, Activate::none, 0, y_shape));
  Tensor y = empty_as(x, y_shape);
  const Epilogue after{view_or_null(b), kActivation[static_cast<int>(activation)], slope, {}};
  backend(x.device()).conv_forward(g, view(x), view(w), after, fresh_view(y));
  if (!records) return y;
  const auto gradients = [g](const BackwardContext& c, const Tensor& dz) {
    const Tensor x_saved = c.saved(0), w_saved = c.saved(1);
    Gradients d(3);
    if (c.needs(0)) d[0] = conv_backward_input_recorded(g, dz, w_saved, x_saved.shape());
    if (c.needs(1)) d[1] = conv_backward_filter_recorded(g, x_saved, dz, w_saved.shape());
    if (c.needs(2)) d[2] = bias_gradient(dz);
    return d;
  };
  if (activation == Activate::none)
    return record(op, {x, w, b}, y, {x, w},
                  [gradients](const BackwardContext& c) { return gradients(c, c.dy()); });
  return record(op, {x, w, b}, y, {x, w, y}, [gradients, activation](const BackwardContext& c) {
    return gradients(c, through_activation(activation, c.dy(), c.saved(2)));
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
    if (c.needs(0))
      d[0] = conv_recorded("conv", linear_part(g), c.dy(), w_saved, {}, Activate::none, 0, dy_saved.shape());
    if (c.needs(1)) d[1] = conv_backward_filter_recorded(linear_part(g), c.dy(), dy_saved, w_saved.shape());
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
    if (c.needs(1)) d[1] = conv_recorded("conv", g, x_saved, c.dy(), {}, Activate::none, 0, dy_saved.shape());
    return d;
  });
}

Tensor bias_gradient(const Tensor& dy) {
  constexpr int kAxes[] = {0, 1, 2, 3, 4, 5, 6};
  // A single row of a linear layer has no axis but the channels.
  if (dy.rank() < 2) return dy;
  return sum(dy, std::span(kAxes, static_cast<std::size_t>(dy.rank() - 1)));
}

Tensor oriented_filter(const Tensor& w, bool flipped) {
  static constexpr int kAxes[] = {0, 1, 2};
  return flipped ? flip(w, std::span(kAxes, static_cast<std::size_t>(w.rank() - 2))) : w;
}

namespace {

void refuse_activation(const char* op, const ConvOptions& options) {
  if (options.activation != Activate::none)
    fail(op, "an activation is fused into the forward convolution only, expected Activate::none");
}

}  // namespace
}  // namespace ops

Tensor conv(const Tensor& x, const Tensor& w, const Tensor& b, const ConvOptions& options) {
  const MathScope arithmetic(options.math);
  ops::require_operands("conv", x, w, b);
  const ConvGeometry g = make_conv_geometry("conv", x.shape(), w.shape(), options);
  ops::require_bias("conv", b, g.k);
  ops::require_finite("conv", "slope", options.slope);
  return ops::conv_recorded("conv", g, x, ops::oriented_filter(w, options.flip), b, options.activation,
                            options.slope, conv_output_shape(g, x.rank()));
}

Tensor conv_batch_norm_inference(const Tensor& x, const Tensor& w, const Tensor& b, const GivenNorm& norm,
                                 const ConvOptions& options) {
  const MathScope arithmetic(options.math);
  constexpr const char* kOp = "conv_batch_norm_inference";
  ops::require_operands(kOp, x, w, b);
  ops::require_defined(kOp, {&norm.mean, &norm.variance});
  const ConvGeometry g = make_conv_geometry(kOp, x.shape(), w.shape(), options);
  ops::require_bias(kOp, b, g.k);
  ops::require_finite(kOp, "slope", options.slope);
  if (!(norm.eps >= 0) || !std::isfinite(norm.eps))
    fail(kOp, "eps is {}, expected a finite number >= 0", norm.eps);
  const Tensor gamma = ops::affine(kOp, "gamma", norm.gamma, x, g.k),
               beta = ops::affine(kOp, "beta", norm.beta, x, g.k),
               mean = ops::affine(kOp, "mean", norm.mean, x, g.k),
               variance = ops::affine(kOp, "variance", norm.variance, x, g.k);
  if (recording({&x, &w, &b, &gamma, &beta})) {
    ConvOptions plain = options;
    plain.activation = Activate::none;
    const Tensor z =
        batch_norm_inference(conv(x, w, b, plain), gamma, beta, mean, variance, {.eps = norm.eps});
    return ops::activated(options.activation, options.slope, z);
  }
  const Tensor filter = ops::oriented_filter(w, options.flip);
  Tensor y = ops::empty_as(x, conv_output_shape(g, x.rank()));
  const Epilogue after{view_or_null(b),
                       ops::kActivation[static_cast<int>(options.activation)],
                       options.slope,
                       {view(mean), view(variance), view_or_null(gamma), view_or_null(beta), norm.eps}};
  backend(x.device()).conv_forward(g, view(x), view(filter), after, fresh_view(y));
  return y;
}

Tensor conv_backward_input(const Tensor& dy, const Tensor& w, const Shape& x_shape,
                           const ConvOptions& options) {
  const MathScope arithmetic(options.math);
  constexpr const char* kOp = "conv_backward_input";
  ops::require_operands(kOp, dy, w);
  ops::refuse_activation(kOp, options);
  const ConvGeometry g = make_conv_geometry(kOp, x_shape, w.shape(), options);
  ops::require_shape(kOp, "dy", dy, conv_output_shape(g, x_shape.rank()));
  return ops::conv_backward_input_recorded(g, dy, ops::oriented_filter(w, options.flip), x_shape);
}

Tensor conv_backward_filter(const Tensor& x, const Tensor& dy, const Shape& w_shape,
                            const ConvOptions& options) {
  const MathScope arithmetic(options.math);
  constexpr const char* kOp = "conv_backward_filter";
  ops::require_operands(kOp, x, dy);
  ops::refuse_activation(kOp, options);
  const ConvGeometry g = make_conv_geometry(kOp, x.shape(), w_shape, options);
  ops::require_shape(kOp, "dy", dy, conv_output_shape(g, x.rank()));
  return ops::oriented_filter(ops::conv_backward_filter_recorded(g, x, dy, w_shape), options.flip);
}

Tensor linear(const Tensor& x, const Tensor& w, const Tensor& b, std::optional<Math> math) {
  const MathScope arithmetic(math);
  ops::require_operands("linear", x, w, b);
  const ConvGeometry g = make_linear_geometry(x.shape(), w.shape());
  ops::require_bias("linear", b, g.k);
  return ops::conv_recorded("linear", g, x, w, b, Activate::none, 0, x.shape().with(-1, g.k));
}

}  // namespace isobit
