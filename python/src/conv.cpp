// Convolutions, their gradients, transposed ones; pooling; what a convolution does, tap by tap.
#include <isobit/explain.h>
#include <isobit/ops.h>
#include <nanobind/stl/array.h>

#include "module.h"

namespace isobit::python {
namespace {

ConvOptions conv_options(const PerAxisArg& stride, const PaddingArg& padding, const PerAxisArg& dilation,
                         const IntArg& groups, const ActivateArg& activation, double slope,
                         const PadModesArg& mode, double pad_value, bool flip, const MathArg& math) {
  return {stride("stride"),
          padding("padding"),
          dilation("dilation"),
          groups("groups"),
          activation("activation"),
          slope,
          mode("mode"),
          pad_value,
          flip,
          math("math")};
}

constexpr const char* kConvDoc =
    "Correlation, as networks use it: x[n, (d,) (h,) w, c] with filters w[(t,) (r,) s, c/groups, k] plus "
    "bias b[k] "
    "gives y[n, (o,) (p,) q, k]. padding is \"valid\", \"same\", \"same_lower\", \"full\", \"causal\", a "
    "width, or a "
    "width or (before, after) for each axis; mode says what it holds (constant, reflect, symmetric, "
    "replicate, "
    "circular); flip makes it a true convolution; activation is applied after the bias, with the bits of the "
    "op "
    "applied afterwards; math (\"exact\", \"fast\", \"fast-f16\", \"fast-bf16\") is the arithmetic of the "
    "call "
    "and of its gradients, else that of the scope (isobit.math). [blocked chain over (t, r, s, c)]";

void bind_convolution(nb::module_& m) {
  m.def(
      "conv",
      [](const Tensor& x, const Tensor& w, TensorArg b, PerAxisArg stride, PaddingArg padding,
         PerAxisArg dilation, IntArg groups, ActivateArg activation, double slope, PadModesArg mode,
         double pad_value, bool flip, MathArg math) {
        const Tensor bias = b("b");
        const ConvOptions o =
            conv_options(stride, padding, dilation, groups, activation, slope, mode, pad_value, flip, math);
        return unlocked([&] { return conv(x, w, bias, o); });
      },
      "x"_a, "w"_a, "b"_a = nb::none(), "stride"_a = 1, "padding"_a = "valid", "dilation"_a = 1,
      "groups"_a = 1, "activation"_a = "none", "slope"_a = 0.01, "mode"_a = "constant", "pad_value"_a = 0.0,
      "flip"_a = false, "math"_a = nb::none(), kConvDoc);
  m.def(
      "conv_backward_input",
      [](const Tensor& dy, const Tensor& w, ShapeArg x_shape, PerAxisArg stride, PaddingArg padding,
         PerAxisArg dilation, IntArg groups, PadModesArg mode, double pad_value, bool flip, MathArg math) {
        const Shape shape = x_shape("x_shape");
        const ConvOptions o{stride("stride"), padding("padding"), dilation("dilation"),
                            groups("groups"), Activate::none,     0.01,
                            mode("mode"),     pad_value,          flip,
                            math("math")};
        return unlocked([&] { return conv_backward_input(dy, w, shape, o); });
      },
      "dy"_a, "w"_a, "x_shape"_a, "stride"_a = 1, "padding"_a = "valid", "dilation"_a = 1, "groups"_a = 1,
      "mode"_a = "constant", "pad_value"_a = 0.0, "flip"_a = false, "math"_a = nb::none(),
      "d<conv(x, w), dy>/dx for an input of shape x_shape; its own gradients are conv and "
      "conv_backward_filter.");
  m.def(
      "conv_backward_filter",
      [](const Tensor& x, const Tensor& dy, ShapeArg w_shape, PerAxisArg stride, PaddingArg padding,
         PerAxisArg dilation, IntArg groups, PadModesArg mode, double pad_value, bool flip, MathArg math) {
        const Shape shape = w_shape("w_shape");
        const ConvOptions o{stride("stride"), padding("padding"), dilation("dilation"),
                            groups("groups"), Activate::none,     0.01,
                            mode("mode"),     pad_value,          flip,
                            math("math")};
        return unlocked([&] { return conv_backward_filter(x, dy, shape, o); });
      },
      "x"_a, "dy"_a, "w_shape"_a, "stride"_a = 1, "padding"_a = "valid", "dilation"_a = 1, "groups"_a = 1,
      "mode"_a = "constant", "pad_value"_a = 0.0, "flip"_a = false, "math"_a = nb::none(),
      "d<conv(x, w), dy>/dw for filters of shape w_shape. [batch tree]");
  m.def(
      "conv_transpose",
      [](const Tensor& x, const Tensor& w, TensorArg b, PerAxisArg stride, PaddingArg padding,
         PerAxisArg dilation, IntArg groups, ActivateArg activation, double slope, PadModesArg mode,
         bool flip, PerAxisArg output_padding, OptionalPerAxisArg output_shape, MathArg math) {
        const Tensor bias = b("b");
        const ConvTransposeOptions o{stride("stride"),
                                     padding("padding"),
                                     dilation("dilation"),
                                     groups("groups"),
                                     activation("activation"),
                                     slope,
                                     mode("mode"),
                                     flip,
                                     output_padding("output_padding"),
                                     output_shape("output_shape"),
                                     math("math")};
        return unlocked([&] { return conv_transpose(x, w, bias, o); });
      },
      "x"_a, "w"_a, "b"_a = nb::none(), "stride"_a = 1, "padding"_a = "valid", "dilation"_a = 1,
      "groups"_a = 1, "activation"_a = "none", "slope"_a = 0.01, "mode"_a = "constant", "flip"_a = false,
      "output_padding"_a = 0, "output_shape"_a = nb::none(), "math"_a = nb::none(),
      "The gradient of a convolution as an op of its own: x[n, (d,) (h,) w, c] with the filters w[(t,) (r,) "
      "s, "
      "k/groups, c] of a convolution from k to c channels gives y[n, (o,) (p,) q, k]. An axis of y has (in - "
      "1) * "
      "stride + dilation * (filter - 1) + 1 - padding + output_padding rows; with \"same\", in * stride. "
      "math: "
      "as conv's.");
}

using Pool = Tensor (*)(const Tensor&, PerAxis, const PoolOptions&);

PoolOptions pool_options(const OptionalPerAxisArg& stride, const PaddingArg& padding,
                         const PerAxisArg& dilation, bool ceil_mode, bool count_include_pad = false) {
  return {stride("stride"), padding("padding"), dilation("dilation"), ceil_mode, count_include_pad};
}

void pool(nb::module_& m, const char* name, Pool op, const char* doc) {
  m.def(
      name,
      [op](const Tensor& x, PerAxisArg window, OptionalPerAxisArg stride, PaddingArg padding,
           PerAxisArg dilation, bool ceil_mode, bool count_include_pad) {
        const PerAxis w = window("window");
        const PoolOptions o = pool_options(stride, padding, dilation, ceil_mode, count_include_pad);
        return unlocked(x.numel(), [&] { return op(x, w, o); });
      },
      "x"_a, "window"_a, "stride"_a = nb::none(), "padding"_a = "valid", "dilation"_a = 1,
      "ceil_mode"_a = false, "count_include_pad"_a = false, doc);
}

nb::tuple pair_of(MaxPoolResult r) {
  return nb::make_tuple(std::move(r.y), std::move(r.index));
}

void bind_pooling(nb::module_& m) {
  pool(m, "max_pool", max_pool,
       "The largest element of each window (stride: the window unless given); padding never counts. NaN "
       "wins, then the "
       "first of equals in row-major order, which gets the gradient.");
  pool(m, "avg_pool", avg_pool,
       "Sum of a window's elements divided by their number (count_include_pad: by that of the taps in the "
       "padded "
       "input). [chain in row-major order, one division]");
  pool(m, "sum_pool", sum_pool, "avg_pool without the division.");
  m.def(
      "max_pool_with_indices",
      [](const Tensor& x, PerAxisArg window, OptionalPerAxisArg stride, PaddingArg padding,
         PerAxisArg dilation, bool ceil_mode) {
        return pair_of(
            max_pool_with_indices(x, window("window"), pool_options(stride, padding, dilation, ceil_mode)));
      },
      "x"_a, "window"_a, "stride"_a = nb::none(), "padding"_a = "valid", "dilation"_a = 1,
      "ceil_mode"_a = false, "(max_pool, i64 positions (d * H + h) * W + w of the maxima in their samples).");
  m.def(
      "max_unpool",
      [](const Tensor& x, const Tensor& index, ShapeArg y_shape) {
        return max_unpool(x, index, y_shape("y_shape"));
      },
      "x"_a, "index"_a, "y_shape"_a,
      "Puts x back to where it came from, index as max_pool_with_indices gives it; elements that one place "
      "gets from "
      "several windows are added up. ValueError on an index outside.");
  m.def(
      "lp_pool",
      [](const Tensor& x, PerAxisArg window, double p, OptionalPerAxisArg stride, PaddingArg padding,
         PerAxisArg dilation, bool ceil_mode) {
        const PerAxis w = window("window");
        const PoolOptions o = pool_options(stride, padding, dilation, ceil_mode);
        return unlocked(x.numel(), [&] { return lp_pool(x, w, p, o); });
      },
      "x"_a, "window"_a, "p"_a = 2.0, "stride"_a = nb::none(), "padding"_a = "valid", "dilation"_a = 1,
      "ceil_mode"_a = false, "(sum over the window of |x|^p)^(1/p), p >= 1; padding counts as 0.");
  m.def(
      "adaptive_avg_pool",
      [](const Tensor& x, PerAxisArg output) { return adaptive_avg_pool(x, output("output")); }, "x"_a,
      "output"_a,
      "`output` windows on each spatial axis whatever its extent: window o is [floor(o * in / output), "
      "ceil((o + 1) * in / output)).");
  m.def(
      "adaptive_max_pool",
      [](const Tensor& x, PerAxisArg output) { return adaptive_max_pool(x, output("output")); }, "x"_a,
      "output"_a);
  m.def(
      "adaptive_max_pool_with_indices",
      [](const Tensor& x, PerAxisArg output) {
        return pair_of(adaptive_max_pool_with_indices(x, output("output")));
      },
      "x"_a, "output"_a);
  m.def(
      "global_avg_pool",
      [](const Tensor& x) { return unlocked(x.numel(), [&] { return global_avg_pool(x); }); }, "x"_a,
      "Mean over all spatial axes: [n, ..., c] to [n, c]. [blocked chain in row-major order]");
  m.def(
      "global_max_pool",
      [](const Tensor& x) { return unlocked(x.numel(), [&] { return global_max_pool(x); }); }, "x"_a,
      "Maximum over all spatial axes: [n, ..., c] to [n, c].");
  m.def(
      "global_lp_pool",
      [](const Tensor& x, double p) { return unlocked(x.numel(), [&] { return global_lp_pool(x, p); }); },
      "x"_a, "p"_a = 2.0, "p-norm over all spatial axes: [n, ..., c] to [n, c].");
}

void bind_explain(nb::module_& m) {
  nb::class_<ConvTap>(m, "ConvTap", "One term of one output element. Coordinates are (d, h, w).")
      .def_ro("tap", &ConvTap::tap, "(t, r, s) of the filter (of the reversed one with flip)")
      .def_ro("channel", &ConvTap::channel, "of x")
      .def_ro("padded", &ConvTap::padded, "in the padded input: output * stride + tap * dilation")
      .def_ro("source", &ConvTap::source, "the element of x that is read there")
      .def_ro("outside", &ConvTap::outside, "no element: the padding's value")
      .def_ro("x", &ConvTap::x)
      .def_ro("w", &ConvTap::w)
      .def_ro("product", &ConvTap::product, "rounded; what is added is the unrounded one (fma)")
      .def_ro("chain", &ConvTap::chain, "of the open block, this term included")
      .def_ro("total", &ConvTap::total, "after the last tap, the sum's own bits");
  nb::class_<ConvTrace>(m, "ConvTrace", "What one element of a convolution is made of.")
      .def_ro("output", &ConvTrace::output, "(o, p, q)")
      .def_ro("n", &ConvTrace::n)
      .def_ro("k", &ConvTrace::k)
      .def_ro("taps", &ConvTrace::taps, "in the order of summation: t, r, s, c")
      .def_ro("sum", &ConvTrace::sum)
      .def("__str__", [](const ConvTrace& t) { return to_text(t); });
  m.def(
      "trace",
      [](const Tensor& x, const Tensor& w, IntArg n, ShapeArg position, IntArg k, PerAxisArg stride,
         PaddingArg padding, PerAxisArg dilation, IntArg groups, PadModesArg mode, double pad_value,
         bool flip) {
        const ConvOptions o{stride("stride"), padding("padding"), dilation("dilation"),
                            groups("groups"), Activate::none,     0.01,
                            mode("mode"),     pad_value,          flip};
        return trace(x, w, n("n"), to_ints(position.value, "position"), k("k"), o);
      },
      "x"_a, "w"_a, "n"_a, "position"_a, "k"_a, "stride"_a = 1, "padding"_a = "valid", "dilation"_a = 1,
      "groups"_a = 1, "mode"_a = "constant", "pad_value"_a = 0.0, "flip"_a = false,
      "Every tap of y[n, position..., k] of y = conv(x, w, ...). `position` has as many numbers as x has "
      "spatial "
      "axes.");
}

}  // namespace

void bind_conv(nb::module_& m) {
  bind_convolution(m);
  bind_pooling(m);
  bind_explain(m);
}

}  // namespace isobit::python
