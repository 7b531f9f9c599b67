// The one place that launches kernels.
#pragma once
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>

#include "cuda/runtime/check.cuh"
#include "cuda/runtime/graph.cuh"
#include "cuda/runtime/stream.cuh"

namespace isobit::gpu {

/// Blocks that hold `count` items, `each` a block. 64-bit on purpose: launch() refuses what a grid cannot
/// hold.
constexpr std::int64_t blocks_for(std::int64_t count, std::int64_t each) {
  return count / each + (count % each != 0 ? 1 : 0);
}

/// The most blocks of a grid-stride loop. simt takes few, so that problems of a test's size make a block go
/// round several times, as large ones do on a GPU.
#ifdef __CUDACC__
inline constexpr std::int64_t kStrideBlocks = 65536;
#else
inline constexpr std::int64_t kStrideBlocks = 32;
#endif

/// Blocks for a grid-stride loop over `count` items with `threads` threads a block: enough to fill any GPU,
/// never beyond a grid's limit.
constexpr std::int64_t grid_stride_blocks(std::int64_t count, std::int64_t threads) {
  const std::int64_t wanted = blocks_for(count, threads);
  return wanted < kStrideBlocks ? wanted : kStrideBlocks;
}

/// The extents of a grid as 64-bit numbers.
struct Grid {
  std::int64_t x = 1, y = 1, z = 1;
  Grid(std::int64_t blocks) : x(blocks) {}
  Grid(std::int64_t x_, std::int64_t y_, std::int64_t z_ = 1) : x(x_), y(y_), z(z_) {}
};

namespace detail {
/// True when there is something to launch. Throws Error on a grid beyond 2^31 - 1 x 65535 x 65535 or a block
/// that is not a multiple of 32 threads up to 1024.
bool check_launch(const Grid& grid, int threads, std::size_t shared_bytes);
/// After a launch: its error, and under ISOBIT_SYNC=1 that of its execution.
void check_launched();
/// Allows a kernel more than 48 KiB of dynamic shared memory; throws Error where the device has less.
void allow_shared(const void* kernel, std::size_t bytes);
}  // namespace detail

/// Runs kernel(arguments...) on the current stream. An empty grid does nothing. Arguments are copied and must
/// be trivially copyable.
template <class... Params, class... Args>
void launch(void (*kernel)(Params...), const Grid& grid, int threads, std::size_t shared_bytes,
            const Args&... arguments) {
  static_assert((std::is_trivially_copyable_v<std::remove_cv_t<Params>> && ...), "kernels take plain values");
  if (!detail::check_launch(grid, threads, shared_bytes)) return;
  const dim3 blocks(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y),
                    static_cast<unsigned>(grid.z));
#ifdef __CUDACC__
  if (shared_bytes > 48 * 1024) detail::allow_shared(reinterpret_cast<const void*>(kernel), shared_bytes);
  kernel<<<blocks, dim3(static_cast<unsigned>(threads)), shared_bytes, current_stream()>>>(
      static_cast<Params>(arguments)...);
#else
  emulator::launch(kernel, blocks, dim3(static_cast<unsigned>(threads)), shared_bytes, current_stream(),
                   static_cast<Params>(arguments)...);
#endif
  detail::check_launched();
}

/// launch(kernel, ..., make()...) where make, which gives a tuple of the kernel's parameters, is asked again
/// before each run of the graph that records the launch: for numbers that change from step to step.
template <class... Params, class Make>
void launch_live(void (*kernel)(Params...), const Grid& grid, int threads, std::size_t shared_bytes,
                 const Make& make) {
  using Arguments = std::tuple<std::remove_cv_t<Params>...>;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  std::apply([&](const auto&... a) { launch(kernel, grid, threads, shared_bytes, a...); }, Arguments(make()));
  Recorder* const recorder = Recorder::current();
  if (recorder == nullptr) [[likely]]
    return;
  recorder->before_run([=, node = recorder->last_node()](cudaGraphExec_t graph) {
    Arguments arguments = make();
    cudaKernelNodeParams p{};
    p.func = reinterpret_cast<void*>(kernel);
    p.gridDim =
        dim3(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y), static_cast<unsigned>(grid.z));
    p.blockDim = dim3(static_cast<unsigned>(threads));
    p.sharedMemBytes = static_cast<unsigned>(shared_bytes);
    std::apply(
        [&](auto&... a) {
          void* pointers[] = {&a...};
          p.kernelParams = pointers;
          set_launch(graph, node, p);
        },
        arguments);
  });
}

}  // namespace isobit::gpu
