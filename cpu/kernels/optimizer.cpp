// optimizer_step: the formulas at OptimizerHyper (core/backend.h), one pass over all parameters of the group.
// A lane owns an element; a task a chunk of one parameter.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/optimizer.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/tiles-inl.h"
#include "cpu/runtime/scratch.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

/// The step's numbers, rounded to the type of the parameters.
template <class T>
struct Numbers {
  explicit Numbers(const OptimizerHyper& h)
      : minus_lr(-static_cast<T>(h.lr)),
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
  T minus_lr, momentum, weight_decay, shrink, beta1, beta2, rest1, rest2, eps, correction1, correction2;
  bool decays, has_momentum, nesterov;
};

template <class T>
struct Pointers {
  T* w;
  const T* g;
  T* state1;
  T* state2;
};

template <OptimizerKind kKind, bool kTail, class T>
HWY_INLINE void step_at(const Numbers<T>& c, const Pointers<T>& p, std::int64_t i, std::int64_t lanes) {
  using V = Vec<T>;
  const auto read = [&](const T* from) HWY_ATTR { return load_some<T, kTail>(from + i, lanes); };
  const auto write = [&](V v, T* to) HWY_ATTR { store_some<kTail>(v, to + i, lanes); };
  V w = read(p.w), g = read(p.g);
  if constexpr (kKind == OptimizerKind::adamw) {
    if (c.decays) w = w * V(c.shrink);
  } else {
    if (c.decays) g = fma(V(c.weight_decay), w, g);
  }
  V u = g;
  if constexpr (kKind == OptimizerKind::sgd) {
    if (c.has_momentum) {
      const V v = fma(V(c.momentum), read(p.state1), g);
      write(v, p.state1);
      u = c.nesterov ? fma(V(c.momentum), v, g) : v;
    }
  } else if constexpr (kKind == OptimizerKind::rmsprop) {
    const V v = fma(V(c.beta2), read(p.state2), (V(c.rest2) * g) * g);
    write(v, p.state2);
    u = g / (sqrt(v) + V(c.eps));
    if (c.has_momentum) {
      u = fma(V(c.momentum), read(p.state1), u);
      write(u, p.state1);
    }
  } else {
    const V m = fma(V(c.beta1), read(p.state1), V(c.rest1) * g);
    const V v = fma(V(c.beta2), read(p.state2), (V(c.rest2) * g) * g);
    write(m, p.state1);
    write(v, p.state2);
    u = (m / V(c.correction1)) / (sqrt(v / V(c.correction2)) + V(c.eps));
  }
  write(fma(V(c.minus_lr), u, w), p.w);
}

template <OptimizerKind kKind, class T>
void step(const Numbers<T>& numbers, const OptimizerSlot& slot, std::int64_t begin, std::int64_t end) {
  const auto at = [begin](T* p) { return p == nullptr ? nullptr : p + begin; };
  const Pointers<T> p{slot.param.as<T>() + begin, slot.grad.as<T>() + begin, at(slot.state1.as<T>()),
                      at(slot.state2.as<T>())};
  for_vectors<T>(end - begin, [&](auto tail, std::int64_t i, std::int64_t lanes)
                                  HWY_ATTR { step_at<kKind, tail.value>(numbers, p, i, lanes); });
}

template <class T>
void step_of(const OptimizerHyper& hyper, const OptimizerSlot& slot, std::int64_t begin, std::int64_t end) {
  const Numbers<T> numbers(hyper);
  switch (hyper.kind) {
    case OptimizerKind::sgd:
      return step<OptimizerKind::sgd>(numbers, slot, begin, end);
    case OptimizerKind::adam:
      return step<OptimizerKind::adam>(numbers, slot, begin, end);
    case OptimizerKind::adamw:
      return step<OptimizerKind::adamw>(numbers, slot, begin, end);
    default:
      return step<OptimizerKind::rmsprop>(numbers, slot, begin, end);
  }
}

}  // namespace

void run_optimizer_step(const OptimizerHyper& hyper, std::span<const OptimizerSlot> slots) {
  constexpr std::int64_t kChunk = 16 * 1024;
  const auto run = [&](const OptimizerSlot& slot, std::int64_t begin, std::int64_t end) {
    if (begin >= end) return;
    if (slot.param.dtype == DType::f64) return step_of<double>(hyper, slot, begin, end);
    step_of<float>(hyper, slot, begin, end);
  };
  std::int64_t chunks = 0, elements = 0;
  for (const OptimizerSlot& slot : slots) {
    chunks += (slot.param.numel + kChunk - 1) / kChunk;
    elements += slot.param.numel;
  }
  if (elements <= kParallelBytes / 12) {
    for (const OptimizerSlot& slot : slots) run(slot, 0, slot.param.numel);
    return;
  }
  struct Chunk {
    std::int64_t slot, begin;
  };
  Scratch<Chunk> list(chunks);
  std::int64_t at = 0;
  for (std::size_t s = 0; s < slots.size(); ++s)
    for (std::int64_t begin = 0; begin < slots[s].param.numel; begin += kChunk)
      list[at++] = {static_cast<std::int64_t>(s), begin};
  const Chunk* chunk = list.data();
  parallel_for(chunks, [&](std::int64_t task) {
    const OptimizerSlot& slot = slots[static_cast<std::size_t>(chunk[task].slot)];
    run(slot, chunk[task].begin, std::min(chunk[task].begin + kChunk, slot.param.numel));
  });
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(run_optimizer_step);

namespace kernels {
void optimizer_step(const OptimizerHyper& hyper, std::span<const OptimizerSlot> slots) {
  HWY_DYNAMIC_DISPATCH(run_optimizer_step)(hyper, slots);
}
}  // namespace kernels
}  // namespace isobit::cpu
#endif
