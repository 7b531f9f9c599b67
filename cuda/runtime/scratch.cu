#include "cuda/runtime/scratch.cuh"

#include "cuda/runtime/context.cuh"
#include "cuda/runtime/graph.cuh"

namespace isobit::gpu {

Scratch::Scratch(std::int64_t bytes) : data_(current_context().pool().allocate(bytes)), bytes_(bytes) {}

Scratch::~Scratch() {
  // Inside a kernel of the seam: its Guard holds, and the context exists.
  int device = 0;
  if (data_ == nullptr || cudaGetDevice(&device) != cudaSuccess) return;
  if (Context* context = existing_context(device)) context->pool().deallocate(data_, bytes_);
}

void copy_to_device(void* destination, const void* host, std::int64_t bytes) {
  if (bytes == 0) return;
  if (Recorder* r = Recorder::here()) [[unlikely]]
    host = r->keep(host, bytes);
  // Memory that is not page-locked is read before the call returns.
  check(cudaMemcpyAsync(destination, host, static_cast<std::size_t>(bytes), cudaMemcpyHostToDevice,
                        current_stream()),
        "cudaMemcpyAsync");
}

}  // namespace isobit::gpu
