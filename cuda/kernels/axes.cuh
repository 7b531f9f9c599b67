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

/// How far each row lies beyond the first: equal steps, or, for rows of several axes, a table, which spares
/// the loops over rows their divisions.
struct RowSteps {
  std::int64_t stride = 0;
  const std::int64_t* table = nullptr;
  __device__ std::int64_t offset(std::int64_t row) const {
    return table == nullptr ? row * stride : table[row];
  }
};

/// One row a thread.
template <class Offset>
__global__ void __launch_bounds__(256) tabulate_rows(Axes rows, std::int64_t count, Offset* table) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * 256;
  for (std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * 256 + threadIdx.x; row < count; row += step)
    table[row] = rows.offset(row);
}

/// The steps of rows, and the table's memory.
class RowTable {
 public:
  RowTable(const Axes& rows, std::int64_t count)
      : room_(rows.rank <= 1 ? 0 : count * static_cast<std::int64_t>(sizeof(std::int64_t))) {
    if (rows.rank == 1) steps_.stride = rows.stride[0];
    if (rows.rank <= 1) return;
    steps_.table = room_.as<std::int64_t>();
    launch(tabulate_rows<std::int64_t>, grid_stride_blocks(count, 256), 256, 0, rows, count,
           room_.as<std::int64_t>());
  }
  const RowSteps& steps() const { return steps_; }

 private:
  Scratch room_;
  RowSteps steps_;
};

/// A reduction's axes: out's element i starts at outer.offset(i / width) + i % width, its term r lies
/// rows.offset(r) beyond. All but the last `skip` axes of g, whose elements are then single ones.
struct Columns {
  Axes outer, rows;
  std::int64_t width = 1;      ///< extent of an innermost kept axis
  std::int64_t kept = 1;       ///< results
  std::int64_t row_count = 1;  ///< terms of each
  RowSteps steps;              ///< of rows, for kernels: RowTable makes them
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
