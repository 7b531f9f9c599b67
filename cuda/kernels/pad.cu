// pad, pad_backward. Axes that pass whole are joined to their neighbours.
//   pad, and pad_backward where nothing folds   units of 1 to 16 bytes that move as they are: the largest
//                    that no border and no pointer cuts. A thread owns a unit of the output; neighbours write
//                    neighbours (grid-stride loops)
//   pad_backward where coordinates fold         a thread owns a pack of dx, or an element where the innermost
//                    axis folds or packs do not fit, and adds up the dy of its images
//                    (core/numerics/pad_images.h) as an odometer over the axes, the last one fastest: a chain
//                    in row-major order that starts with the first of them. What only its own coordinate
//                    reads is copied
#include "core/numerics/pad_images.h"
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/units.cuh"

namespace isobit::gpu::kernels {
namespace {

/// Padding whose whole axes are joined: those with the one before them where that passes whole, too, or, in
/// `constant` mode, is shifted with them.
struct Padding {
  int last = 0;  // axis
  std::int64_t in[Shape::max_rank] = {}, out[Shape::max_rank] = {}, before[Shape::max_rank] = {};
  PadMode mode[Shape::max_rank] = {};

  explicit Padding(const PadGeometry& g) {
    for (int axis = 0; axis < g.rank; ++axis) {
      const bool whole = g.before[axis] == 0 && g.in[axis] == g.out[axis];
      if (whole && axis > 0 && mode[last] == PadMode::constant) {
        in[last] *= g.in[axis];
        out[last] *= g.out[axis];
        before[last] *= g.out[axis];
        continue;
      }
      if (axis > 0) ++last;
      in[last] = g.in[axis];
      out[last] = g.out[axis];
      before[last] = g.before[axis];
      mode[last] = whole ? PadMode::constant : g.mode[axis];
    }
  }
  /// The elements of a unit that borders on the last axis do not cut.
  std::int64_t unit(std::int64_t size, const void* x, const void* y) const {
    if (mode[last] != PadMode::constant) return 1;
    return unit_of(size, {in[last], out[last], before[last]}, x, y);
  }
  /// The last axis counted in units of n elements.
  void take_units(std::int64_t n) {
    in[last] /= n;
    out[last] /= n;
    before[last] /= n;
  }
};

/// out[i...] = in at the elements that coordinates i - before read, else the border's value.
struct Window {
  int rank;
  std::int64_t numel;
  Divisor out[Shape::max_rank];
  std::int64_t in[Shape::max_rank], before[Shape::max_rank], stride[Shape::max_rank];
  PadMode mode[Shape::max_rank];
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
      if (at < 0 || at >= w.in[axis]) {
        if (w.mode[axis] == PadMode::constant) {
          inside = false;
        } else {
          at = numerics::pad_source(w.mode[axis], at, w.in[axis]);
        }
      }
      source += at * w.stride[axis];
    }
    out[i] = inside ? in[source] : border;
  }
}

