// Reductions, softmax, losses, matrices and norms.
#include <isobit/ops.h>

#include "module.h"

namespace isobit::python {
namespace {

using Reduction = Tensor (*)(const Tensor&, std::span<const int>, bool);

void reduction(nb::module_& m, nb::class_<Tensor>& tensor, const char* name, Reduction op, const char* doc) {
  const auto run = [op](const Tensor& x, AxesArg axes, bool keep) {
    const std::vector<int> a = axes("axes");
    if (!axes.value.is_none() && a.empty()) return x;  // over no axis, as NumPy has it
    return unlocked(x.numel(), [&] { return op(x, a, keep); });
  };
  m.def(name, run, "x"_a, "axes"_a = nb::none(), "keep"_a = false, doc);
  tensor.def(name, run, "axes"_a = nb::none(), "keep"_a = false, doc);
}

void bind_reductions(nb::module_& m, nb::class_<Tensor>& tensor) {
  reduction(
      m, tensor, "sum", sum,
      "Over the given axes (none given: all), each removed or kept with extent 1. [lanes over the last axis, "
      "blocked chain over middle axes, batch tree over axis 0.] Also i32, i64. Empty sum: +0.");
  reduction(m, tensor, "mean", mean, "sum / count. ValueError on an empty mean.");
  reduction(m, tensor, "max", max,
            "NaN wins, then the first of equals in row-major order, which gets the gradient. ValueError when "
            "a reduced "
            "extent is 0.");
  reduction(m, tensor, "min", min,
            "NaN wins, then the first of equals in row-major order, which gets the gradient. ValueError when "
            "a reduced "
            "extent is 0.");
  m.def(
      "sum_to", [](const Tensor& x, ShapeArg shape) { return sum_to(x, shape("shape")); }, "x"_a, "shape"_a,
      "The sum of x down to `shape`: the adjoint of broadcasting. [as sum]");
  const auto argmax_of = [](const Tensor& x, AxesArg axes, bool keep) {
    const std::vector<int> a = axes("axes");
    return unlocked(x.numel(), [&] { return argmax(x, a, keep); });
  };
  m.def("argmax", argmax_of, "x"_a, "axes"_a = nb::none(), "keep"_a = false,
        "i64 row-major position of max's choice within the reduced axes.");
  tensor.def("argmax", argmax_of, "axes"_a = nb::none(), "keep"_a = false);
}

void bind_losses(nb::module_& m) {
  m.def(
      "softmax", [](const Tensor& x) { return unlocked(x.numel(), [&] { return softmax(x); }); }, "x"_a,
      "Over the last axis. [lanes]");
  m.def(
      "log_softmax", [](const Tensor& x) { return unlocked(x.numel(), [&] { return log_softmax(x); }); },
      "x"_a, "Over the last axis. [lanes]");
  m.def(
      "cross_entropy",
      [](const Tensor& logits, const Tensor& target, double label_smoothing) {
        return unlocked(logits.numel(), [&] { return cross_entropy(logits, target, {label_smoothing}); });
      },
      "logits"_a, "target"_a, "label_smoothing"_a = 0.0,
      "logits [n, ..., classes]; target: i64 class indices [n, ...], or probabilities of the logits' shape. "
      "Mean over "
      "the batch and all positions. label_smoothing s in [0, 1): target = (1 - s) * target + s / classes. "
      "ValueError "
      "on a label outside [0, classes).");
  m.def(
      "mse",
      [](const Tensor& x, const Tensor& target) {
        return unlocked(x.numel(), [&] { return mse(x, target); });
      },
      "x"_a, "target"_a, "Mean of (x - target)^2 over all elements.");
  m.def(
      "dropout",
      [](const Tensor& x, double p, KeyArg key) {
        const RandomKey k = key("key");
        return unlocked(x.numel(), [&] { return dropout(x, p, k); });
      },
      "x"_a, "p"_a, "key"_a,
      "x_i * keep_i / (1 - p); element i of the whole batch draws at counter i of the key's stream.");
}

void bind_matrices(nb::module_& m) {
  m.def(
      "matmul",
      [](const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b, MathArg math) {
        const std::optional<Math> own = math("math");
        return unlocked([&] { return matmul(a, b, transpose_a, transpose_b, own); });
      },
      "a"_a, "b"_a, "transpose_a"_a = false, "transpose_b"_a = false, "math"_a = nb::none(),
      "[..., m, k] x [..., k, n]; leading axes broadcast. math: as conv's. [blocked chain over k]");
  m.def(
      "linear",
      [](const Tensor& x, const Tensor& w, TensorArg b, MathArg math) {
        const Tensor bias = b("b");
        const std::optional<Math> own = math("math");
        return unlocked([&] { return linear(x, w, bias, own); });
      },
      "x"_a, "w"_a, "b"_a = nb::none(), "math"_a = nb::none(),
      "x[n.., c] * w[c, k] + b[k]. math: as conv's. [blocked chain over c; gradient of w: batch tree over "
      "n]");
}

void bind_norms(nb::module_& m) {
  m.def(
      "batch_norm",
      [](const Tensor& x, TensorArg gamma, TensorArg beta, double eps) {
        const Tensor g = gamma("gamma"), b = beta("beta");
        BatchNormResult r = unlocked([&] { return batch_norm(x, g, b, {eps}); });
        return nb::make_tuple(r.y, r.mean, r.variance);
      },
      "x"_a, "gamma"_a = nb::none(), "beta"_a = nb::none(), "eps"_a = 1e-5,
      nb::sig("def batch_norm(x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, eps: float "
              "= 1e-05) "
              "-> tuple[Tensor, Tensor, Tensor]"),
      "(y, mean, variance): statistics over all axes but the last [c] (no gradient), for running averages. "
      "[batch "
      "tree]");
  m.def(
      "batch_norm_inference",
      [](const Tensor& x, TensorArg gamma, TensorArg beta, const Tensor& mean, const Tensor& variance,
         double eps) {
        const Tensor g = gamma("gamma"), b = beta("beta");
        return unlocked([&] { return batch_norm_inference(x, g, b, mean, variance, {eps}); });
      },
      "x"_a, "gamma"_a.none(), "beta"_a.none(), "mean"_a, "variance"_a, "eps"_a = 1e-5,
      "With given statistics (evaluation): differentiable in x, gamma and beta.");
  m.def(
      "layer_norm",
      [](const Tensor& x, TensorArg gamma, TensorArg beta, double eps) {
        const Tensor g = gamma("gamma"), b = beta("beta");
        return unlocked([&] { return layer_norm(x, g, b, {eps}); });
      },
      "x"_a, "gamma"_a = nb::none(), "beta"_a = nb::none(), "eps"_a = 1e-5, "Over the last axis. [lanes]");
  m.def(
      "group_norm",
      [](const Tensor& x, IntArg groups, TensorArg gamma, TensorArg beta, double eps) {
        const std::int64_t n = groups("groups");
        const Tensor g = gamma("gamma"), b = beta("beta");
        return unlocked([&] { return group_norm(x, n, g, b, {eps}); });
      },
      "x"_a, "groups"_a, "gamma"_a = nb::none(), "beta"_a = nb::none(), "eps"_a = 1e-5,
      "Per sample and group of channels. [blocked chain over positions of lanes over the group's channels]");
  m.def(
      "local_response_norm",
      [](const Tensor& x, IntArg size, double alpha, double beta, double bias) {
        const std::int64_t n = size("size");
        return unlocked([&] { return local_response_norm(x, n, {alpha, beta, bias}); });
      },
      "x"_a, "size"_a, "alpha"_a = 1e-4, "beta"_a = 0.75, "bias"_a = 1.0,
      "x / (bias + alpha / size * (sum of x^2 over a window of `size` channels))^beta (ONNX's LRN). [chain "
      "over the "
      "window]");
}

}  // namespace

void bind_rows(nb::module_& m, nb::class_<Tensor>& tensor) {
  bind_reductions(m, tensor);
  bind_losses(m);
  bind_matrices(m);
  bind_norms(m);
}

}  // namespace isobit::python
