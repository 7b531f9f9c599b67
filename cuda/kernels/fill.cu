// fill, arange, one_hot: what is written from a few numbers. A thread owns 16 aligned bytes of a fill, one
// element of the others; grid-stride loops.
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/walk.cuh"

namespace isobit::gpu::kernels {
namespace {

/// A run of bytes in which a value of 1, 2, 4 or 8 bytes repeats: `body` aligned packs of 16, before them
/// `head` and after them `tail` bytes, fewer than 16 each. `bits`: the value, repeated to 8 bytes. Packs and
/// tail start with a whole value, for its size divides 16, and so does the head.
struct Run {
  std::uint8_t* data;
  std::int64_t head, body, tail;
  std::uint64_t bits;
};

__global__ void __launch_bounds__(kMapThreads) fill_run(Run run) {
  using Eights = Pack<std::uint64_t, 2>;
  const Eights pack{{run.bits, run.bits}};
  auto* packs = reinterpret_cast<Eights*>(run.data + run.head);
  for (std::int64_t i = grid_thread(); i < run.body; i += grid_threads()) packs[i] = pack;
  const std::int64_t i = grid_thread();
  if (i >= 16) return;
  const std::uint8_t byte = static_cast<std::uint8_t>(run.bits >> (i % 8 * 8));
  if (i < run.head) run.data[i] = byte;
  if (i < run.tail) run.data[run.head + 16 * run.body + i] = byte;
}

template <class S>
__global__ void __launch_bounds__(kMapThreads) count_up(double start, double step, S* out, std::int64_t n) {
  for (std::int64_t i = grid_thread(); i < n; i += grid_threads()) {
    const double distance = static_cast<double>(i) * step;
    out[i] = numerics::cast<S>(start + distance);
  }
}

template <class U>
__global__ void __launch_bounds__(kMapThreads)
    mark_labels(const std::int64_t* label, Divisor classes, U on, U off, U* out, std::int64_t n) {
  for (std::int64_t i = grid_thread(); i < n; i += grid_threads()) {
    std::int64_t row = 0, column = 0;
    classes.split(i, row, column);
    out[i] = label[row] == column ? on : off;
  }
}

}  // namespace

void fill(View out, Scalar value) {
  if (out.numel == 0) return;
  const std::int64_t size = size_of(out.dtype), bytes = out.numel * size;
  std::uint64_t bits = 0;
  with_dtype(out.dtype, [&](auto type) { bits = bits_of(scalar_as<decltype(type)>(value)); });
  for (std::int64_t have = size; have < 8; have *= 2) bits |= bits << (8 * have);
  const std::int64_t over = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(out.data) % 16);
  const std::int64_t to_aligned = over == 0 ? 0 : 16 - over;
  const std::int64_t head = to_aligned < bytes ? to_aligned : bytes;
  const Run run{out.as<std::uint8_t>(), head, (bytes - head) / 16, (bytes - head) % 16, bits};
  const std::int64_t threads = run.body < kMapThreads ? kMapThreads : run.body;
  launch(fill_run, grid_stride_blocks(threads, kMapThreads), kMapThreads, 0, run);
}

void arange(double start, double step, View out) {
  const Grid grid = grid_stride_blocks(out.numel, kMapThreads);
  with_dtype(out.dtype, [&](auto type) {
    using S = decltype(type);
    if constexpr (std::is_same_v<S, bool>) {
      fail("arange", "got bool elements, expected a numeric type");
    } else {
      launch(count_up<S>, grid, kMapThreads, 0, start, step, out.as<S>(), out.numel);
    }
  });
}

void one_hot(ConstView label, std::int64_t classes, double on, double off, View out) {
  if (out.numel == 0) return;
  std::uint64_t on_bits = 0, off_bits = 0;
  with_dtype(out.dtype, [&](auto type) {
    on_bits = bits_of(numerics::cast<decltype(type)>(on));
    off_bits = bits_of(numerics::cast<decltype(type)>(off));
  });
  const Divisor columns(classes, out.numel);
  const Grid grid = grid_stride_blocks(out.numel, kMapThreads);
  with_unit(size_of(out.dtype), [&](auto unit) {
    using U = decltype(unit);
    if constexpr (std::is_integral_v<U>)
      launch(mark_labels<U>, grid, kMapThreads, 0, label.as<std::int64_t>(), columns, static_cast<U>(on_bits),
             static_cast<U>(off_bits), out.as<U>(), out.numel);
  });
}

}  // namespace isobit::gpu::kernels
