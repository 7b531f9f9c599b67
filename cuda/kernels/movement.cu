// pad, pad_backward, gather_rows: runs of elements that move as they are, in units of 1 to 16 bytes: the
// largest that no row and no pointer cuts. A thread owns a unit of the output; neighbours write neighbours
// (grid-stride loops).
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/walk.cuh"

namespace isobit::gpu::kernels {
namespace {

/// out[i...] = in[i - before...] where that lies in `in`, else the border's value.
struct Window {
  int rank;
  std::int64_t numel;
  Divisor out[Shape::max_rank];
  std::int64_t in[Shape::max_rank], before[Shape::max_rank], stride[Shape::max_rank];
};

template <class U>
__global__ void __launch_bounds__(kMapThreads) copy_window(Window w, U border, const U* in, U* out) {
  for (std::int64_t i = grid_thread(); i < w.numel; i += grid_threads()) {
    std::int64_t rest = i, source = 0;
    bool inside = true;
    for (int axis = w.rank - 1; axis >= 0; --axis) {
      std::int64_t at = rest;
      if (axis > 0) w.out[axis].split(rest, rest, at);
      at -= w.before[axis];
      inside = inside && at >= 0 && at < w.in[axis];
      source += at * w.stride[axis];
    }
    out[i] = inside ? in[source] : border;
  }
}

template <class U>
__global__ void __launch_bounds__(kMapThreads)
    copy_rows(const U* rows, const std::int64_t* index, Divisor row_units, U* out, std::int64_t n) {
  for (std::int64_t i = grid_thread(); i < n; i += grid_threads()) {
    std::int64_t row = 0, unit = 0;
    row_units.split(i, row, unit);
    out[i] = rows[index[row] * row_units.value + unit];
  }
}

using Extents = std::array<std::int64_t, Shape::max_rank>;

/// Axes that pass whole are joined to the one before them.
int merge(int rank, Extents& in, Extents& out, Extents& before) {
  int last = 0;
  for (int axis = 1; axis < rank; ++axis) {
    if (before[axis] == 0 && in[axis] == out[axis]) {
      in[last] *= in[axis];
      out[last] *= out[axis];
      before[last] *= out[axis];
    } else {
      ++last;
      in[last] = in[axis];
      out[last] = out[axis];
      before[last] = before[axis];
    }
  }
  return last + 1;
}

/// The largest unit, in elements of `size` bytes, up to 16 bytes, that divides all of `counts` and both
/// pointers.
std::int64_t unit_of(std::int64_t size, std::initializer_list<std::int64_t> counts, const void* in,
                     const void* out) {
  const std::uintptr_t pointers =
      reinterpret_cast<std::uintptr_t>(in) | reinterpret_cast<std::uintptr_t>(out);
  std::int64_t n = 16 / size;
  const auto fits = [&] {
    bool divides = pointers % static_cast<std::uintptr_t>(n * size) == 0;
    for (const std::int64_t count : counts) divides = divides && count % n == 0;
    return divides;
  };
  while (n > 1 && !fits()) n /= 2;
  return n;
}

/// `border`: the bits of the border's element.
void window(int rank, Extents in_extent, Extents out_extent, Extents before, std::uint64_t border,
            ConstView in, View out) {
  if (out.numel == 0) return;
  const std::int64_t size = size_of(out.dtype);
  rank = merge(rank, in_extent, out_extent, before);
  const int last = rank - 1;
  const std::int64_t n = unit_of(size, {in_extent[last], out_extent[last], before[last]}, in.data, out.data);
  in_extent[last] /= n;
  out_extent[last] /= n;
  before[last] /= n;
  Window w{};
  w.rank = rank;
  w.numel = out.numel / n;
  std::int64_t stride = 1;
  for (int axis = last; axis >= 0; --axis) {
    w.out[axis] = Divisor(out_extent[axis], w.numel);
    w.in[axis] = in_extent[axis];
    w.before[axis] = before[axis];
    w.stride[axis] = stride;
    stride *= in_extent[axis];
  }
  with_unit(n * size, [&](auto unit) {
    using U = decltype(unit);
    U value{};
    for (std::size_t at = 0; at < sizeof(U); at += static_cast<std::size_t>(size))
      std::memcpy(reinterpret_cast<unsigned char*>(&value) + at, &border, static_cast<std::size_t>(size));
    launch(copy_window<U>, grid_stride_blocks(w.numel, kMapThreads), kMapThreads, 0, w, value, in.as<U>(),
           out.as<U>());
  });
}

}  // namespace

void pad(const PadGeometry& g, ConstView x, View y) {
  std::uint64_t border = 0;
  with_dtype(x.dtype, [&](auto type) { border = bits_of(numerics::cast<decltype(type)>(g.value)); });
  window(g.rank, g.in, g.out, g.before, border, x, y);
}

void pad_backward(const PadGeometry& g, ConstView dy, View dx) {
  Extents before{};
  for (int axis = 0; axis < g.rank; ++axis) before[axis] = -g.before[axis];
  window(g.rank, g.out, g.in, before, 0, dy, dx);
}

void gather_rows(ConstView rows, ConstView index, std::int64_t row_size, View out) {
  if (out.numel == 0) return;
  const std::int64_t size = size_of(out.dtype);
  const std::int64_t n = unit_of(size, {row_size}, rows.data, out.data);
  const std::int64_t units = out.numel / n;
  const Divisor row_units(row_size / n, units);
  with_unit(n * size, [&](auto unit) {
    using U = decltype(unit);
    launch(copy_rows<U>, grid_stride_blocks(units, kMapThreads), kMapThreads, 0, rows.as<U>(),
           index.as<std::int64_t>(), row_units, out.as<U>(), units);
  });
}

}  // namespace isobit::gpu::kernels
