// Put before the CUDA runtime with LD_PRELOAD, it answers as the runtime does on a machine that lacks
// something. ISOBIT_FAULT says what:
//
//   no-driver, old-driver, no-gpu   no GPU can be used
//   old-gpu                         one GPU, of compute capability 7.0
//   no-image, new-ptx               every launch fails as where the program has no code for the GPU, or PTX
//   that is
//                                   newer than the driver
//
// Everything else goes to the runtime that follows: the toolkit's or the virtual GPU's.
#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <cstdlib>
#include <string_view>

namespace {

bool fault(std::string_view name) {
  const char* chosen = std::getenv("ISOBIT_FAULT");
  return chosen != nullptr && chosen == name;
}

// What a launch leaves behind, as the runtime does: for the next one who asks.
thread_local cudaError_t pending = cudaSuccess;

cudaError_t launch_fault() {
  if (fault("no-image")) return cudaErrorNoKernelImageForDevice;
  if (fault("new-ptx")) return cudaErrorUnsupportedPtxVersion;
  return cudaSuccess;
}

template <class Function>
Function* next(Function*, const char* name) {
  static_assert(sizeof(Function*) == sizeof(void*));
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  if (fault("no-driver") || fault("old-driver")) return cudaErrorInsufficientDriver;
  if (fault("no-gpu")) return cudaErrorNoDevice;
  if (!fault("old-gpu")) return next(cudaGetDeviceCount, "cudaGetDeviceCount")(count);
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = fault("old-driver") ? 11080 : 0;
  if (fault("no-driver") || fault("old-driver")) return cudaSuccess;
  return next(cudaDriverGetVersion, "cudaDriverGetVersion")(version);
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  if (fault("old-gpu") && attribute == cudaDevAttrComputeCapabilityMajor) return *value = 7, cudaSuccess;
  if (fault("old-gpu") && attribute == cudaDevAttrComputeCapabilityMinor) return *value = 0, cudaSuccess;
  return next(cudaDeviceGetAttribute, "cudaDeviceGetAttribute")(value, attribute, device);
}

cudaError_t cudaGetLastError() {
  if (pending == cudaSuccess) return next(cudaGetLastError, "cudaGetLastError")();
  const cudaError_t error = pending;
  pending = cudaSuccess;
  return error;
}

cudaError_t cudaLaunchKernel(const void* kernel, dim3 grid, dim3 block, void** arguments, size_t shared,
                             cudaStream_t stream) {
  if (const cudaError_t error = launch_fault(); error != cudaSuccess) return pending = error;
  return next(cudaLaunchKernel, "cudaLaunchKernel")(kernel, grid, block, arguments, shared, stream);
}

// What CUDA 13's nvcc makes of <<<>>>.
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments, size_t shared,
                               cudaStream_t stream) {
  if (const cudaError_t error = launch_fault(); error != cudaSuccess) return pending = error;
  return next(__cudaLaunchKernel, "__cudaLaunchKernel")(kernel, grid, block, arguments, shared, stream);
}

}  // extern "C"
