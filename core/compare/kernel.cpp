// Problems as kernels in f64, and results held against them (docs/compare.md derives the bound).
#include "core/compare/kernel.h"

#include <isobit/autograd.h>
#include <isobit/error.h>

#include <cmath>
#include <limits>

#include "core/ops/conv_transpose.h"
#include "core/ops/internal.h"

namespace isobit::compare {
namespace {

Tensor wide(const Tensor& t) {
  return t.defined() ? t.detach().to(Device::cpu()).to(DType::f64) : t;
}

/// The options that a geometry came from, padding on every side.
ConvOptions explicit_options(const ConvGeometry& g, int spatial) {
  ConvOptions o;
  std::vector<std::pair<std::int64_t, std::int64_t>> sides;
  for (int i = 0; i < spatial; ++i) {
    const AxisGeometry& a = spatial_axis(g, spatial, i);
    const auto at = static_cast<std::size_t>(i);
    sides.emplace_back(a.pad_before, a.pad_after);
    o.stride.value[at] = a.stride;
    o.dilation.value[at] = a.dilation;
    o.mode.value[at] = a.mode;
  }
  o.stride.count = o.dilation.count = o.mode.count = spatial;
  o.padding = Padding(std::move(sides));
  o.groups = g.groups;
  o.pad_value = g.pad_value;
  return o;
}

void need(const Problem& p, const Tensor& t, const char* what) {
  if (!t.defined()) fail("compare", "{} {} needs {}", name_of(p.op), name_of(p.result), what);
  if (!is_floating(t.dtype())) fail("compare", "{} is {}, expected a floating dtype", what, t.dtype());
}

Kernel pool_kernel(const Problem& p) {
  Kernel k;
  k.form = Form::pool;
  k.maximum = p.op == Op::max_pool;
  k.window = p.window;
  k.pool = p.pool;
  if (p.result != Result::y && p.result != Result::dx)
    fail("compare", "{} has no {}", name_of(p.op), name_of(p.result));
  k.gradient = p.result == Result::dx;
  k.chooser = wide(p.x);
  k.a = k.gradient ? wide(p.dy) : k.chooser;
  if (k.gradient) {
    k.out = p.x.shape();
  } else {
    k.out = output_shape_of(p);
  }
  k.shown = k.out;
  return k;
}

Tensor pooled(const Kernel& k, const Tensor& x) {
  return k.maximum ? max_pool(x, k.window, k.pool) : avg_pool(x, k.window, k.pool);
}

Tensor pool_value(const Kernel& k, const Tensor& a) {
  if (!k.gradient) return pooled(k, a);
  const EnableGrad on;
  Tensor x = k.chooser.detach().clone();
  x.set_requires_grad();
  const Tensor y = pooled(k, x);
  return grad(y, {x}, a)[0].detach();
}

/// How many terms each element of a pool has.
std::vector<double> pool_terms(const Kernel& k) {
  if (k.maximum) return values_of(pool_value(k, ones_like(k.a)));
  const EnableGrad on;
  Tensor x = ones_like(k.chooser);
  x.set_requires_grad();
  const Tensor y = sum_pool(x, k.window, k.pool);
  return values_of(k.gradient ? grad(y, {x}, ones_like(y))[0] : y);
}

bool uses_relu(const Problem& p, Activate activation) {
  if (activation == Activate::none) return false;
  if (activation != Activate::relu || p.result != Result::y)
    fail("compare", "{} {}: expected no activation{}", name_of(p.op), name_of(p.result),
         p.result == Result::y ? " or relu" : "; dy is the gradient in front of it");
  return true;
}

}  // namespace

std::vector<double> values_of(const Tensor& t) {
  return t.detach().to(Device::cpu()).to(DType::f64).to_vector<double>();
}

ConvGeometry geometry_of(const Problem& p) {
  switch (p.op) {
    case Op::conv:
      return make_conv_geometry("compare", p.x.shape(), p.w.shape(), p.conv);
    case Op::conv_transpose:
      return make_conv_transpose_geometry("compare", p.x.shape(), p.w.shape(), p.transpose).conv;
    default:
      return make_linear_geometry(p.x.shape(), p.w.shape());
  }
}

Shape output_shape_of(const Problem& p) {
  switch (p.op) {
    case Op::conv:
      return conv_output_shape(geometry_of(p), p.x.rank());
    case Op::conv_transpose:
      return make_conv_transpose_geometry("compare", p.x.shape(), p.w.shape(), p.transpose).y;
    case Op::linear:
      geometry_of(p);
      return p.x.shape().with(-1, p.w.shape(-1));
    default:
      return pool_output_shape(make_pool_geometry("compare", p.x.shape(), p.window, p.pool), p.x.rank());
  }
}

Kernel kernel_of(const Problem& p) {
  need(p, p.x, "x");
  if (p.result != Result::y) need(p, p.dy, "dy");
  if (p.op == Op::avg_pool || p.op == Op::max_pool) return pool_kernel(p);
  Kernel k;
  if (p.result == Result::db) {
    k.form = Form::sum;
    k.a = wide(p.dy);
    k.shown = k.out = Shape{p.dy.shape(-1)};
    return k;
  }
  need(p, p.w, "w");
  const NoGrad off;
  Tensor x = wide(p.x), w = wide(p.w), dy = wide(p.dy);
  if (p.op == Op::linear) {  // a convolution with a window of one, over the positions between n and c
    const std::int64_t c = p.x.shape(-1), outputs = p.w.shape(-1), n = p.x.shape(0);
    const std::int64_t m = n * c == 0 ? 1 : p.x.numel() / (n * c);
    x = x.reshape({n, m, c});
    w = w.reshape({1, c, outputs});
    if (dy.defined()) dy = dy.reshape({n, m, outputs});
    k.relu = uses_relu(p, p.conv.activation);
    Problem flat;
    flat.x = x;
    flat.w = w;
    k.options = explicit_options(geometry_of(flat), 1);
    const Shape y = p.x.shape().with(-1, outputs);
    k.shown = p.result == Result::y ? y : p.result == Result::dx ? p.x.shape() : p.w.shape();
    k.out = p.result == Result::y ? Shape{n, m, outputs} : p.result == Result::dx ? x.shape() : w.shape();
  }
  bool flip = false;
  if (p.op == Op::conv) {
    const ConvGeometry g = geometry_of(p);
    k.relu = uses_relu(p, p.conv.activation);
    k.options = explicit_options(g, p.x.rank() - 2);
    k.out = p.result == Result::y ? output_shape_of(p) : (p.result == Result::dx ? p.x : p.w).shape();
    flip = p.conv.flip;
  } else if (p.op == Op::conv_transpose) {
    const ConvTransposeGeometry g =
        make_conv_transpose_geometry("compare", p.x.shape(), p.w.shape(), p.transpose);
    k.relu = uses_relu(p, p.transpose.activation);
    k.options = explicit_options(g.conv, p.x.rank() - 2);
    k.transposed = true;
    k.out = p.result == Result::y ? g.y : (p.result == Result::dx ? p.x : p.w).shape();
    flip = p.transpose.flip;
  }
  if (p.op != Op::linear) k.shown = k.out;
  if (p.result == Result::dw) {
    k.form = Form::backward_filter;
    k.a = k.transposed ? dy : x;
    k.b = k.transposed ? x : dy;
    k.options.flip = flip;
  } else {
    const bool of_x = p.result == Result::y;
    k.form = of_x == k.transposed ? Form::backward_input : Form::forward;
    k.a = of_x ? x : dy;
    k.b = ops::oriented_filter(w, flip);
    if (of_x) k.bias = wide(p.b);
  }
  return k;
}

Tensor evaluate(const Kernel& k) {
  const NoGrad off;
  Tensor y;
  switch (k.form) {
    case Form::forward:
      y = conv(k.a, k.b, {}, k.options);
      break;
    case Form::backward_input:
      y = conv_backward_input(k.a, k.b, k.out, k.options);
      break;
    case Form::backward_filter:
      y = conv_backward_filter(k.a, k.b, k.out, k.options);
      break;
    case Form::sum:
      y = ops::bias_gradient(k.a);
      break;
    case Form::pool:
      y = pool_value(k, k.a);
      break;
  }
  if (k.bias.defined()) y = add(y, k.bias);
  return k.relu ? relu(y) : y;
}

Reference reference_of(const Kernel& k) {
  const NoGrad off;
  Reference r;
  r.value = values_of(evaluate(k));
  Kernel positive = k;
  positive.relu = false;
  positive.a = abs(k.a);
  if (k.b.defined()) positive.b = abs(k.b);
  if (k.bias.defined()) positive.bias = abs(k.bias);
  positive.options.pad_value = std::abs(k.options.pad_value);
  if (k.form == Form::pool) {
    r.terms = pool_terms(k);
    r.magnitude = k.maximum && !k.gradient ? std::vector<double>(r.value.size(), 0.0)
                                           : values_of(pool_value(k, positive.a));
    r.extra = k.maximum ? 0 : 2;  // the division, or the reciprocal and the product
    return r;
  }
  r.magnitude = values_of(evaluate(positive));
  positive.a = ones_like(k.a);
  if (k.b.defined()) positive.b = ones_like(k.b);
  positive.bias = Tensor();
  positive.options.pad_value = k.options.pad_value != 0 ? 1 : 0;
  r.terms = values_of(evaluate(positive));
  r.extra = k.bias.defined() ? 1 : 0;
  return r;
}

Arithmetic arithmetic_of(DType operands, DType result) {
  Arithmetic a;
  if (operands == DType::f64 && result == DType::f64)
    a = {0x1p-53, std::numeric_limits<double>::denorm_min(), 0, 0, std::numeric_limits<double>::max()};
  if (result == DType::f16) a = {a.unit, a.tiny, 0x1p-11, 0x1p-25, 65504};
  if (result == DType::bf16) a = {a.unit, a.tiny, 0x1p-8, 0x1p-134, 0x1.fep127};
  return a;
}

Fit fit(const Reference& reference, const Arithmetic& arithmetic, const std::vector<double>& got) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  Fit f;
  f.share.resize(got.size());
  double squares = 0;
  std::int64_t counted = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double v = reference.value[i], g = got[i], magnitude = reference.magnitude[i];
    double& share = f.share[i];
    share = 0;
    if (std::isnan(v) ? std::isnan(g) : v == g) {
      if (std::isfinite(v)) ++counted;
      continue;
    }
    if (!std::isfinite(v)) {
      share = kInfinite;
      ++(std::isfinite(g) ? f.swallowed : f.beyond);
      continue;
    }
    // gamma(n) = n u / (1 - n u), that of the reference's own arithmetic besides.
    const double n = reference.terms[i] + reference.extra;
    const double nu = n * arithmetic.unit;
    const double gamma = (nu < 1 ? nu / (1 - nu) : kInfinite) + n * 0x1p-52;
    const double stored = arithmetic.out_unit * (std::abs(v) * (1 + nu)) + arithmetic.out_tiny;
    const double bound = gamma * magnitude * (1 + arithmetic.out_unit) + n * arithmetic.tiny + stored;
    if (!std::isfinite(g)) {
      share = kInfinite;
      const bool too_large = std::abs(v) + bound > arithmetic.limit || magnitude > arithmetic.limit;
      ++(too_large ? f.overflowed : f.beyond);
      continue;
    }
    const double error = std::abs(g - v);
    share = bound > 0 ? error / bound : kInfinite;
    if (!(share <= 1)) {
      ++f.beyond;
    } else if (!(error <= 8 * std::sqrt(n) * arithmetic.unit * magnitude + n * arithmetic.tiny + stored)) {
      ++f.unlikely;
    }
    squares += error * error;
    ++counted;
    f.max_error = std::max(f.max_error, error);
  }
  for (const double share : f.share) f.max_share = std::max(f.max_share, share);
  f.rms = counted > 0 ? std::sqrt(squares / static_cast<double>(counted)) : 0;
  return f;
}

}  // namespace isobit::compare
