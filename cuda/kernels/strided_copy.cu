// strided_copy: permutes, expansions, flips and slices, on elements as they are, in units of 1 to 16 bytes:
// the largest that no stride and no pointer cuts. Two kernels:
//   copy_units      a thread owns a unit of the output; neighbours write neighbours (grid-stride loop)
//   copy_transposed where the input is contiguous along another axis than the output: a block owns tiles of
//   32 x 32
//                   elements, which it reads along the one axis and writes along the other, by way of shared
//                   memory
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/walk.cuh"

namespace isobit::gpu::kernels {
namespace {

template <class U>
__global__ void __launch_bounds__(kMapThreads) copy_units(Walk walk, const U* in, U* out) {
  for (std::int64_t i = grid_thread(); i < walk.numel; i += grid_threads()) {
    std::int64_t element[1];
    locate(walk, i, element);
    out[i] = in[element[0]];
  }
}

constexpr int kSide = 32;

/// A transpose of height x width elements for each index of the other axes: in[top + left * step] -> out[top
/// * row + left] from the elements that `source` and `target` give for the index.
struct Transpose {
  Walk others;  // operand 0: the input, 1: the output
  std::int64_t height, width, step, row;
  Divisor bands, columns;  // tiles along height and width
  std::int64_t tiles;
};

template <class U>
__global__ void __launch_bounds__(kMapThreads) copy_transposed(Transpose t, const U* in, U* out) {
  SHARED(tile, U[kSide][kSide + 1]);
  const int lane = static_cast<int>(threadIdx.x) % kSide;
  const int first = static_cast<int>(threadIdx.x) / kSide;
  constexpr int kStep = kMapThreads / kSide;
  for (std::int64_t index = blockIdx.x; index < t.tiles; index += gridDim.x) {
    std::int64_t band = 0, column = 0, other = 0, element[2];
    t.columns.split(index, other, column);
    t.bands.split(other, other, band);
    locate(t.others, other, element);
    const std::int64_t top = band * kSide, left = column * kSide;
    for (int j = first; j < kSide; j += kStep)
      if (top + lane < t.height && left + j < t.width)
        tile[j][lane] = in[element[0] + top + lane + (left + j) * t.step];
    __syncthreads();
    for (int i = first; i < kSide; i += kStep)
      if (top + i < t.height && left + lane < t.width)
        out[element[1] + (top + i) * t.row + left + lane] = tile[lane][i];
    __syncthreads();
  }
}

/// Whether units of `n` elements divide the rows, the strides and both pointers.
bool fits(const StridedGeometry& g, std::int64_t n, std::int64_t size, const void* in, const void* out) {
  const int last = g.rank - 1;
  if (n == 1) return true;
  if (g.stride[0][last] != 1 || g.extent[last] % n != 0) return false;
  for (int axis = 0; axis < last; ++axis)
    if (g.stride[0][axis] % n != 0) return false;
  const std::uintptr_t bytes = static_cast<std::uintptr_t>(n * size);
  const std::uintptr_t first =
      reinterpret_cast<std::uintptr_t>(in) + static_cast<std::uintptr_t>(g.offset[0] * size);
  return first % bytes == 0 && reinterpret_cast<std::uintptr_t>(out) % bytes == 0;
}

/// The axis along which the input is contiguous, where it is worth a transpose; else -1.
int transposed_axis(const StridedGeometry& g) {
  constexpr std::int64_t kWorth = 8;
  const int last = g.rank - 1;
  if (g.stride[0][last] == 0 || g.stride[0][last] == 1 || g.extent[last] < kWorth) return -1;
  for (int axis = 0; axis < last; ++axis)
    if (g.stride[0][axis] == 1 && g.extent[axis] >= kWorth) return axis;
  return -1;
}

Transpose make_transpose(const StridedGeometry& g, int axis) {
  const int last = g.rank - 1;
  StridedGeometry others;
  others.rank = 0;
  others.offset[0] = g.offset[0];
  std::int64_t dense[Shape::max_rank];
  dense[last] = 1;
  for (int i = last; i > 0; --i) dense[i - 1] = dense[i] * g.extent[i];
  for (int i = 0; i < last; ++i) {
    if (i == axis) continue;
    others.extent[others.rank] = g.extent[i];
    others.stride[0][others.rank] = g.stride[0][i];
    others.stride[1][others.rank++] = dense[i];
  }
  if (others.rank == 0) {
    others.rank = 1;
    others.extent[0] = 1;
  }
  Transpose t{};
  t.height = g.extent[axis];
  t.width = g.extent[last];
  t.step = g.stride[0][last];
  t.row = dense[axis];
  const std::int64_t bands = blocks_for(t.height, kSide), columns = blocks_for(t.width, kSide);
  t.tiles = others.numel() * bands * columns;
  t.bands = Divisor(bands, t.tiles);
  t.columns = Divisor(columns, t.tiles);
  t.others = make_walk(others);
  return t;
}

}  // namespace

void strided_copy(const StridedGeometry& g, ConstView in, View out) {
  if (g.numel() == 0) return;
  const std::int64_t size = size_of(out.dtype);
  const int axis = transposed_axis(g);
  if (axis >= 0) {
    const Transpose transpose = make_transpose(g, axis);
    const std::int64_t blocks = grid_stride_blocks(transpose.tiles, 1);
    with_unit(size, [&](auto unit) {
      using U = decltype(unit);
      if constexpr (std::is_integral_v<U>)
        launch(copy_transposed<U>, blocks, kMapThreads, 0, transpose, in.as<U>(), out.as<U>());
    });
    return;
  }
  std::int64_t n = 16 / size;
  while (!fits(g, n, size, in.data, out.data)) n /= 2;
  StridedGeometry units = g;
  units.extent[g.rank - 1] /= n;
  units.offset[0] /= n;
  for (int i = 0; i < g.rank - 1; ++i) units.stride[0][i] /= n;
  const Walk walk = make_walk(units);
  with_unit(n * size, [&](auto unit) {
    using U = decltype(unit);
    launch(copy_units<U>, grid_stride_blocks(walk.numel, kMapThreads), kMapThreads, 0, walk, in.as<U>(),
           out.as<U>());
  });
}

}  // namespace isobit::gpu::kernels
