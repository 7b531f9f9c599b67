// The plan of fast mode's products: which tile, and into how many shares the reduction is split.
#include <isobit/arithmetic.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "cuda/kernels/tensor_product.cuh"
#include "cuda/runtime/check.cuh"

namespace isobit::gpu::kernels {
namespace {

// Tiles that fill a large GPU; only the speed depends on it. simt takes few, so that sums of a test's size
// stay whole, as those of large problems do on a GPU, and others are split.
#ifdef __CUDACC__
constexpr std::int64_t kFillingTiles = 256;
#else
constexpr std::int64_t kFillingTiles = 4;
#endif
constexpr std::int64_t kMaxPartialBytes = std::int64_t{1} << 28;
// A share of fewer slabs costs more to join than it gains.
constexpr std::int64_t kLeastSlabs = 4;

// The largest number of rows and terms of a phase, and how many phases there are.
struct Extent {
  std::int64_t phases = 1, rows = 0, terms = 0;
};
Extent extent_of(const Gemm& g) {
  Extent e{1, g.maps.rows, g.maps.leaf_terms};
  if (!g.phased) return e;
  for (int axis = 0; axis < 3; ++axis) {
    const AxisGeometry& a = g.phases.axis[axis];
    std::int64_t step = a.stride, rest = a.dilation;
    while (rest != 0) step = std::exchange(rest, step % rest);
    const std::int64_t first = std::max<std::int64_t>(a.pad_before, 0);
    const std::int64_t end = a.in + a.pad_before + std::min<std::int64_t>(a.pad_after, 0);
    e.phases *= g.phases.count[axis];
    e.rows *= first < end ? (end - 1 - first) / a.stride + 1 : 0;
    e.terms *= blocks_for(a.filter, a.stride / step);
  }
  return e;
}

struct Extents {
  std::int64_t m, n;
};
Extents extents_of(TensorShape shape) {
  return shape == TensorShape::m128n128 ? Extents{128, 128} : Extents{64, 64};
}

std::int64_t tiles_of(const Gemm& g, const Extent& e, TensorShape shape) {
  const Extents t = extents_of(shape);
  return e.phases * g.batches * blocks_for(e.rows, t.m) * blocks_for(g.columns, t.n);
}

// Large tiles where they fill the GPU and are not mostly padding.
TensorShape best_shape(const Gemm& g, const Extent& e) {
  const std::int64_t large = tiles_of(g, e, TensorShape::m128n128),
                     small = tiles_of(g, e, TensorShape::m64n64);
  return large >= kFillingTiles && small > 3 * large ? TensorShape::m128n128 : TensorShape::m64n64;
}

void launch_for(DType dtype, Math math, TensorShape shape, std::int64_t tiles, std::int64_t shares,
                const TensorProduct& p) {
  if (dtype == DType::f16) return launch_tensor_product<f16, Unit::f16>(shape, tiles, shares, p);
  if (dtype == DType::bf16) return launch_tensor_product<bf16, Unit::bf16>(shape, tiles, shares, p);
  if (math == Math::fast_f16) return launch_tensor_product<float, Unit::f16>(shape, tiles, shares, p);
  if (math == Math::fast_bf16) return launch_tensor_product<float, Unit::bf16>(shape, tiles, shares, p);
  launch_tensor_product<float, Unit::tf32>(shape, tiles, shares, p);
}

}  // namespace

const char* refuse_tensor_product(DType dtype) {
  if (dtype == DType::f64) return "f64 is not multiplied by matrix units";
  int device = 0, major = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "cudaDeviceGetAttribute");
  const bool f16_alone = dtype == DType::f16 || (dtype == DType::f32 && current_math() == Math::fast_f16);
  if (major < 8 && !f16_alone) return "tf32 and bf16 need compute capability 8.0";
  return nullptr;
}

bool aligned_runs(ConstView data, std::initializer_list<std::int64_t> multiples) {
  if (reinterpret_cast<std::uintptr_t>(data.data) % 16 != 0) return false;
  const std::int64_t run = 16 / size_of(data.dtype);
  return std::all_of(multiples.begin(), multiples.end(), [&](std::int64_t m) { return m % run == 0; });
}

void run_tensor_product(DType dtype, TensorShape shape, TensorProduct p) {
  Gemm& g = p.plan;
  const Extent e = extent_of(g);
  if (e.phases * g.batches * e.rows * g.columns == 0) return;
  if (g.a == nullptr) g.a_batch = 0;  // no element: there is no address to step from
  if (g.b == nullptr) g.b_batch = 0;
  if (shape == TensorShape::best) shape = best_shape(g, e);
  const Extents t = extents_of(shape);
  g.m_tiles = blocks_for(e.rows, t.m);
  g.n_tiles = blocks_for(g.columns, t.n);
  const std::int64_t tiles = tiles_of(g, e, shape), tile_bytes = t.m * t.n * 4;
  const std::int64_t slabs = blocks_for(e.terms, kTensorSlabBytes / size_of(dtype));
  std::int64_t shares = std::min({kFillingTiles / tiles, slabs / kLeastSlabs,
                                  kMaxPartialBytes / (tiles * tile_bytes), std::int64_t{65535}});
  std::optional<Scratch> partial;
  if (shares > 1) {
    g.split = Split::blocks;
    g.share = blocks_for(slabs, shares);
    shares = blocks_for(slabs, g.share);
    g.partial = partial.emplace(shares * tiles * tile_bytes).as<void>();
  } else {
    shares = 1;
  }
  launch_for(dtype, current_math(), shape, tiles, shares, p);
}

}  // namespace isobit::gpu::kernels
