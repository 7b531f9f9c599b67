// reduce_sum: a row of the last axis is a lanes tree (row_sums.cuh); what remains is a sum over rows, column
// by column (columns.cuh: blocked chains and the batch tree). Integers wrap, so their order is free: they go
// the same way as unsigned numbers. reduce_sum gives a result to one thread (or group of lanes),
// reduce_sum_shared to several where results are few.
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/row_sums.cuh"

namespace isobit::gpu::kernels {
namespace {

/// Extent of a row that lanes sum; 1 without.
std::int64_t row_length(const ReduceGeometry& g) {
  return g.lanes ? g.extent[static_cast<std::size_t>(g.rank - 1)] : 1;
}

template <class T>
Sink<T, 1> sink_of(void* out, DType dtype) {
  Sink<T, 1> sink;
  sink.out[0] = out;
  sink.dtype = dtype;
  return sink;
}

// S: the elements; results are of the same type.
template <class S>
void sum(const ReduceGeometry& g, const S* x, View out, bool share) {
  using T = Compute<S>;
  const Sink<T, 1> sink = sink_of<T>(out.data, out.dtype);
  const std::int64_t kept = g.kept(), reduced = g.reduced_size();
  if (kept == 0) return;
  if (reduced == 0) {
    Columns none;
    none.kept = none.width = kept;
    none.row_count = 0;
    return sum_columns(none, PlainTerm<S>{x}, share, sink);
  }
  if (!g.lanes) return sum_columns(Columns(g), PlainTerm<S>{x}, share, sink);
  const std::int64_t columns = row_length(g), rows = kept * (reduced / columns);
  if (rows == kept) return sum_rows(PlainTerm<S>{x}, rows, columns, share, sink);
  const Scratch terms(rows * static_cast<std::int64_t>(sizeof(T)));
  sum_rows(PlainTerm<S>{x}, rows, columns, share, sink_of<T>(terms.as<T>(), DType::f32));
  sum_columns(Columns(g, 1), PlainTerm<T>{terms.as<T>()}, share, sink);
}

void run(const ReduceGeometry& g, ConstView x, View out, bool share) {
  if (x.dtype == DType::i32) return sum(g, x.as<std::uint32_t>(), out, share);
  if (x.dtype == DType::i64) return sum(g, x.as<std::uint64_t>(), out, share);
  with_floating("reduce_sum", x.dtype, [&](auto type) { sum(g, x.as<decltype(type)>(), out, share); });
}

}  // namespace

void reduce_sum(const ReduceGeometry& g, ConstView x, View out) {
  run(g, x, out, false);
}
void reduce_sum_shared(const ReduceGeometry& g, ConstView x, View out) {
  run(g, x, out, true);
}

const char* refuse_reduce_sum_shared(const ReduceGeometry& g, ConstView, View) {
  const std::int64_t kept = g.kept(), columns = row_length(g), reduced = g.reduced_size();
  if (kept == 0 || reduced == 0) return "there is nothing to share";
  const std::int64_t rows = reduced / columns;
  if (g.lanes && refuse_block_rows(kept * rows, columns) == nullptr) return nullptr;
  if (rows <= numerics::kMaxLeafSamples) return "sums are too short to be shared";
  if (kept >= kBusyThreads) return "there are results enough to give each to a thread";
  return nullptr;
}

}  // namespace isobit::gpu::kernels
