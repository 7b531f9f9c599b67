// unfold and fold: the windows of a convolution out of a tensor and back. All offsets are of 64 bits.
// unfold: elements move as they are, in units of 1 to 16 bytes, the largest that neither the channels nor a
// pointer cut. A thread owns a unit of columns and finds what its tap reads with the one index function of
// all padding modes (core/numerics/pad_index.h); neighbours write neighbours. fold: a thread owns kPack
// neighbouring channels (4, or 2 of f64, where channels and pointers allow, else 1) of one element of dx: a
// chain from +0 over the taps that read it, ascending (grid-stride loops).
#include "core/numerics/pad_index.h"
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/walk.cuh"

namespace isobit::gpu::kernels {
namespace {

/// An axis of the columns: its outputs and taps, ready to be divided by.
struct UnfoldAxis {
  Divisor out, filter;
  std::int64_t in, stride, dilation, before;
  PadMode mode;

  /// What tap `tap` of output `o` reads; -1: the value.
  __device__ std::int64_t read(std::int64_t o, std::int64_t tap) const {
    return numerics::pad_source(mode, o * stride + tap * dilation - before, in);
  }
};

/// ConvGeometry in units.
struct Unfold {
  UnfoldAxis axis[3];
  Divisor channels;
  std::int64_t items;
};

template <class U>
__global__ void __launch_bounds__(kMapThreads) unfold_grid(Unfold g, U border, const U* x, U* columns) {
  for (std::int64_t i = grid_thread(); i < g.items; i += grid_threads()) {
    std::int64_t rest = i, c = 0, tap[3] = {}, out[3] = {};
    g.channels.split(rest, rest, c);
    for (int axis = 2; axis >= 0; --axis) g.axis[axis].filter.split(rest, rest, tap[axis]);
    for (int axis = 2; axis >= 0; --axis) g.axis[axis].out.split(rest, rest, out[axis]);
    std::int64_t source = rest;
    bool real = true;
    for (int axis = 0; axis < 3; ++axis) {
      const std::int64_t at = g.axis[axis].read(out[axis], tap[axis]);
      real = real && at >= 0;
      source = source * g.axis[axis].in + at;
    }
    columns[i] = real ? x[source * g.channels.value + c] : border;
  }
}

/// The largest unit, in elements of `size` bytes, up to 16 bytes, that divides the channels and both
/// pointers.
std::int64_t widest_unit(std::int64_t size, std::int64_t channels, const void* in, const void* out) {
  const std::uintptr_t pointers =
      reinterpret_cast<std::uintptr_t>(in) | reinterpret_cast<std::uintptr_t>(out);
  std::int64_t n = 16 / size;
  while (n > 1 && (channels % n != 0 || pointers % static_cast<std::uintptr_t>(n * size) != 0)) n /= 2;
  return n;
}

/// AxisGeometry for fold.
struct FoldAxis {
  Divisor in;
  std::int64_t filter, out, stride, dilation, before;

