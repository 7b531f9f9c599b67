// Linear layers, whose filter [c, k] is larger than their batch. No twin: the tiles of cuda/kernels/gemm.cuh
// gather either operand as fast.
//
// forward: a plain product (gemm_product.h).
//
// backward_input: the roles of the matrices are exchanged. Packing the filter transposed would cost more than
// a tenth of the product. As the matrix A it is read as it lies, once, forward: rows are the channels c,
// terms k, columns the samples n. dy is transposed to [k, n] panels, which are small; a task computes dx
// transposed for 40 channels and turns it while it is in the cache. Each element is the same blocked chain
// over k.
//
// backward_filter: a leaf of the batch tree is 16 samples, 16 terms, too few for a tile to be called for
// each. The tile goes through all leaves and joins them itself. A task owns 40 rows of dw; its columns of x
// are copied together, for they lie a sample apart.
#include "cpu/kernels/conv_linear.h"

#include <algorithm>
#include <bit>

#include "core/numerics/order.h"
#include "core/activation.h"
#include "cpu/kernels/conv_after.h"
#include "cpu/kernels/gemm_panels.h"
#include "cpu/kernels/gemm_product.h"
#include "cpu/kernels/kernels.h"
#include "cpu/runtime/thread_pool.h"

namespace isobit::cpu::kernels {
namespace {

using numerics::kBlock;

constexpr std::int64_t kTaskChannels = 40;
constexpr std::int64_t kMostSamples = 512, kLeastFilters = 32;

const char* refuse(const ConvGeometry& g) {
  for (const AxisGeometry& axis : g.axis)
    if (axis.in != 1 || axis.out != 1 || axis.filter != 1 || axis.stride != 1 || axis.pad_before != 0 ||
        axis.pad_after != 0)
      return "not a linear layer: an axis has an extent, a filter, a stride or padding";
  if (g.groups != 1) return "groups";
  if (g.n == 0 || g.c == 0) return "nothing to compute";
  if (g.n > kMostSamples) return "so many samples are worth a packed filter";
  if (g.k < kLeastFilters) return "so few filters are packed in no time";
  return nullptr;
}

template <class T>
void backward_input(const ConvGeometry& g, gemm::Source dy, gemm::Source w, View dx) {
  const gemm::TileSet<T>& tiles = gemm::tiles<T>(g.n);
  const std::int64_t panel_count = gemm::panel_count(tiles, g.n), columns = gemm::packed_columns(tiles, g.n);
  const bool half = size_of(w.dtype) != sizeof(T);
  const Scratch<gemm::Panel<T>> panels(panel_count);
  const Scratch<T> packed(g.k * columns);
  gemm::lay_out_panels(tiles, g.n, panels.data());
  T* to = packed.data();
  for (gemm::Panel<T>& panel : panels.span()) {
    panel.b = to;
    panel.ldb = panel.vectors * tiles.lanes;
    gemm::pack_panel(dy.at(panel.column * g.k), 1, g.k, g.k, panel.columns, panel.ldb, to);
    to += g.k * panel.ldb;
  }

  const std::int64_t blocks = std::max<std::int64_t>(1, numerics::block_count(g.k));
  const Scratch<gemm::Run> runs(blocks);
  const Scratch<std::int64_t> block_runs(blocks + 1);
  for (std::int64_t i = 0; i < blocks; ++i) runs[i] = {i * kBlock, std::min(kBlock, g.k - i * kBlock)};
  for (std::int64_t i = 0; i <= blocks; ++i) block_runs[i] = i;

  parallel_for((g.c + kTaskChannels - 1) / kTaskChannels, [&](std::int64_t task) {
    const std::int64_t first = task * kTaskChannels, count = std::min(kTaskChannels, g.c - first);
    const Scratch<T> widened(half ? count * g.k : 0);
    if (half) gemm::widen(w.at(first * g.k), widened.data(), count * g.k);
    const T* const filter = half ? widened.data() : w.at(first * g.k).template as<T>();
    const Scratch<T> sums(count * columns);  // [channel, sample]
    const T* rows[gemm::TileSet<T>::kMaxHeight];
    T* outs[gemm::TileSet<T>::kMaxHeight];
    gemm::Tile<T> tile;
    tile.rows = rows;
    tile.out = outs;
    tile.runs = runs.data();
    tile.block_runs = block_runs.data();
    tile.blocks = blocks;
    for (std::int64_t i = 0; i < count;) {
      const std::int64_t height = tiles.height(count - i);
      for (std::int64_t j = 0; j < height; ++j) {
        rows[j] = filter + (i + j) * g.k;
        outs[j] = sums.data() + (i + j) * columns;
      }
      for (const gemm::Panel<T>& panel : panels.span()) {
        tile.b = panel.b;
        tile.ldb = panel.ldb;
        tile.columns = panel.ldb;
        tile.out_shift = panel.column;
        tiles.kernel[height - 1][panel.vectors - 1](tile);
      }
      i += height;
    }
    if (half) {
      T turned[kTaskChannels];
      for (std::int64_t n = 0; n < g.n; ++n) {
        for (std::int64_t i = 0; i < count; ++i) turned[i] = sums[i * columns + n];
        gemm::narrow(turned, static_cast<char*>(dx.data) + (n * g.c + first) * size_of(dx.dtype), dx.dtype,
                     count);
      }
    } else {
      gemm::transpose(sums.data(), columns, g.n, count, dx.as<T>() + first, g.c);
    }
  });
}

template <class T>
void backward_filter(const ConvGeometry& g, gemm::Source x, gemm::Source dy, View dw) {
  const gemm::TileSet<T>& tiles = gemm::tiles<T>(g.k);
  const std::int64_t panel_count = gemm::panel_count(tiles, g.k), columns = gemm::packed_columns(tiles, g.k);
  const bool half = size_of(dw.dtype) != sizeof(T);
  const Scratch<gemm::Panel<T>> panels(panel_count);
  const Scratch<T> packed(g.n * columns);
  gemm::lay_out_panels(tiles, g.k, panels.data());
  T* to = packed.data();
  for (gemm::Panel<T>& panel : panels.span()) {
    panel.b = to;
    panel.ldb = panel.vectors * tiles.lanes;
    gemm::pack_panel(dy.at(panel.column), g.k, 1, g.n, panel.columns, panel.ldb, to);
    to += g.n * panel.ldb;
  }

  const std::int64_t leaf = numerics::leaf_samples(1), leaves = (g.n + leaf - 1) / leaf;
  const int levels = std::bit_width(static_cast<std::uint64_t>(leaves - 1));
  const Scratch<std::int64_t> block_runs(leaves + 1);
  for (std::int64_t i = 0; i <= leaves; ++i) block_runs[i] = i;

  parallel_for((g.c + kTaskChannels - 1) / kTaskChannels, [&](std::int64_t task) {
    const std::int64_t first = task * kTaskChannels, count = std::min(kTaskChannels, g.c - first);
    const Scratch<T> block(g.n * count);  // [n, channels of the task]
    gemm::pack_panel(x.at(first), g.c, 1, g.n, count, count, block.data());
    const Scratch<gemm::Run> runs(leaves);
    for (std::int64_t i = 0; i < leaves; ++i) runs[i] = {i * leaf * count, std::min(leaf, g.n - i * leaf)};
    const Scratch<T> level_sums((levels + 1) * gemm::TileSet<T>::kMaxHeight * tiles.width());
    const Scratch<T> sums(half ? count * g.k : 0);
    T* const out = half ? sums.data() : dw.as<T>() + first * g.k;
    const T* rows[gemm::TileSet<T>::kMaxHeight];
    T* outs[gemm::TileSet<T>::kMaxHeight];
    gemm::Tile<T> tile;
    tile.rows = rows;
    tile.out = outs;
    tile.runs = runs.data();
    tile.step = count;
    tile.block_runs = block_runs.data();
    tile.blocks = leaves;
    tile.block_terms = leaf;
    tile.levels = level_sums.data();
    for (std::int64_t i = 0; i < count;) {
      const std::int64_t height = tiles.height(count - i);
      for (std::int64_t j = 0; j < height; ++j) {
        rows[j] = block.data() + i + j;
        outs[j] = out + (i + j) * g.k;
      }
      for (const gemm::Panel<T>& panel : panels.span()) {
        tile.b = panel.b;
        tile.ldb = panel.ldb;
        tile.columns = panel.columns;
        tile.out_shift = panel.column;
        tiles.kernel[height - 1][panel.vectors - 1](tile);
      }
      i += height;
    }
    if (half)
      gemm::narrow(sums.data(), static_cast<char*>(dw.data) + first * g.k * size_of(dw.dtype), dw.dtype,
                   count * g.k);
  });
}

}  // namespace

const char* refuse_conv_forward_linear(const ConvGeometry& g, ConstView, ConstView, const Epilogue&, View) {
  if (const char* reason = refuse(g)) return reason;
  const auto real = [](std::int64_t extent) { return static_cast<double>(extent); };
  return gemm::refuse_product(1, real(g.n), real(g.c), real(g.k));
}

void conv_forward_linear(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue, View y) {
  gemm::Product product;
  product.m = g.n;
  product.k = g.c;
  product.n = g.k;
  product.a = {x.data, x.dtype};
  product.row_stride = g.c;
  product.b = {w.data, w.dtype};
  product.b_term = g.k;
  product.c = y.data;
  product.dtype = y.dtype;
  product.bias = {epilogue.bias.data, epilogue.bias.dtype};
  product.relu = relu_by_tiles(epilogue, y.dtype);
  y.dtype == DType::f64 ? gemm::run_product<double>(product) : gemm::run_product<float>(product);
  if (const After after(epilogue, y.dtype, g.k); after.any()) after.apply(y, 0, g.k);
}

const char* refuse_conv_backward_input_linear(const ConvGeometry& g, ConstView, ConstView, View) {
  return refuse(g);
}
const char* refuse_conv_backward_filter_linear(const ConvGeometry& g, ConstView, ConstView, View) {
  return refuse(g);
}

void conv_backward_input_linear(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  const gemm::Source from{dy.data, dy.dtype}, filter{w.data, w.dtype};
  dx.dtype == DType::f64 ? backward_input<double>(g, from, filter, dx)
                         : backward_input<float>(g, from, filter, dx);
}

void conv_backward_filter_linear(const ConvGeometry& g, ConstView x, ConstView dy, View dw) {
  const gemm::Source from{x.data, x.dtype}, gradient{dy.data, dy.dtype};
  dw.dtype == DType::f64 ? backward_filter<double>(g, from, gradient, dw)
                         : backward_filter<float>(g, from, gradient, dw);
}

}  // namespace isobit::cpu::kernels
