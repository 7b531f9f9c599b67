// The plan of a gathered product: which tile, and into how many shares its reduction is split; and the kernel
// that joins what shares have stored.
#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "cuda/kernels/gemm_few.cuh"
#include "cuda/kernels/gemm_tile.cuh"

namespace isobit::gpu::kernels {
namespace {

constexpr int kCombineThreads = 256;
// Threads that fill a large GPU with the occupancy of these kernels; only the speed depends on it. simt takes
// few, so that sums of a test's size stay whole, as those of large problems do on a GPU.
#ifdef __CUDACC__
constexpr std::int64_t kFillingThreads = 65536;
#else
constexpr std::int64_t kFillingThreads = 2048;
#endif
// What a split may store at most.
constexpr std::int64_t kMaxPartialBytes = std::int64_t{1} << 28;

// The shape of a tile as numbers.
struct TileNumbers {
  int m, n, tm, tn, threads;
  HOST_DEVICE std::int64_t elements() const { return std::int64_t{m} * n; }
};

// Joins what the shares of a split stored: each thread owns one element of a tile and reads its partial sums
// in the order of the threads that wrote them, neighbours from neighbours. Blocks of terms are joined to
// leaves left to right, leaves by the batch tree; then bias, activation and rounding.
template <class S>
__global__ void __launch_bounds__(kCombineThreads, 2) gemm_combine(Gemm p, TileNumbers t) {
  using V = Compute<S>;
  SHARED(maps, GemmMaps);
  const TilePlace at = tile_place(p);
  if (threadIdx.x == 0) {
    maps = p.maps;
    if (p.phased) set_phase(p.phases, at.phase, maps);
  }
  __syncthreads();
  const int element = static_cast<int>(blockIdx.y) * kCombineThreads + static_cast<int>(threadIdx.x);
  const int four = element / 4 / t.threads;
  const int thread = element / 4 % t.threads;
  const ThreadPlace owner = t.n == t.tn ? ThreadPlace{thread, 0} : thread_place(thread, t.n / t.tn / 8);
  const std::int64_t m = at.m_tile * t.m + spread(t.m, t.tm, owner.row, four / (t.tn / 4));
  const std::int64_t n =
      at.n_tile * t.n + spread(t.n, t.tn, owner.column, four % (t.tn / 4) * 4) + element % 4;
  if (m < maps.rows && n < p.columns) {
    const std::int64_t step = gridDim.x * t.elements();
    const V* from = static_cast<const V*>(p.partial) + blockIdx.x * t.elements() + element;
    const std::int64_t leaves = p.split == Split::leaves ? (maps.leaves - 1) / p.share + 1 : maps.leaves;
    LeafTree<V> tree;
    for (std::int64_t leaf = 0; leaf < leaves; ++leaf) {
      const std::int64_t blocks = p.split == Split::leaves ? 1 : leaf_blocks(maps, leaf);
      V total = 0;
      for (std::int64_t block = 0; block < blocks; ++block, from += step)
        total = block == 0 ? *from : total + *from;
      tree.add(total);
    }
    const std::int64_t k = at.batch * p.bias_batch + n;
    static_cast<S*>(p.out)[at.batch * p.out_batch + place(maps.out_rows, m) + n] =
        numerics::cast<S>(finished<S>(p.finish, k, tree.sum()));
  }
}

TileNumbers numbers_of(DType dtype, TileShape shape) {
  TileNumbers numbers{};
  const auto take = [&](auto tile) {
    using T = decltype(tile);
    numbers = {T::kM, T::kN, T::kTM, T::kTN, T::kThreads};
  };
  if (shape == TileShape::m256n8)
    take(FewTile{});
  else if (dtype == DType::f64)
    with_tile<double>(shape, take);
  else
    with_tile<float>(shape, take);
  return numbers;
}

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

std::int64_t tiles_of(const Gemm& g, const Extent& e, const TileNumbers& t) {
  return e.phases * g.batches * blocks_for(e.rows, t.m) * blocks_for(g.columns, t.n);
}

// Blocks of terms.
std::int64_t units_of(const Gemm& g, const Extent& e) {
  return g.maps.leaves * numerics::block_count(g.phased ? e.terms : g.maps.leaf_terms);
}

std::int64_t multiprocessors() {
  int device = 0, count = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device), "cudaDeviceGetAttribute");
  return count;
}

// Whether so few tiles leave the GPU so idle that their reductions are split.
bool too_few(std::int64_t tiles, const TileNumbers& t) {
  return tiles < kFillingThreads / t.threads / 2;
}

// The tile with which the busiest multiprocessor has the least to do, weighed by what the smaller ones lose.
TileShape best_shape(DType dtype, const Gemm& g, const Extent& e) {
  struct Candidate {
    TileShape shape;
    double loss;
  };
  constexpr Candidate kCandidates[] = {{TileShape::m128n128, 1.0},
                                       {TileShape::m128n64, 1.05},
                                       {TileShape::m64n64, 1.2},
                                       {TileShape::m128n32, 1.35},
                                       {TileShape::m256n8, 2.0}};
  const std::int64_t processors = multiprocessors();
  TileShape best = TileShape::m64n64;
  double least = 0;
  for (const Candidate& c : kCandidates) {
    if (dtype == DType::f64 && (c.shape == TileShape::m128n128 || c.shape == TileShape::m128n64)) continue;
    if (c.shape == TileShape::m256n8 && g.columns > FewTile::kN) continue;  // for it fetches a again
    const TileNumbers t = numbers_of(dtype, c.shape);
    const std::int64_t tiles = tiles_of(g, e, t);
    const std::int64_t pieces =  // of a tile
        too_few(tiles, t) ? std::clamp<std::int64_t>(units_of(g, e), 1, kFillingThreads / t.threads / tiles)
                          : 1;
    const std::int64_t busiest = blocks_for(tiles * pieces, processors);
    const double cost = static_cast<double>(busiest * t.elements()) / static_cast<double>(pieces) * c.loss;
    if (least == 0 || cost < least) {
      least = cost;
      best = c.shape;
    }
  }
  return best;
}

