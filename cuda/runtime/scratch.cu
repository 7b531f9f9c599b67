#include "cuda/runtime/scratch.cuh"

#include "cuda/runtime/context.cuh"

namespace isobit::gpu {

Scratch::Scratch(std::int64_t bytes) : bytes_(bytes), stream_(current_stream()) {
  data_ = current_context().pool().allocate(bytes, stream_);
}

Scratch::~Scratch() {
  // Inside a kernel of the seam: its Guard holds, and the context exists.
  int device = 0;
  if (data_ == nullptr || cudaGetDevice(&device) != cudaSuccess) return;
  if (Context* context = existing_context(device)) context->pool().deallocate(data_, bytes_, stream_);
}

void copy_to_device(void* destination, const void* host, std::int64_t bytes) {
  if (bytes == 0) return;
  // Memory that is not page-locked is read before the call returns.
  check(cudaMemcpyAsync(destination, host, static_cast<std::size_t>(bytes), cudaMemcpyHostToDevice,
                        current_stream()),
        "cudaMemcpyAsync");
}

}  // namespace isobit::gpu
