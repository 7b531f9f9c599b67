// The definition of an optimizer's step, element by element; the formulas stand at OptimizerHyper.
#include <cmath>

#include "core/numerics/fma.h"
#include "cpu/reference/reference.h"
#include "cpu/reference/types.h"

namespace isobit::cpu::reference {
namespace {

using numerics::fma;

template <class T>
void sgd(const OptimizerHyper& h, const OptimizerSlot& slot) {
  T* w = slot.param.as<T>();
  T* momentum = slot.state1.as<T>();
  for (std::int64_t i = 0; i < slot.param.numel; ++i) {
    T g = slot.grad.as<T>()[i];
    if (h.weight_decay != 0) g = fma(static_cast<T>(h.weight_decay), w[i], g);
    T u = g;
    if (h.momentum != 0) {
      const T v = fma(static_cast<T>(h.momentum), momentum[i], g);
      momentum[i] = v;
      u = h.nesterov ? fma(static_cast<T>(h.momentum), v, g) : v;
    }
    w[i] = fma(-static_cast<T>(h.lr), u, w[i]);
  }
}

template <class T>
void adam(const OptimizerHyper& h, const OptimizerSlot& slot) {
  T* w = slot.param.as<T>();
  T* first = slot.state1.as<T>();
  T* second = slot.state2.as<T>();
  for (std::int64_t i = 0; i < slot.param.numel; ++i) {
    T g = slot.grad.as<T>()[i];
    if (h.weight_decay != 0) {
      if (h.kind == OptimizerKind::adamw)
        w[i] = w[i] * static_cast<T>(1 - h.lr * h.weight_decay);
      else
        g = fma(static_cast<T>(h.weight_decay), w[i], g);
    }
    const T m = fma(static_cast<T>(h.beta1), first[i], static_cast<T>(1 - h.beta1) * g);
    const T v = fma(static_cast<T>(h.beta2), second[i], (static_cast<T>(1 - h.beta2) * g) * g);
    first[i] = m;
    second[i] = v;
    const T denominator = std::sqrt(v / static_cast<T>(h.correction2)) + static_cast<T>(h.eps);
    w[i] = fma(-static_cast<T>(h.lr), (m / static_cast<T>(h.correction1)) / denominator, w[i]);
  }
}

template <class T>
void rmsprop(const OptimizerHyper& h, const OptimizerSlot& slot) {
  T* w = slot.param.as<T>();
  T* momentum = slot.state1.as<T>();
  T* second = slot.state2.as<T>();
  for (std::int64_t i = 0; i < slot.param.numel; ++i) {
    T g = slot.grad.as<T>()[i];
    if (h.weight_decay != 0) g = fma(static_cast<T>(h.weight_decay), w[i], g);
    const T v = fma(static_cast<T>(h.beta2), second[i], (static_cast<T>(1 - h.beta2) * g) * g);
    second[i] = v;
    T u = g / (std::sqrt(v) + static_cast<T>(h.eps));
    if (h.momentum != 0) {
      u = fma(static_cast<T>(h.momentum), momentum[i], u);
      momentum[i] = u;
    }
    w[i] = fma(-static_cast<T>(h.lr), u, w[i]);
  }
}

template <class T>
void step(const OptimizerHyper& h, const OptimizerSlot& slot) {
  switch (h.kind) {
    case OptimizerKind::sgd:
      return sgd<T>(h, slot);
    case OptimizerKind::adam:
    case OptimizerKind::adamw:
      return adam<T>(h, slot);
    case OptimizerKind::rmsprop:
      return rmsprop<T>(h, slot);
  }
}

}  // namespace

void optimizer_step(const OptimizerHyper& hyper, std::span<const OptimizerSlot> slots) {
  for (const OptimizerSlot& slot : slots) {
    if (slot.param.dtype == DType::f32)
      step<float>(hyper, slot);
    else if (slot.param.dtype == DType::f64)
      step<double>(hyper, slot);
    else
      fail("optimizer_step", "got {} parameters, expected f32 or f64", slot.param.dtype);
  }
}

}  // namespace isobit::cpu::reference
