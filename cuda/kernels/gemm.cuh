// Matrix products whose operands are gathered: what matmul and the three convolutions have in common. out[m,
// n] is a reduction over terms t of a(m, t) * b(t, n); a and b are read where they lie, by index maps, so no
// convolution is ever unfolded in memory. The kernels are in gemm_tile.cuh, gemm_vector.cuh and gemm_few.cuh,
// the choice of tiles and splits in gemm.cu.
#pragma once
#include "core/numerics/bits.h"
#include "core/numerics/pad_index.h"
#include "cuda/kernels/conv.cuh"

namespace isobit::gpu::kernels {

/// From an index (a row, a term) to an offset in elements and the coordinates on the three spatial axes: the
/// index is split into digits [outer, axis 0, axis 1, axis 2, inner], the last fastest; offset = base + sum
/// of digit * stride; coordinate of axis i = start[i] + digit * step[i]. Extents and coordinates fit 31 bits,
/// offsets take 64. (No default values: maps live in shared memory.)
struct IndexMap {
  bool linear;             // one digit: offset = base + index * stride[0], coordinates = start
  std::int32_t extent[4];  // of axis 0, 1, 2 and the inner digit
  std::int32_t start[3], step[3];
  std::int64_t base, stride[5];
};

inline IndexMap linear_map(std::int64_t stride) {
  IndexMap map{};
  map.linear = true;
  map.stride[0] = stride;
  return map;
}

/// All maps of a product, and its reduction: `leaves` runs of `leaf_terms` terms (the last has
/// last_leaf_terms), each a blocked chain, joined by the batch tree. A plain blocked chain is one leaf.
struct GemmMaps {
  IndexMap a_rows, a_terms, b_terms, out_rows;
  std::int64_t rows;
  std::int64_t leaves, leaf_terms, last_leaf_terms;
};

/// conv_backward_input falls apart into one product for each combination of stride phases; the maps of one
/// are made in the kernel, from these numbers.
struct GemmPhases {
  AxisGeometry axis[3];
  std::int64_t count[3];                                 // phases of the axis that have rows
  std::int64_t dy_stride[3], w_stride[3], dx_stride[3];  // elements from one coordinate (tap) to the next
};

/// How the threads of a block fetch an operand: runs of four terms of a row as one access, or of four rows of
/// a term where the rows are the contiguous direction; else single elements, neighbours by neighbours.
enum class Reach : std::int32_t { term, term_vector, row, row_vector };

/// What one block of the grid reduces: everything; a run of leaves (a power of two of them); or some blocks
/// of terms, each of which is stored by itself.
enum class Split : std::int32_t { none, leaves, blocks };

/// What elements of a with a coordinate outside of the bounds read: the value, or the element that the axis'
/// mode says (core/numerics/pad_index.h).
struct GemmBorder {
  std::uint64_t value = 0;  // the bits of an element
  bool mapped = false;      // an axis has another mode than constant
  PadMode mode[3] = {};
  std::int64_t stride[3] = {};  // elements from one coordinate to the next
};

struct Gemm {
  const void *a = nullptr, *b = nullptr;
  void* out = nullptr;
  std::int64_t a_elements = 0, b_elements = 0;
  Finish finish;
  GemmMaps maps{};
  std::int64_t columns = 0, b_column_stride = 1;
  /// Groups of a convolution or matrices of a batch: elements from one to the next.
  std::int64_t batches = 1, a_batch = 0, b_batch = 0, out_batch = 0, bias_batch = 0;
  Reach a_reach = Reach::term, b_reach = Reach::row;
  bool bounded = false;  // elements of a may have coordinates outside of `bounds`
  std::int32_t bounds[3] = {1, 1, 1};
  GemmBorder border;
  bool out_vector = false;  // four neighbours of a row of out may be written as one
  bool phased = false;
  GemmPhases phases{};

