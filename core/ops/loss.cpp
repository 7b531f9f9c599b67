// Losses: a value per sample, divided once, by the size of the whole batch (isobit/parts.h), then summed over
// the batch by the batch tree: so the joined losses of parts are the bits of the whole's. Halves are widened
// first: their losses are f32.
#include <isobit/parts.h>

#include "core/ops/internal.h"

namespace isobit {

namespace ops {
namespace {

/// Samples along axis 0 of the whole batch, of which a tensor of this shape is a part.
std::int64_t whole_batch(const char* op, const Shape& x) {
  const std::int64_t batch = x.rank() > 0 ? x.begin()[0] : 1;
  if (x.numel() == 0) fail(op, "x {} has no elements to average", x);
  return current_part(op, batch).whole;
}

Tensor widened(const Tensor& t) {
  return is_half(t.dtype()) ? t.to(DType::f32) : t;
}

/// Log-probability of each row's label, of the labels' shape.
Tensor pick(const Tensor& log_probabilities, const Tensor& labels, std::int64_t classes) {
  const std::int64_t rows = labels.numel();
  Tensor position;
  {
    NoGrad off;
    const TensorOptions integers{.dtype = DType::i64, .device = labels.device()};
    position = add(arange(rows, 0, static_cast<double>(classes), integers), labels.reshape({rows}));
  }
  // The labels were looked at; their positions are as right.
  return gather_recorded(log_probabilities.reshape({rows * classes}), position, Shape{rows})
      .reshape(labels.shape());
}

/// Sum of v[n, ...] / count: each sample's sum, divided, then over the samples.
Tensor averaged(const Tensor& v, double count) {
  constexpr int kInner[] = {1, 2, 3, 4, 5, 6, 7};
  const Tensor samples = v.rank() < 2 ? v : sum(v, std::span(kInner, static_cast<std::size_t>(v.rank() - 1)));
  return sum(div_scalar(samples, count));
}

}  // namespace
}  // namespace ops

Tensor cross_entropy(const Tensor& logits, const Tensor& target, const CrossEntropyOptions& options) {
  constexpr const char* kOp = "cross_entropy";
  ops::require_defined(kOp, {&logits, &target});
  const double smoothing = options.label_smoothing;
  if (!(smoothing >= 0 && smoothing < 1)) fail(kOp, "label_smoothing is {}, expected 0 <= s < 1", smoothing);
  if (!is_floating(logits.dtype())) fail(kOp, "logits are {}, expected a floating dtype", logits.dtype());
  if (logits.rank() < 2)
    fail(kOp, "logits {} have {} axes, expected [n, ..., classes]", logits.shape(), logits.rank());
  if (logits.device() != target.device())
    fail(kOp, "logits live on {}, target on {}, expected one device", logits.device(), target.device());
  const Shape rows = logits.shape().without(-1);
  const std::int64_t classes = logits.shape(-1);
  const bool labels = target.dtype() == DType::i64;
  if (labels) {
    ops::require_shape(kOp, "target of class indices", target, rows);
    ops::require_indices(kOp, "label", target, classes);
  } else {
    if (target.dtype() != logits.dtype())
      fail(kOp, "target is {}, expected i64 class indices or {} probabilities", target.dtype(),
           logits.dtype());
    ops::require_shape(kOp, "target of probabilities", target, logits.shape());
  }
  const std::int64_t whole = ops::whole_batch(kOp, logits.shape());
  const double even = smoothing / static_cast<double>(classes);
  const Tensor log_probabilities = log_softmax(ops::widened(logits));
  Tensor value;
  if (labels) {
    value = ops::pick(log_probabilities, target, classes);
    if (smoothing != 0)
      value = add(mul_scalar(value, 1 - smoothing), mul_scalar(sum(log_probabilities, {-1}), even));
  } else {
    Tensor wanted = ops::widened(target);
    if (smoothing != 0) wanted = add_scalar(mul_scalar(wanted, 1 - smoothing), even);
    value = sum(mul(log_probabilities, wanted), {-1});
  }
  const std::int64_t positions = rows.numel() / rows.begin()[0];
  // Division by -count is the negated division, bit for bit.
  return ops::averaged(value, -static_cast<double>(whole) * static_cast<double>(positions));
}

Tensor mse(const Tensor& x, const Tensor& target) {
  ops::require_defined("mse", {&x, &target});
  ops::require_alike("mse", x, target);
  if (!is_floating(x.dtype())) fail("mse", "x is {}, expected a floating dtype", x.dtype());
  ops::require_shape("mse", "target", target, x.shape());
  const std::int64_t whole = ops::whole_batch("mse", x.shape());
  const std::int64_t batch = x.rank() > 0 ? x.shape().begin()[0] : 1;
  const Tensor squared = square(sub(ops::widened(x), ops::widened(target)));
  const std::int64_t values = x.numel() / batch;  // of a sample
  return ops::averaged(squared, static_cast<double>(whole) * static_cast<double>(values));
}

}  // namespace isobit
