// Products of matrices over broadcast leading axes.
#include "core/ops/internal.h"

namespace isobit {

namespace {

/// Leading axes that all repeat one matrix, or that run along with the result's.
enum class Lead { single, dense, mixed };

Lead lead_of(const Shape& matrix_lead, const Shape& common) {
  if (matrix_lead == common) return Lead::dense;
  return matrix_lead.numel() == 1 ? Lead::single : Lead::mixed;
}

Shape with_matrix(const Shape& lead, std::int64_t rows, std::int64_t columns) {
  return lead.inserted(lead.rank(), rows).inserted(lead.rank() + 1, columns);
}

Tensor run_matmul(const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b) {
  const int rank_a = a.rank(), rank_b = b.rank();
  const std::int64_t *ea = a.shape().begin(), *eb = b.shape().begin();
  MatmulGeometry g;
  g.m = ea[rank_a - (transpose_a ? 1 : 2)];
  g.k = ea[rank_a - (transpose_a ? 2 : 1)];
  g.n = eb[rank_b - (transpose_b ? 2 : 1)];
  g.transpose_a = transpose_a;
  g.transpose_b = transpose_b;
  const std::int64_t k_b = eb[rank_b - (transpose_b ? 1 : 2)];
  if (k_b != g.k)
    fail("matmul", "inner extents are {} and {} (a {}{}, b {}{})", g.k, k_b, a.shape(),
         transpose_a ? " transposed" : "", b.shape(), transpose_b ? " transposed" : "");
  const Shape leads[] = {a.shape().sub(0, rank_a - 2), b.shape().sub(0, rank_b - 2)};
  Shape lead;
  make_broadcast_geometry("matmul", leads, &lead);
  // A mixture (some leading axes repeat, others run) is spread out first.
  Tensor whole_a = a, whole_b = b;
  const Lead lead_a = lead_of(leads[0], lead), lead_b = lead_of(leads[1], lead);
  if (lead_a == Lead::mixed) whole_a = broadcast_to(a, with_matrix(lead, ea[rank_a - 2], ea[rank_a - 1]));
  if (lead_b == Lead::mixed) whole_b = broadcast_to(b, with_matrix(lead, eb[rank_b - 2], eb[rank_b - 1]));
  g.batch = lead.numel();
  g.stride_a = lead_a == Lead::single ? 0 : g.m * g.k;
  g.stride_b = lead_b == Lead::single ? 0 : g.k * g.n;
  // Rows of many matrices times one matrix are rows of one tall matrix; every element keeps its order.
  if (lead_b == Lead::single && lead_a != Lead::single && !transpose_a) {
    g.m *= g.batch;
    g.batch = 1;
    g.stride_a = g.stride_b = 0;
  }
  const std::int64_t rows = ea[rank_a - (transpose_a ? 1 : 2)];
  Tensor c = ops::empty_as(a, with_matrix(lead, rows, g.n));
  backend(a.device()).matmul(g, view(whole_a), view(whole_b), fresh_view(c));
  return c;
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b,
              std::optional<Math> math) {
  const MathScope arithmetic(math);
  ops::require_defined("matmul", {&a, &b});
  ops::require_alike("matmul", a, b);
  if (!is_floating(a.dtype())) fail("matmul", "operands are {}, expected a floating dtype", a.dtype());
  if (a.rank() < 2 || b.rank() < 2)
    fail("matmul", "expected matrices, [..., m, k] and [..., k, n] (a {}, b {})", a.shape(), b.shape());
  Tensor y;
  {
    NoGrad off;
    y = run_matmul(a, b, transpose_a, transpose_b);
  }
  if (!recording({&a, &b})) return y;
  return record("matmul", {a, b}, y, {a, b}, [transpose_a, transpose_b](const BackwardContext& c) {
    const Tensor a0 = c.saved(0), b0 = c.saved(1);
    const Tensor& dy = c.dy();
    ops::Gradients g(2);
    if (c.needs(0))
      g[0] = sum_to(transpose_a ? matmul(b0, dy, transpose_b, true) : matmul(dy, b0, false, !transpose_b),
                    a0.shape());
    if (c.needs(1))
      g[1] = sum_to(transpose_b ? matmul(dy, a0, true, transpose_a) : matmul(a0, dy, !transpose_a, false),
                    b0.shape());
    return g;
  });
}

}  // namespace isobit
