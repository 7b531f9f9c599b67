// Dropout: which elements stay is drawn by their index in the whole batch, so parts of a batch drop what the
// whole would. The op is its own adjoint.
#include <isobit/parts.h>

#include "core/ops/internal.h"

namespace isobit {

namespace {

Tensor dropped(const Tensor& x, double p, RandomKey key, std::uint64_t first) {
  Tensor y = ops::empty_as(x, x.shape());
  backend(x.device()).dropout(key, first, p, view(x), fresh_view(y));
  if (!recording({&x})) return y;
  return record("dropout", {x}, y, {}, [p, key, first](const BackwardContext& c) {
    return ops::Gradients{dropped(c.dy(), p, key, first)};
  });
}

}  // namespace

Tensor dropout(const Tensor& x, double p, RandomKey key) {
  ops::require_defined("dropout", {&x});
  if (!is_floating(x.dtype())) fail("dropout", "x is {}, expected a floating dtype", x.dtype());
  if (!(p >= 0 && p < 1)) fail("dropout", "p is {}, expected 0 <= p < 1", p);
  const std::int64_t batch = x.rank() > 0 ? x.shape().begin()[0] : 1;
  std::uint64_t first = 0;
  // A batch of 0 draws nothing. Counters wrap as the generator's do.
  if (x.numel() > 0)
    first = static_cast<std::uint64_t>(current_part("dropout", batch).first) *
            static_cast<std::uint64_t>(x.numel() / batch);
  return dropped(x, p, key, first);
}

}  // namespace isobit
