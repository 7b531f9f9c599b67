// reduce_extreme: max or min with the row-major position within the reduced axes; NaN wins, then the first of
// equals. That is a total order of (value, position), so any grouping gives the same answer. A thread takes
// every slots-th term of one result; threads of a block join in shared memory; where results are few
// (reduce_extreme_shared), blocks take stretches of the terms and a second launch joins them.
#include "cuda/kernels/axes.cuh"
#include "cuda/kernels/kernels.h"

namespace isobit::gpu::kernels {
namespace {

constexpr int kThreads = 256;

template <class T>
struct Best {
  T value = 0;
  std::int64_t where = -1;  // -1: no term yet

  /// Takes (v, at) if it wins.
  __device__ void take(bool max, T v, std::int64_t at) {
    bool wins = where < 0;
    if (!wins) {
      const bool nan = v != v, best_nan = value != value;
      if (nan || best_nan) {
        wins = nan && (!best_nan || at < where);
      } else {
        wins = (max ? v > value : v < value) || (v == value && at < where);
      }
    }
    if (!wins) return;
    value = v;
    where = at;
  }
};

// The terms of result i: elements of a tensor.
template <class S>
struct Elements {
  using Storage = S;
  const S* x;
  Columns columns;
  __device__ std::int64_t base(std::int64_t i) const { return columns.base(i); }
  __device__ void take(bool max, std::int64_t base, std::int64_t row, Best<Compute<S>>& best) const {
    best.take(max, widen(x[base + columns.steps.offset(row)]), row);
  }
};

// The terms of result i: what blocks found, [row][result].
template <class S>
struct Found {
  using Storage = S;
  const Compute<S>* value;
  const std::int64_t* where;
  std::int64_t kept;
  __device__ std::int64_t base(std::int64_t i) const { return i; }
  __device__ void take(bool max, std::int64_t base, std::int64_t row, Best<Compute<S>>& best) const {
    const std::int64_t at = base + row * kept;
    if (where[at] >= 0) best.take(max, value[at], where[at]);
  }
};

struct Plan {
  std::int64_t kept, rows;
  int slots = 1;             // threads of a result
  bool slots_first = false;  // neighbouring threads read neighbouring terms, else neighbouring results
  std::int64_t tiles, groups = 1, rows_of_group;
};

// Where results go: out and index (null: nowhere), or, with several groups, value and where.
template <class S>
struct Target {
  S* out;
  std::int64_t* index;
  Compute<S>* value;
  std::int64_t* where;
};

template <class Source>
__global__ void __launch_bounds__(kThreads, 2)
    extremes(bool max, Source source, Plan plan, Target<typename Source::Storage> target) {
  using S = typename Source::Storage;
  using T = Compute<S>;
  using Values = T[kThreads];
  using Places = std::int64_t[kThreads];
  SHARED(values, Values);
  SHARED(places, Places);
  const int thread = static_cast<int>(threadIdx.x), results = kThreads / plan.slots;
  const int slot = plan.slots_first ? thread % plan.slots : thread / results;
  const int result = plan.slots_first ? thread / plan.slots : thread % results;
  const int next = plan.slots_first ? 1 : results;  // threads between slots
  for (std::int64_t item = blockIdx.x; item < plan.tiles * plan.groups; item += gridDim.x) {
    const std::int64_t i = item % plan.tiles * results + result, group = item / plan.tiles;
    const std::int64_t first = group * plan.rows_of_group;
    const std::int64_t end = plan.rows - first < plan.rows_of_group ? plan.rows : first + plan.rows_of_group;
    Best<T> best;
    if (i < plan.kept) {
      const std::int64_t base = source.base(i);
#pragma unroll 4
      for (std::int64_t row = first + slot; row < end; row += plan.slots) source.take(max, base, row, best);
    }
    values[thread] = best.value;
    places[thread] = best.where;
    for (int step = 1; step < plan.slots; step *= 2) {
      __syncthreads();
      if (slot % (2 * step) != 0) continue;
      const int other = thread + step * next;
      if (places[other] >= 0) best.take(max, values[other], places[other]);
      values[thread] = best.value;
      places[thread] = best.where;
    }
    __syncthreads();  // the next item writes what others may still read
    if (slot != 0 || i >= plan.kept) continue;
    if (plan.groups == 1) {
      target.out[i] = numerics::cast<S>(best.value);
      if (target.index != nullptr) target.index[i] = best.where;
    } else {
      target.value[group * plan.kept + i] = best.value;
      target.where[group * plan.kept + i] = best.where;
    }
  }
}

/// contiguous: the terms of a result lie side by side.
Plan plan_of(std::int64_t kept, std::int64_t rows, bool contiguous, bool share) {
  constexpr std::int64_t kBlocks = 1024;  // that keep any GPU busy
  Plan plan{.kept = kept, .rows = rows, .slots_first = contiguous, .tiles = 0, .rows_of_group = rows};
  const int most = share ? kThreads : contiguous ? 32 : 1;
  while (plan.slots < most && plan.slots < rows) plan.slots *= 2;
  // At least a warp's width of neighbouring results where they are what is read coalesced.
  while (!contiguous && plan.slots > 1 && kThreads / plan.slots < 32 && kThreads / plan.slots < kept)
    plan.slots /= 2;
  plan.tiles = blocks_for(kept, kThreads / plan.slots);
  if (share && plan.tiles < kBlocks) {
    const std::int64_t most_groups = blocks_for(rows, 8 * plan.slots),
                       wanted = blocks_for(kBlocks, plan.tiles);
    plan.rows_of_group = blocks_for(rows, most_groups < wanted ? most_groups : wanted);
    plan.groups = blocks_for(rows, plan.rows_of_group);
  }
  return plan;
}

template <class S>
void find(ReduceOp op, const ReduceGeometry& g, const S* x, S* out, std::int64_t* index, bool share) {
  using T = Compute<S>;
  Columns columns(g);
  const std::int64_t kept = columns.kept;
  if (kept == 0) return;
  const RowTable table(columns.rows, columns.row_count);
  columns.steps = table.steps();
  const Elements<S> elements{x, columns};
  const bool max = op == ReduceOp::max;
  const bool contiguous = columns.rows.rank > 0 && columns.rows.stride[columns.rows.rank - 1] == 1;
  const Plan plan = plan_of(kept, columns.row_count, contiguous, share);
  const std::int64_t grid = grid_stride_blocks(plan.tiles * plan.groups, 1);
  if (plan.groups == 1)
    return launch(extremes<Elements<S>>, grid, kThreads, 0, max, elements, plan,
                  Target<S>{out, index, nullptr, nullptr});
  const Scratch value(plan.groups * kept * static_cast<std::int64_t>(sizeof(T)));
  const Scratch where(plan.groups * kept * static_cast<std::int64_t>(sizeof(std::int64_t)));
  const Target<S> found{nullptr, nullptr, value.as<T>(), where.as<std::int64_t>()};
  launch(extremes<Elements<S>>, grid, kThreads, 0, max, elements, plan, found);
  Plan join = plan_of(kept, plan.groups, false, false);
  join.slots = 32;
  join.tiles = blocks_for(kept, kThreads / join.slots);
  launch(extremes<Found<S>>, grid_stride_blocks(join.tiles, 1), kThreads, 0, max,
         Found<S>{value.as<T>(), where.as<std::int64_t>(), kept}, join,
         Target<S>{out, index, nullptr, nullptr});
}

void run(ReduceOp op, const ReduceGeometry& g, ConstView x, View out, View index, bool share) {
  const auto body = [&](auto type) {
    using S = decltype(type);
    find(op, g, x.as<S>(), out.as<S>(), index.as<std::int64_t>(), share);
  };
  switch (x.dtype) {
    case DType::i32:
      return body(std::int32_t{});
    case DType::i64:
      return body(std::int64_t{});
    case DType::u8:
      return body(std::uint8_t{});
    default:
      return with_floating("reduce_extreme", x.dtype, body);
  }
}

}  // namespace

void reduce_extreme(ReduceOp op, const ReduceGeometry& g, ConstView x, View out, View index) {
  run(op, g, x, out, index, false);
}
void reduce_extreme_shared(ReduceOp op, const ReduceGeometry& g, ConstView x, View out, View index) {
  run(op, g, x, out, index, true);
}
const char* refuse_reduce_extreme_shared(ReduceOp, const ReduceGeometry& g, ConstView, View, View) {
  if (g.reduced_size() <= 32) return "there are too few terms to be shared";
  if (g.kept() >= 65536) return "there are results enough to give each to few threads";
  return nullptr;
}

}  // namespace isobit::gpu::kernels
