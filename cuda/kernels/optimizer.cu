// optimizer_step: the formulas at OptimizerHyper (core/backend.h), one launch for all parameters of a call
// (one for each type, should there be two). A block owns a chunk of one parameter, which it finds in a table
// in device memory: the parameters with the number of their first chunk. A thread owns 128 bits of
// neighbouring elements, where the four arrays are aligned, else it takes them one by one.
#include <vector>

#include "core/numerics/sqrt.h"
#include "cuda/kernels/elements.cuh"
#include "cuda/kernels/kernels.h"

namespace isobit::gpu::kernels {
namespace {

constexpr std::int64_t kChunk = 4096;  // elements

/// The step's numbers, rounded to the type of the parameters.
template <class T>
struct Numbers {
  explicit Numbers(const OptimizerHyper& h)
      : kind(h.kind),
        minus_lr(-static_cast<T>(h.lr)),
        momentum(static_cast<T>(h.momentum)),
        weight_decay(static_cast<T>(h.weight_decay)),
        shrink(static_cast<T>(1 - h.lr * h.weight_decay)),
        beta1(static_cast<T>(h.beta1)),
        beta2(static_cast<T>(h.beta2)),
        rest1(static_cast<T>(1 - h.beta1)),
        rest2(static_cast<T>(1 - h.beta2)),
        eps(static_cast<T>(h.eps)),
        correction1(static_cast<T>(h.correction1)),
        correction2(static_cast<T>(h.correction2)),
        decays(h.weight_decay != 0),
        has_momentum(h.momentum != 0),
        nesterov(h.nesterov) {}
  OptimizerKind kind;
  T minus_lr, momentum, weight_decay, shrink, beta1, beta2, rest1, rest2, eps, correction1, correction2;
  bool decays, has_momentum, nesterov;

  bool uses1() const { return is_adam() || has_momentum; }
  bool uses2() const { return kind != OptimizerKind::sgd; }
  bool is_adam() const { return kind == OptimizerKind::adam || kind == OptimizerKind::adamw; }
};

/// One parameter in the table. States that the kind does not use are null.
template <class T>
struct Slot {
  T* w;
  const T* g;
  T* state1;
  T* state2;
  std::int64_t n, first_chunk;
  bool aligned;
};

template <class T>
__device__ void update(const Numbers<T>& c, T& w, T g, T& state1, T& state2) {
  using numerics::fma;
  if (c.decays) {
    if (c.kind == OptimizerKind::adamw) {
      w = w * c.shrink;
    } else {
      g = fma(c.weight_decay, w, g);
    }
  }
  T u = g;
  if (c.kind == OptimizerKind::sgd) {
    if (c.has_momentum) {
      state1 = fma(c.momentum, state1, g);
      u = c.nesterov ? fma(c.momentum, state1, g) : state1;
    }
  } else {
    state2 = fma(c.beta2, state2, (c.rest2 * g) * g);
    if (c.kind == OptimizerKind::rmsprop) {
      u = g / (numerics::sqrt(state2) + c.eps);
      if (c.has_momentum) u = state1 = fma(c.momentum, state1, u);
    } else {
      state1 = fma(c.beta1, state1, c.rest1 * g);
      u = (state1 / c.correction1) / (numerics::sqrt(state2 / c.correction2) + c.eps);
    }
  }
  w = fma(c.minus_lr, u, w);
}

template <class T>
__global__ void __launch_bounds__(kMapThreads)
    step(Numbers<T> numbers, const Slot<T>* slots, int count, std::int64_t chunks) {
  constexpr int N = kPack<T>;
  for (std::int64_t chunk = blockIdx.x; chunk < chunks; chunk += gridDim.x) {
    int low = 0, high = count - 1;  // the last slot whose first chunk is not beyond this one
    while (low < high) {
      const int middle = (low + high + 1) / 2;
      if (slots[middle].first_chunk <= chunk) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    const Slot<T> slot = slots[low];
    const std::int64_t begin = (chunk - slot.first_chunk) * kChunk;
    const std::int64_t end = begin + kChunk < slot.n ? begin + kChunk : slot.n;
    for (std::int64_t i = begin + N * threadIdx.x; i < end; i += N * kMapThreads) {
      T w[N], g[N], state1[N] = {}, state2[N] = {};
      read<N>(slot.w, i, end, slot.aligned, w);
      read<N>(slot.g, i, end, slot.aligned, g);
      if (slot.state1 != nullptr) read<N>(slot.state1, i, end, slot.aligned, state1);
      if (slot.state2 != nullptr) read<N>(slot.state2, i, end, slot.aligned, state2);
      for (int k = 0; k < N; ++k) update(numbers, w[k], g[k], state1[k], state2[k]);
      if (slot.state1 != nullptr) write<N>(slot.state1, i, end, slot.aligned, state1);
      if (slot.state2 != nullptr) write<N>(slot.state2, i, end, slot.aligned, state2);
      write<N>(slot.w, i, end, slot.aligned, w);
    }
  }
}

template <class T>
void step_all(const OptimizerHyper& hyper, std::span<const OptimizerSlot> slots) {
  const Numbers<T> numbers(hyper);
  std::vector<Slot<T>> table;
  std::int64_t chunks = 0;
  for (const OptimizerSlot& slot : slots) {
    if (slot.param.dtype != dtype_of<T> || slot.param.numel == 0) continue;
    Slot<T> row{slot.param.as<T>(), slot.grad.as<T>(), nullptr, nullptr, slot.param.numel, chunks, false};
    if (numbers.uses1()) row.state1 = slot.state1.as<T>();
    if (numbers.uses2()) row.state2 = slot.state2.as<T>();
    row.aligned = true;
    for (const T* p : {static_cast<const T*>(row.w), row.g, static_cast<const T*>(row.state1),
                       static_cast<const T*>(row.state2)})
      row.aligned = row.aligned && fits_packs<T, kPack<T>>(p);
    chunks += blocks_for(row.n, kChunk);
    table.push_back(row);
  }
  if (table.empty()) return;
  const std::int64_t bytes = static_cast<std::int64_t>(table.size() * sizeof(Slot<T>));
  const Scratch memory(bytes);
  copy_to_device(memory.as<void>(), table.data(), bytes);
  launch_live(step<T>, grid_stride_blocks(chunks, 1), kMapThreads, 0,
              [&hyper, rows = memory.as<const Slot<T>>(), count = static_cast<int>(table.size()), chunks] {
                return std::tuple(Numbers<T>(hyper), rows, count, chunks);
              });
}

}  // namespace

void optimizer_step(const OptimizerHyper& hyper, std::span<const OptimizerSlot> slots) {
  for (const OptimizerSlot& slot : slots)
    if (slot.param.dtype != DType::f32 && slot.param.dtype != DType::f64)
      fail("optimizer_step", "got {} parameters, expected f32 or f64", slot.param.dtype);
  step_all<float>(hyper, slots);
  step_all<double>(hyper, slots);
}

}  // namespace isobit::gpu::kernels
