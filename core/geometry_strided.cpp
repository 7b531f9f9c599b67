// Loops by strides and reductions: broadcasting, permutation, and the merging of axes that lets kernels see
// long inner loops. Merging changes no order of summation: what a ReduceGeometry's order is, is defined on
// the merged form.
#include <isobit/error.h>

#include <algorithm>

#include "core/geometry.h"

namespace isobit {
namespace {

/// Drops axes of extent 1 and joins neighbours that every operand walks as one.
void merge(StridedGeometry& g, int operands) {
  int rank = 0;
  for (int i = 0; i < g.rank; ++i) {
    if (g.extent[i] == 0) {
      const auto offset = g.offset;
      g = StridedGeometry{};
      g.extent[0] = 0;
      g.offset = offset;
      return;
    }
  }
  for (int i = 0; i < g.rank; ++i) {
    if (g.extent[i] == 1) continue;
    bool joins = rank > 0;
    for (int j = 0; j < operands && joins; ++j) joins = g.stride[j][rank - 1] == g.stride[j][i] * g.extent[i];
    if (joins) {
      g.extent[rank - 1] *= g.extent[i];
      for (int j = 0; j < operands; ++j) g.stride[j][rank - 1] = g.stride[j][i];
    } else {
      g.extent[rank] = g.extent[i];
      for (int j = 0; j < operands; ++j) g.stride[j][rank] = g.stride[j][i];
      ++rank;
    }
  }
  if (rank == 0) {
    g.extent[0] = 1;
    for (int j = 0; j < operands; ++j) g.stride[j][0] = 0;
    rank = 1;
  }
  for (int i = rank; i < g.rank; ++i) {
    g.extent[i] = 0;
    for (int j = 0; j < operands; ++j) g.stride[j][i] = 0;
  }
  g.rank = rank;
}

std::string list(std::span<const Shape> shapes) {
  std::string text;
  for (const Shape& s : shapes) text += (text.empty() ? "" : ", ") + fmt::format("{}", s);
  return text;
}

}  // namespace

StridedGeometry make_broadcast_geometry(const char* op, std::span<const Shape> operands, Shape* out) {
  StridedGeometry g;
  const int count = static_cast<int>(operands.size());
  bool equal = true;
  for (int j = 1; j < count; ++j) equal = equal && operands[j] == operands[0];
  if (equal) {  // by far the most frequent case
    *out = operands[0];
    g.extent[0] = out->numel();
    for (int j = 0; j < count; ++j) g.stride[j][0] = 1;
    return g;
  }
  int rank = 0;
  for (const Shape& s : operands) rank = std::max(rank, s.rank());
  g.rank = rank;
  for (int i = 0; i < rank; ++i) {
    std::int64_t extent = 1;
    for (const Shape& s : operands) {
      const int axis = i - (rank - s.rank());
      if (axis < 0 || s.begin()[axis] == 1) continue;
      if (extent != 1 && extent != s.begin()[axis])
        fail(op, "shapes {} do not broadcast: axis {} has extents {} and {}", list(operands), i, extent,
             s.begin()[axis]);
      extent = s.begin()[axis];
    }
    g.extent[i] = extent;
  }
  *out = Shape(std::span<const std::int64_t>(g.extent.data(), static_cast<std::size_t>(rank)));
  for (int j = 0; j < count; ++j) {
    const Shape& s = operands[j];
    std::int64_t stride = 1;
    for (int i = rank - 1; i >= rank - s.rank(); --i) {
      const std::int64_t extent = s.begin()[i - (rank - s.rank())];
      g.stride[j][i] = extent == 1 ? 0 : stride;
      stride *= std::max<std::int64_t>(extent, 1);
    }
  }
  merge(g, count);
  return g;
}

StridedGeometry make_permute_geometry(const Shape& in, std::span<const int> axes, Shape* out) {
  StridedGeometry g;
  g.rank = std::max(in.rank(), 1);
  std::array<std::int64_t, Shape::max_rank> stride{};
  std::int64_t step = 1;
  for (int i = in.rank() - 1; i >= 0; --i) {
    stride[i] = step;
    step *= std::max<std::int64_t>(in.begin()[i], 1);
  }
  for (int i = 0; i < in.rank(); ++i) {
    g.extent[i] = in.begin()[axes[i]];
    g.stride[0][i] = stride[axes[i]];
  }
  *out = Shape(std::span<const std::int64_t>(g.extent.data(), static_cast<std::size_t>(in.rank())));
  merge(g, 1);
  return g;
}

ReduceGeometry make_reduce_geometry(const Shape& x, std::span<const int> axes) {
  ReduceGeometry g;
  std::array<bool, Shape::max_rank> reduced{};
  for (int axis : axes) reduced[axis] = true;
  const int last = x.rank() - 1;
  g.batch = x.rank() > 0 && reduced[0];
  g.lanes = last > 0 && reduced[last];
  int rank = 0;
  for (int i = 0; i <= last; ++i) {
    const std::int64_t extent = x.begin()[i];
    if (extent == 1 && i != 0 && i != last) continue;
    const bool after_batch = g.batch && rank == 1;
    if (rank > 0 && g.reduced[rank - 1] == reduced[i] && !after_batch) {
      g.extent[rank - 1] *= extent;
    } else {
      g.extent[rank] = extent;
      g.reduced[rank] = reduced[i];
      ++rank;
    }
  }
  g.rank = std::max(rank, 1);
  return g;
}

std::string ReduceGeometry::to_string() const {
  std::string text;
  for (int i = 0; i < rank; ++i)
    text += (i > 0 ? "x" : "") + std::to_string(extent[i]) + (reduced[i] ? "r" : "k");
  return text + (batch ? " batch" : "") + (lanes ? " lanes" : "");
}

std::string MatmulGeometry::to_string() const {
  return fmt::format("{}x{}:{}x{}b{}{}", m, k, k, n, batch,
                     transpose_a   ? (transpose_b ? "ta1tb1" : "ta1")
                     : transpose_b ? "tb1"
                                   : "");
}

}  // namespace isobit