/// `border`: the bits of the border's element.
void copy(const PadGeometry& g, std::uint64_t border, ConstView in, View out) {
  if (out.numel == 0) return;
  Padding p(g);
  const std::int64_t size = size_of(out.dtype), n = p.unit(size, in.data, out.data);
  p.take_units(n);
  Window w{};
  w.rank = p.last + 1;
  w.numel = out.numel / n;
  std::int64_t stride = 1;
  for (int axis = p.last; axis >= 0; --axis) {
    w.out[axis] = Divisor(p.out[axis], w.numel);
    w.in[axis] = p.in[axis];
    w.before[axis] = p.before[axis];
    w.stride[axis] = stride;
    w.mode[axis] = p.mode[axis];
    stride *= p.in[axis];
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

using Images = numerics::PadImages<std::int64_t>;

/// Padding as fold_images takes it; the last axis counts packs.
struct Fold {
  int rank;
  std::int64_t numel;  // packs of dx
  Divisor in[Shape::max_rank];
  std::int64_t out[Shape::max_rank], before[Shape::max_rank], stride[Shape::max_rank];  // of dy
  numerics::PadInterior<std::int64_t> interior[Shape::max_rank];
  PadMode mode[Shape::max_rank];
};

template <class S, int N>
__global__ void __launch_bounds__(kMapThreads) fold_images(Fold f, const S* dy, S* dx) {
  for (std::int64_t i = grid_thread(); i < f.numel; i += grid_threads()) {
    std::int64_t rest = i, own = 0;
    bool single = true;
    for (int axis = f.rank - 1; axis >= 0; --axis) {
      std::int64_t at = rest;
      if (axis > 0) f.in[axis].split(rest, rest, at);
      single = single && f.interior[axis].begin <= at && at < f.interior[axis].end;
      own += (at + f.before[axis]) * f.stride[axis];
    }
    if (single) {
      store_pack<S, N>(dx + i * N, load_pack<S, N>(dy + own * N));
      continue;
    }
    Images images[Shape::max_rank];
    std::int64_t place[Shape::max_rank];
    std::int64_t from = 0;
    std::uint32_t turns = 0;  // a bit an axis: which gap comes next
    bool some = true;
    rest = i;
    for (int axis = f.rank - 1; axis >= 0; --axis) {
      std::int64_t at = rest;
      if (axis > 0) f.in[axis].split(rest, rest, at);
      images[axis] = numerics::pad_images(f.mode[axis], at, f.in[axis].value, f.before[axis], f.out[axis]);
      some = some && !images[axis].empty();
      place[axis] = images[axis].first;
      from += place[axis] * f.stride[axis];
    }
    Value<S> sum[N] = {};
    Pack<S, N> result{};
    if (some) {
      result = load_pack<S, N>(dy + from * N);
      for (int k = 0; k < N; ++k) sum[k] = widened(result.at[k]);
    }
    bool several = false;
    while (some) {
      some = false;
      for (int axis = f.rank - 1; axis >= 0 && !some; --axis) {
        const Images& own_images = images[axis];
        const std::int64_t next = place[axis] + own_images.gap[turns >> axis & 1];
        some = next < own_images.end;
        turns = some ? turns ^ 1U << axis : turns & ~(1U << axis);
        from += ((some ? next : own_images.first) - place[axis]) * f.stride[axis];
        place[axis] = some ? next : own_images.first;
      }
      if (!some) break;
      several = true;
      const Pack<S, N> term = load_pack<S, N>(dy + from * N);
      for (int k = 0; k < N; ++k) sum[k] = sum[k] + widened(term.at[k]);
    }
    if (several)
      for (int k = 0; k < N; ++k) result.at[k] = stored<S>(sum[k]);
    store_pack<S, N>(dx + i * N, result);
  }
}

void fold_back(const PadGeometry& g, ConstView dy, View dx) {
  if (dx.numel == 0) return;
  Padding p(g);
  with_floating("pad_backward", dy.dtype, [&](auto type) {
    using S = decltype(type);
    constexpr int N = kPack<S>;
    const std::int64_t n = p.unit(static_cast<std::int64_t>(sizeof(S)), dy.data, dx.data) == N ? N : 1;
    p.take_units(n);
    Fold f{};
    f.rank = p.last + 1;
    f.numel = dx.numel / n;
    std::int64_t stride = 1;
    for (int axis = p.last; axis >= 0; --axis) {
      f.in[axis] = Divisor(p.in[axis], f.numel);
      f.out[axis] = p.out[axis];
      f.before[axis] = p.before[axis];
      f.stride[axis] = stride;
      f.mode[axis] = p.mode[axis];
      f.interior[axis] = numerics::pad_interior(p.mode[axis], p.in[axis], p.before[axis], p.out[axis]);
      stride *= p.out[axis];
    }
    const Grid grid = grid_stride_blocks(f.numel, kMapThreads);
    if (n == N) {
      launch(fold_images<S, N>, grid, kMapThreads, 0, f, dy.as<S>(), dx.as<S>());
    } else {
      launch(fold_images<S, 1>, grid, kMapThreads, 0, f, dy.as<S>(), dx.as<S>());
    }
  });
}

}  // namespace

void pad(const PadGeometry& g, ConstView x, View y) {
  std::uint64_t border = 0;
  with_dtype(x.dtype, [&](auto type) { border = bits_of(numerics::cast<decltype(type)>(g.value)); });
  copy(g, border, x, y);
}

void pad_backward(const PadGeometry& g, ConstView dy, View dx) {
  if (g.folds()) return fold_back(g, dy, dx);
  PadGeometry back;  // crops what was padded, pads what was cropped
  back.rank = g.rank;
  back.in = g.out;
  back.out = g.in;
  for (int axis = 0; axis < g.rank; ++axis) back.before[axis] = -g.before[axis];
  copy(back, 0, dy, dx);
}

}  // namespace isobit::gpu::kernels