  // The plan, made by run_gemm.
  std::int64_t m_tiles = 0, n_tiles = 0;
  Split split = Split::none;
  std::int64_t share = 0;  // leaves or blocks of terms in one block of the grid
  void* slots = nullptr;   // of each block of the grid: the chain's total, then the tree's levels
  std::int64_t slots_each = 0;
  void* partial = nullptr;  // of each tile: what the blocks of the grid stored, leaves or blocks of terms
};

enum class TileShape { best, m128n128, m128n64, m64n64, m128n32, m256n8 };

/// Whether groups of four elements from `data` on, at offsets that are sums of the multiples, are aligned for
/// one access (of at most 16 bytes).
bool aligned_in_fours(ConstView data, std::initializer_list<std::int64_t> multiples);

/// Fills in what lies outside of axis `axis` of x, whose coordinates are `stride` elements apart.
void set_border(Gemm& p, int axis, const AxisGeometry& a, std::int64_t stride);
/// The bits of an element of type `dtype`.
std::uint64_t element_bits(DType dtype, double value);

/// Why the tiles do not serve a convolution (numbers beyond 31 bits), null when they do.
const char* refuse_gemm(const ConvGeometry& g);

/// Runs g, whose plan is not made yet; dtype is that of a, b and out.
void run_gemm(const char* kernel, DType dtype, TileShape shape, Gemm g);

/// Whether the tiles of gemm_vector.cuh serve g, whose storage is f32; their launch.
bool reads_fours(const Gemm& g);
void launch_gemm_vector(TileShape shape, const Grid& grid, const Gemm& g);

// ---- device

/// The offset of an index; at(axis, coordinate) receives its coordinates. Maps lie in shared memory, so the
/// loop over axes stays a loop: a quarter of the code.
template <class At>
__device__ inline std::int64_t place(const IndexMap& map, std::int64_t index, const At& at) {
  std::int64_t offset = map.base;
  if (map.linear) {
    for (int axis = 0; axis < 3; ++axis) at(axis, map.start[axis]);
  } else {
    offset += take_digit(index, map.extent[3]) * map.stride[4];
#pragma unroll 1
    for (int axis = 2; axis >= 0; --axis) {
      const std::int32_t digit = static_cast<std::int32_t>(take_digit(index, map.extent[axis]));
      offset += digit * map.stride[axis + 1];
      at(axis, map.start[axis] + digit * map.step[axis]);
    }
  }
  return offset + index * map.stride[0];
}
__device__ inline std::int64_t place(const IndexMap& map, std::int64_t index) {
  return place(map, index, [](int, std::int32_t) {});
}

/// A coordinate of a lies outside: whether it reads an element of a all the same, to whose offset *offset is
/// then moved, or the border's value. at(axis): the coordinates, of which those inside stay.
template <class At>
__device__ inline bool find_mapped(const Gemm& p, const At& at, std::int64_t* offset) {
#pragma unroll 1
  for (int axis = 0; axis < 3; ++axis) {
    const std::int32_t x = at(axis), extent = p.bounds[axis];
    if (static_cast<std::uint32_t>(x) < static_cast<std::uint32_t>(extent)) continue;
    const PadMode mode = p.border.mode[axis];
    if (mode == PadMode::constant) return false;
    const std::int32_t source = outside_source(mode, x, extent);
    *offset += static_cast<std::int64_t>(source - x) * p.border.stride[axis];
  }
  return true;
}

/// The element whose bits are the low ones of `bits`.
template <class S>
__device__ inline S element_of(std::uint64_t bits) {
  if constexpr (sizeof(S) == 8) {
    return numerics::bit_cast<S>(bits);
  } else if constexpr (sizeof(S) == 4) {
    return numerics::bit_cast<S>(static_cast<std::uint32_t>(bits));
  } else {
    return S{static_cast<std::uint16_t>(bits)};
  }
}

/// The maps of combination `phase` of stride phases. On every axis the padded coordinates u of x that count
/// are first, first + stride, ...: tap j of the phase pairs row i with the output (first - tap_0 * dilation)
/// / stride + i - j * (tap step * dilation / stride).
__device__ inline void set_phase(const GemmPhases& p, std::int64_t phase, GemmMaps& maps) {
  std::int64_t terms = maps.leaf_terms;  // as it comes: filters of a group
#pragma unroll 1
  for (int axis = 2; axis >= 0; --axis) {
    const AxisGeometry& a = p.axis[axis];
    const std::int64_t before = a.pad_before < 0 ? 0 : a.pad_before;
    const std::int64_t end = a.in + a.pad_before + (a.pad_after < 0 ? a.pad_after : 0);
    const std::int64_t first = before + phase % p.count[axis];
    phase /= p.count[axis];
    const std::int64_t rows = first < end ? (end - 1 - first) / a.stride + 1 : 0;
    const PhaseTaps taps = phase_taps(a, first);
    const std::int64_t start = (first - taps.first * a.dilation) / a.stride;
    const std::int64_t back = -(taps.step * a.dilation / a.stride);
    maps.rows *= rows;
    terms *= taps.count;
    maps.a_rows.extent[axis] = maps.out_rows.extent[axis] = static_cast<std::int32_t>(rows);
    maps.a_rows.start[axis] = static_cast<std::int32_t>(start);
    maps.a_rows.step[axis] = 1;
    maps.a_rows.stride[axis + 1] = p.dy_stride[axis];
    maps.a_rows.base += start * p.dy_stride[axis];
    maps.a_terms.extent[axis] = maps.b_terms.extent[axis] = static_cast<std::int32_t>(taps.count);
    maps.a_terms.step[axis] = static_cast<std::int32_t>(back);
    maps.a_terms.stride[axis + 1] = back * p.dy_stride[axis];
    maps.b_terms.stride[axis + 1] = taps.step * p.w_stride[axis];
    maps.b_terms.base += taps.first * p.w_stride[axis];
    maps.out_rows.stride[axis + 1] = a.stride * p.dx_stride[axis];
    maps.out_rows.base += (first - a.pad_before) * p.dx_stride[axis];
  }
  maps.leaf_terms = maps.last_leaf_terms = terms;
}

/// Where a block of the grid works: tile, group, phase.
struct TilePlace {
  std::int64_t n_tile, m_tile, batch, phase;
};
__device__ inline TilePlace tile_place(const Gemm& p) {
  TilePlace at;
  at.phase = blockIdx.x;
  at.n_tile = take_digit(at.phase, p.n_tiles);
  at.m_tile = take_digit(at.phase, p.m_tiles);
  at.batch = take_digit(at.phase, p.batches);
  return at;
}

}  // namespace isobit::gpu::kernels
