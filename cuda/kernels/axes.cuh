// Axes of a dense tensor walked in row-major order, for kernels.
#pragma once
#include "cuda/kernels/element.cuh"

namespace isobit::gpu::kernels {

struct Axes {
  int rank = 0;
  std::int64_t extent[Shape::max_rank] = {}, stride[Shape::max_rank] = {};

  /// Adds an inner axis; one that continues the axis before it becomes one with it.
  void add(std::int64_t axis_extent, std::int64_t axis_stride) {
    if (axis_extent == 1) return;
    if (rank > 0 && stride[rank - 1] == axis_extent * axis_stride) {
      extent[rank - 1] *= axis_extent;
      stride[rank - 1] = axis_stride;
      return;
    }
    extent[rank] = axis_extent;
    stride[rank] = axis_stride;
    ++rank;
  }
  std::int64_t size() const {
    std::int64_t product = 1;
    for (int i = 0; i < rank; ++i) product *= extent[i];
    return product;
  }
  /// Where index i lies, in elements.
  __device__ std::int64_t offset(std::int64_t i) const {
    if (rank == 0) return 0;
    std::int64_t sum = 0;
    for (int axis = rank - 1; axis > 0; --axis) {
      sum += i % extent[axis] * stride[axis];
      i /= extent[axis];
    }
    return sum + i * stride[0];
  }
};

/// A reduction's axes: out's element i starts at outer.offset(i / width) + i % width, its term r lies
/// rows.offset(r) beyond. All but the last `skip` axes of g, whose elements are then single ones.
struct Columns {
  Axes outer, rows;
  std::int64_t width = 1;      ///< extent of an innermost kept axis
  std::int64_t kept = 1;       ///< results
  std::int64_t row_count = 1;  ///< terms of each
  std::int64_t leaf_rows = 0;  ///< terms of a leaf of the batch tree; 0: one blocked chain

  Columns() = default;
  explicit Columns(const ReduceGeometry& g, int skip = 0) {
    const int rank = g.rank - skip;
    std::int64_t strides[Shape::max_rank] = {}, stride = 1;
    for (int i = rank - 1; i >= 0; --i) {
      strides[i] = stride;
      stride *= g.extent[static_cast<std::size_t>(i)];
    }
    std::int64_t middle = 1;
    for (int i = 0; i < rank; ++i) {
      const auto axis = static_cast<std::size_t>(i);
      const std::int64_t extent = g.extent[axis];
      if (g.reduced[axis]) {
        rows.add(extent, strides[i]);
        row_count *= extent;
        if (i != 0 || !g.batch) middle *= extent;
      } else {
        kept *= extent;
        if (i == rank - 1) {
          width = extent;
        } else {
          outer.add(extent, strides[i]);
        }
      }
    }
    if (g.batch) leaf_rows = numerics::leaf_samples(middle) * middle;
  }
  /// Where result i's first term lies.
  __device__ std::int64_t base(std::int64_t i) const {
    return width == 1 ? outer.offset(i) : outer.offset(i / width) + i % width;
  }
};

}  // namespace isobit::gpu::kernels
