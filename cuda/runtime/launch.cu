#include "cuda/runtime/launch.cuh"

#include <isobit/error.h>

#include "cuda/runtime/graph.cuh"
#include "cuda/runtime/guard.cuh"

namespace isobit::gpu::detail {
namespace {

constexpr std::int64_t kMaxGridX = (std::int64_t{1} << 31) - 1, kMaxGridYZ = 65535;
constexpr int kMaxThreads = 1024;

const char* op() {
  return current_kernel() != nullptr ? current_kernel() : "launch";
}

}  // namespace

bool check_launch(const Grid& grid, int threads, std::size_t shared_bytes) {
  if (threads < 32 || threads > kMaxThreads || threads % 32 != 0)
    fail(op(), "a block of {} threads, expected a multiple of 32 up to {}", threads, kMaxThreads);
  if (grid.x < 0 || grid.y < 0 || grid.z < 0 || grid.x > kMaxGridX || grid.y > kMaxGridYZ ||
      grid.z > kMaxGridYZ)
    fail(op(),
         "a grid of {} x {} x {} blocks of {} threads with {} bytes of shared memory; at most {} x {} x {}",
         grid.x, grid.y, grid.z, threads, shared_bytes, kMaxGridX, kMaxGridYZ, kMaxGridYZ);
  return grid.x != 0 && grid.y != 0 && grid.z != 0;
}

void check_launched() {
  const cudaError_t launched = cudaGetLastError();
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  remember_launch(device, op());
  check(launched, "the launch of a kernel");
  if (sync_wanted() && Recorder::current() == nullptr) [[unlikely]] {
    check(cudaStreamSynchronize(current_stream()), "a kernel");
    forget_launches(device);
  }
}

void allow_shared(const void* kernel, std::size_t bytes) {
  int device = 0, most = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
        "cudaDeviceGetAttribute");
  if (bytes > static_cast<std::size_t>(most))
    fail(op(), "{} bytes of shared memory a block, {} has {}", bytes, device_name(device), most);
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
        "cudaFuncSetAttribute");
}

}  // namespace isobit::gpu::detail