  /// The output that reads coordinate i through tap `tap`; -1: none.
  __device__ std::int64_t reader(std::int64_t i, std::int64_t tap) const {
    const std::int64_t distance = i + before - tap * dilation;
    if (distance < 0) return -1;
    const std::int64_t o = stride == 1 ? distance : distance / stride;
    return o < out && o * stride == distance ? o : -1;
  }
};

struct Fold {
  FoldAxis axis[3];
  Divisor packs;  // of a pixel
  std::int64_t c, items;
};

template <class S, int kPack>
__global__ void __launch_bounds__(kMapThreads, 2) fold_grid(Fold g, const S* columns, S* dx) {
  const FoldAxis &depth = g.axis[0], &height = g.axis[1], &width = g.axis[2];
  for (std::int64_t i = grid_thread(); i < g.items; i += grid_threads()) {
    std::int64_t n = i, pack = 0, d = 0, h = 0, w = 0;
    g.packs.split(n, n, pack);
    width.in.split(n, n, w);
    height.in.split(n, n, h);
    depth.in.split(n, n, d);
    Compute<S> sum[kPack] = {};
    for (std::int64_t t = 0; t < depth.filter; ++t) {
      const std::int64_t o = depth.reader(d, t);
      if (o < 0) continue;
      for (std::int64_t r = 0; r < height.filter; ++r) {
        const std::int64_t p = height.reader(h, r);
        if (p < 0) continue;
        const std::int64_t row = ((n * depth.out + o) * height.out + p) * width.out;
        for (std::int64_t s = 0; s < width.filter; ++s) {
          const std::int64_t q = width.reader(w, s);
          if (q < 0) continue;
          const std::int64_t tap = (((row + q) * depth.filter + t) * height.filter + r) * width.filter + s;
          const Pack<S, kPack> read = load_pack<S, kPack>(columns + tap * g.c + pack * kPack);
          for (int k = 0; k < kPack; ++k) sum[k] = sum[k] + widen(read.at[k]);
        }
      }
    }
    Pack<S, kPack> result;
    for (int k = 0; k < kPack; ++k) result.at[k] = numerics::cast<S>(sum[k]);
    store_pack<S, kPack>(dx + i * kPack, result);
  }
}

template <class S, int kPack>
void run_fold(const ConvGeometry& g, const S* columns, S* dx) {
  Fold fold{};
  fold.c = g.c;
  fold.items = g.x_size() / kPack;
  fold.packs = Divisor(g.c / kPack, fold.items);
  for (std::size_t i = 0; i < 3; ++i) {
    const AxisGeometry& a = g.axis[i];
    fold.axis[i] = {Divisor(a.in, fold.items), a.filter, a.out, a.stride, a.dilation, a.pad_before};
  }
  launch(fold_grid<S, kPack>, grid_stride_blocks(fold.items, kMapThreads), kMapThreads, 0, fold, columns, dx);
}

}  // namespace

void unfold(const ConvGeometry& g, ConstView x, View columns) {
  if (columns.numel == 0) return;
  std::uint64_t border = 0;
  with_dtype(x.dtype, [&](auto type) { border = bits_of(numerics::cast<decltype(type)>(g.pad_value)); });
  const std::int64_t size = size_of(x.dtype);
  const std::int64_t n = widest_unit(size, g.c, x.data, columns.data);
  Unfold u{};
  u.items = columns.numel / n;
  u.channels = Divisor(g.c / n, u.items);
  for (std::size_t i = 0; i < 3; ++i) {
    const AxisGeometry& a = g.axis[i];
    u.axis[i] = {Divisor(a.out, u.items),
                 Divisor(a.filter, u.items),
                 a.in,
                 a.stride,
                 a.dilation,
                 a.pad_before,
                 a.mode};
  }
  with_unit(n * size, [&](auto unit) {
    using U = decltype(unit);
    U value{};
    for (std::size_t at = 0; at < sizeof(U); at += static_cast<std::size_t>(size))
      std::memcpy(reinterpret_cast<unsigned char*>(&value) + at, &border, static_cast<std::size_t>(size));
    launch(unfold_grid<U>, grid_stride_blocks(u.items, kMapThreads), kMapThreads, 0, u, value, x.as<U>(),
           columns.as<U>());
  });
}

void fold(const ConvGeometry& g, ConstView columns, View dx) {
  if (dx.numel == 0) return;
  with_floating("fold", dx.dtype, [&](auto type) {
    using S = decltype(type);
    constexpr int kWide = sizeof(S) == 8 ? 2 : 4;
    const bool packs =
        g.c % kWide == 0 && fits_packs<S, kWide>(columns.data) && fits_packs<S, kWide>(dx.data);
    (packs ? run_fold<S, kWide> : run_fold<S, 1>)(g, columns.as<S>(), dx.as<S>());
  });
}

}  // namespace isobit::gpu::kernels
