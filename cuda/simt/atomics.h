// CUDA's atomics, for integers only: no kernel may depend on the order in which threads come. Relaxed, as on
// a GPU: whoever needs an order writes __threadfence().
#pragma once
#include <concepts>

namespace isobit::emulator {

template <class T>
concept AtomicInteger = std::integral<T> &&(sizeof(T) == 4 || sizeof(T) == 8);

namespace detail {
template <AtomicInteger T, class F>
T atomic_update(T* address, F&& next) {
  T old = __atomic_load_n(address, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(address, &old, next(old), true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return old;
}
}  // namespace detail

template <AtomicInteger T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
  return __atomic_fetch_add(address, value, __ATOMIC_RELAXED);
}
template <AtomicInteger T>
T atomicSub(T* address, std::type_identity_t<T> value) {
  return __atomic_fetch_sub(address, value, __ATOMIC_RELAXED);
}
template <AtomicInteger T>
T atomicExch(T* address, std::type_identity_t<T> value) {
  return __atomic_exchange_n(address, value, __ATOMIC_RELAXED);
}
template <AtomicInteger T>
T atomicAnd(T* address, std::type_identity_t<T> value) {
  return __atomic_fetch_and(address, value, __ATOMIC_RELAXED);
}
template <AtomicInteger T>
T atomicOr(T* address, std::type_identity_t<T> value) {
  return __atomic_fetch_or(address, value, __ATOMIC_RELAXED);
}
template <AtomicInteger T>
T atomicXor(T* address, std::type_identity_t<T> value) {
  return __atomic_fetch_xor(address, value, __ATOMIC_RELAXED);
}
template <AtomicInteger T>
T atomicMin(T* address, std::type_identity_t<T> value) {
  return detail::atomic_update(address, [value](T old) { return value < old ? value : old; });
}
template <AtomicInteger T>
T atomicMax(T* address, std::type_identity_t<T> value) {
  return detail::atomic_update(address, [value](T old) { return old < value ? value : old; });
}
template <AtomicInteger T>
T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  __atomic_compare_exchange_n(address, &expected, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return expected;
}
/// The old value; counts up to `limit`, then from zero again.
inline unsigned atomicInc(unsigned* address, unsigned limit) {
  return detail::atomic_update(address, [limit](unsigned old) { return old >= limit ? 0u : old + 1; });
}

}  // namespace isobit::emulator
