// Launches of kernels.
#pragma once
#include <cstddef>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "cuda/simt/runtime_types.h"
#include "cuda/simt/vector_types.h"

namespace isobit::emulator {

namespace detail {
/// Queues the launch, or sets the error for cudaGetLastError. `payload` holds the arguments; invoke runs one
/// thread.
void enqueue_launch(const void* kernel, void (*invoke)(const void* payload), const void* payload,
                    std::size_t payload_bytes, dim3 grid, dim3 block, std::size_t shared,
                    cudaStream_t stream);
}  // namespace detail

/// kernel<<<grid, block, shared, stream>>>(arguments...): arguments are copied at once.
template <class... Params>
void launch(void (*kernel)(Params...), dim3 grid, dim3 block, std::size_t shared, cudaStream_t stream,
            std::type_identity_t<Params>... arguments) {
  static_assert((std::is_trivially_copyable_v<std::remove_cv_t<Params>> && ...), "kernels take plain values");
  struct Payload {
    void (*kernel)(Params...);
    std::tuple<std::remove_cv_t<Params>...> arguments;
  };
  const Payload payload{kernel, {arguments...}};
  const auto invoke = [](const void* memory) {
    const auto& p = *static_cast<const Payload*>(memory);
    std::apply(p.kernel, p.arguments);
  };
  detail::enqueue_launch(reinterpret_cast<const void*>(kernel), invoke, &payload, sizeof payload, grid, block,
                         shared, stream);
}

}  // namespace isobit::emulator