// Fills in split and share: only where tiles alone leave the GPU idle.
void choose_split(Gemm& g, const Extent& e, const TileNumbers& t, std::int64_t tiles,
                  std::int64_t value_bytes) {
  const std::int64_t wanted = kFillingThreads / t.threads, units = units_of(g, e);
  const std::int64_t most =
      kMaxPartialBytes / (tiles * t.elements() * value_bytes);  // partial sums of a tile
  if (!too_few(tiles, t) || units <= 1 || most < 2) return;
  const std::int64_t leaves = g.maps.leaves;
  if (tiles * leaves < wanted / 2 && units > leaves && units <= most) {
    g.split = Split::blocks;
    g.share = std::max<std::int64_t>(1, units * tiles / wanted);
  } else if (leaves > 1) {
    std::int64_t share = 1;
    while (blocks_for(leaves, share) > most || tiles * blocks_for(leaves, share) > wanted) share *= 2;
    if (share >= leaves) return;
    g.split = Split::leaves;
    g.share = share;
  }
}

}  // namespace

bool aligned_in_fours(ConstView data, std::initializer_list<std::int64_t> multiples) {
  const std::uintptr_t bytes =
      static_cast<std::uintptr_t>(std::min<std::int64_t>(16, 4 * size_of(data.dtype)));
  if (reinterpret_cast<std::uintptr_t>(data.data) % bytes != 0) return false;
  return std::all_of(multiples.begin(), multiples.end(), [](std::int64_t m) { return m % 4 == 0; });
}

void set_border(Gemm& p, int axis, const AxisGeometry& a, std::int64_t stride) {
  p.bounds[axis] = static_cast<std::int32_t>(a.in);
  p.bounded = p.bounded || a.pad_before > 0 || a.pad_after > 0;
  p.border.mapped = p.border.mapped || a.folds();
  p.border.mode[axis] = a.mode;
  p.border.stride[axis] = stride;
}

std::uint64_t element_bits(DType dtype, double value) {
  std::uint64_t bits = 0;
  with_floating("conv", dtype, [&](auto type) {
    const auto element = numerics::cast<decltype(type)>(value);
    std::memcpy(&bits, &element, sizeof(element));  // every supported processor is little-endian
  });
  return bits;
}

const char* refuse_gemm(const ConvGeometry& g) {
  constexpr std::int64_t kMost = (std::int64_t{1} << 30) - 1;  // twice an axis is a period of a border
  for (const AxisGeometry& a : g.axis)
    for (const std::int64_t extent : {a.in, a.filter * a.dilation, a.out, a.stride, a.pad_before,
                                      -a.pad_before, a.in + a.pad_before + a.pad_after})
      if (extent > kMost) return "an axis is not below 2^30";
  if (g.c_per_group() > kMost || g.k_per_group() > kMost) return "a group has 2^30 channels or more";
  return nullptr;
}

void run_gemm(const char* kernel, DType dtype, TileShape shape, Gemm g) {
  const Extent e = extent_of(g);
  if (e.phases * g.batches * e.rows * g.columns == 0) return;
  if (g.a == nullptr) g.a_batch = 0;  // no element: there is no address to step from
  if (g.b == nullptr) g.b_batch = 0;
  if (shape == TileShape::best) shape = best_shape(dtype, g, e);
  const TileNumbers t = numbers_of(dtype, shape);
  g.m_tiles = blocks_for(e.rows, t.m);
  g.n_tiles = blocks_for(g.columns, t.n);
  const std::int64_t tiles = tiles_of(g, e, t), value_bytes = dtype == DType::f64 ? 8 : 4;
  choose_split(g, e, t, tiles, value_bytes);

  const std::int64_t tile_bytes = t.elements() * value_bytes, units = units_of(g, e);
  std::int64_t shares = 1, stored = 0, levels = 0;
  if (g.split != Split::none) {
    stored = g.split == Split::leaves ? blocks_for(g.maps.leaves, g.share) : units;
    shares = g.split == Split::leaves ? stored : blocks_for(units, g.share);
  }
  if (g.split != Split::blocks) {
    const std::int64_t leaves = g.split == Split::leaves ? g.share : g.maps.leaves;
    while (std::int64_t{1} << levels < leaves) ++levels;
    if (levels > 0 || units > g.maps.leaves) g.slots_each = 1 + levels;
  }
  std::optional<Scratch> slots, partial;
  if (g.slots_each > 0) g.slots = slots.emplace(shares * tiles * g.slots_each * tile_bytes).as<void>();
  if (stored > 0) g.partial = partial.emplace(stored * tiles * tile_bytes).as<void>();
  with_floating(kernel, dtype, [&](auto type) {
    using S = decltype(type);
    if (shape == TileShape::m256n8)
      launch_gemm_few<S>(Grid(tiles, shares), g);
    else if (std::is_same_v<S, float> && reads_fours(g))
      launch_gemm_vector(shape, Grid(tiles, shares), g);
    else
      launch_gemm_tile<S>(shape, Grid(tiles, shares), g);
    if (stored > 0)
      launch(gemm_combine<S>, Grid(tiles, t.elements() / kCombineThreads), kCombineThreads, 0, g, t);
  });
}

}  // namespace isobit::gpu::kernels
