// Launches of kernels.
#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

#include "cuda/simt/runtime_types.h"
#include "cuda/simt/vector_types.h"

namespace isobit::emulator {

namespace detail {
/// How a kernel is run. A payload holds the arguments; invoke runs one thread; pack makes a payload of
/// arguments that are given by their addresses, as CUDA's graphs give them.
struct Callable {
  const void* kernel;
  void (*invoke)(const void* payload);
  std::size_t payload_bytes;
  std::shared_ptr<const void> (*pack)(const void* kernel, void** arguments);
};
/// Queues the launch, or sets the error for cudaGetLastError.
void enqueue_launch(const Callable& callable, const void* payload, dim3 grid, dim3 block, std::size_t shared,
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
  const auto pack = [](const void* function, void** given) -> std::shared_ptr<const void> {
    const auto typed = reinterpret_cast<void (*)(Params...)>(const_cast<void*>(function));
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return std::make_shared<const Payload>(
          Payload{typed, {*static_cast<const std::remove_cv_t<Params>*>(given[I])...}});
    }
    (std::index_sequence_for<Params...>{});
  };
  const detail::Callable callable{reinterpret_cast<const void*>(kernel), invoke, sizeof payload, pack};
  detail::enqueue_launch(callable, &payload, grid, block, shared, stream);
}

}  // namespace isobit::emulator
