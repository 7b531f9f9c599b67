// scatter_add_rows: sums of rows by index, a chain in ascending position for each element.
//   sorted  scatter_sorted.cu
//   scan    a thread owns an element of the output; its block reads the whole index, in parts by way of
//   shared memory, and each thread adds the rows that name its own as they come. Serves everything.
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/walk.cuh"

namespace isobit::gpu::kernels {
namespace {

constexpr int kPart = 1024;  // entries of the index in shared memory

template <class S>
__global__ void __launch_bounds__(kMapThreads)
    add_rows_scan(const S* dy, const std::int64_t* index, std::int64_t count, Divisor row_size, S* out,
                  std::int64_t n) {
  SHARED(part, std::int64_t[kPart]);
  // Whole blocks walk together, for the barriers.
  for (std::int64_t base = static_cast<std::int64_t>(blockIdx.x) * blockDim.x; base < n;
       base += grid_threads()) {
    const std::int64_t i = base + threadIdx.x;
    std::int64_t row = -1, column = 0;
    if (i < n) row_size.split(i, row, column);
    Value<S> sum = 0;
    for (std::int64_t begin = 0; begin < count; begin += kPart) {
      const int entries = static_cast<int>(count - begin < kPart ? count - begin : kPart);
      __syncthreads();
      for (int k = static_cast<int>(threadIdx.x); k < entries; k += kMapThreads) part[k] = index[begin + k];
      __syncthreads();
      for (int k = 0; k < entries; ++k)
        if (part[k] == row) sum = sum + widened(dy[(begin + k) * row_size.value + column]);
    }
    if (i < n) out[i] = stored<S>(sum);
  }
}

}  // namespace

void scatter_add_rows(ConstView dy, ConstView index, std::int64_t row_count, std::int64_t row_size,
                      View out) {
  const std::int64_t n = row_count * row_size;
  if (n == 0) return;
  const Divisor columns(row_size, n);
  with_floating("scatter_add_rows", dy.dtype, [&](auto type) {
    using S = decltype(type);
    launch(add_rows_scan<S>, grid_stride_blocks(n, kMapThreads), kMapThreads, 0, dy.as<S>(),
           index.as<std::int64_t>(), index.numel, columns, out.as<S>(), n);
  });
}

}  // namespace isobit::gpu::kernels
