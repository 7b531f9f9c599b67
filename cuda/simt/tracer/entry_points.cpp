// What the compiler calls before every access of code compiled with -fsanitize=thread. No other runtime of
// the sanitizer is linked.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "cuda/simt/tracer/tracer.h"

namespace {

using isobit::emulator::AccessKind;
using isobit::emulator::trace::access;

}  // namespace

// One function for each size and kind. The names are the compiler's, hence the macros.
#define ISOBIT_ACCESS(name, bytes, kind)                                   \
  void name(void* address) {                                               \
    access(address, bytes, AccessKind::kind, __builtin_return_address(0)); \
  }
#define ISOBIT_ACCESSES(bytes)                                              \
  ISOBIT_ACCESS(__tsan_read##bytes, bytes, read)                            \
  ISOBIT_ACCESS(__tsan_write##bytes, bytes, write)                          \
  ISOBIT_ACCESS(__tsan_unaligned_read##bytes, bytes, read)                  \
  ISOBIT_ACCESS(__tsan_unaligned_write##bytes, bytes, write)                \
  ISOBIT_ACCESS(__tsan_volatile_read##bytes, bytes, read)                   \
  ISOBIT_ACCESS(__tsan_volatile_write##bytes, bytes, write)                 \
  void __tsan_read_write##bytes(void* address) {                            \
    access(address, bytes, AccessKind::read, __builtin_return_address(0));  \
    access(address, bytes, AccessKind::write, __builtin_return_address(0)); \
  }

#define ISOBIT_UPDATE(bits, type, name, operation)                                                       \
  type __tsan_atomic##bits##_##name(volatile type* address, type value, int) {                           \
    access(const_cast<const type*>(address), bits / 8, AccessKind::atomic, __builtin_return_address(0)); \
    return operation(address, value, __ATOMIC_SEQ_CST);                                                  \
  }
#define ISOBIT_ATOMICS(bits, type)                                                                           \
  type __tsan_atomic##bits##_load(const volatile type* address, int) {                                       \
    access(const_cast<const type*>(address), bits / 8, AccessKind::atomic, __builtin_return_address(0));     \
    return __atomic_load_n(address, __ATOMIC_SEQ_CST);                                                       \
  }                                                                                                          \
  void __tsan_atomic##bits##_store(volatile type* address, type value, int) {                                \
    access(const_cast<const type*>(address), bits / 8, AccessKind::atomic, __builtin_return_address(0));     \
    __atomic_store_n(address, value, __ATOMIC_SEQ_CST);                                                      \
  }                                                                                                          \
  ISOBIT_UPDATE(bits, type, exchange, __atomic_exchange_n)                                                   \
  ISOBIT_UPDATE(bits, type, fetch_add, __atomic_fetch_add)                                                   \
  ISOBIT_UPDATE(bits, type, fetch_sub, __atomic_fetch_sub)                                                   \
  ISOBIT_UPDATE(bits, type, fetch_and, __atomic_fetch_and)                                                   \
  ISOBIT_UPDATE(bits, type, fetch_or, __atomic_fetch_or)                                                     \
  ISOBIT_UPDATE(bits, type, fetch_xor, __atomic_fetch_xor)                                                   \
  ISOBIT_UPDATE(bits, type, fetch_nand, __atomic_fetch_nand)                                                 \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile type* address, type* expected, type value, int, \
                                                    int) {                                                   \
    access(const_cast<const type*>(address), bits / 8, AccessKind::atomic, __builtin_return_address(0));     \
    return __atomic_compare_exchange_n(address, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
  }                                                                                                          \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile type* address, type* expected, type value, int,   \
                                                  int) {                                                     \
    access(const_cast<const type*>(address), bits / 8, AccessKind::atomic, __builtin_return_address(0));     \
    return __atomic_compare_exchange_n(address, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
  }                                                                                                          \
  type __tsan_atomic##bits##_compare_exchange_val(volatile type* address, type expected, type value, int,    \
                                                  int) {                                                     \
    access(const_cast<const type*>(address), bits / 8, AccessKind::atomic, __builtin_return_address(0));     \
    __atomic_compare_exchange_n(address, &expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);       \
    return expected;                                                                                         \
  }

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_atomic_thread_fence(int) {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
void __tsan_atomic_signal_fence(int) {}

ISOBIT_ACCESSES(1)
ISOBIT_ACCESSES(2)
ISOBIT_ACCESSES(4)
ISOBIT_ACCESSES(8)
ISOBIT_ACCESSES(16)

void __tsan_read_range(void* address, std::size_t bytes) {
  access(address, bytes, AccessKind::read, __builtin_return_address(0));
}
void __tsan_write_range(void* address, std::size_t bytes) {
  access(address, bytes, AccessKind::write, __builtin_return_address(0));
}
void* __tsan_memcpy(void* to, const void* from, std::size_t bytes) {
  access(from, bytes, AccessKind::read, __builtin_return_address(0));
  access(to, bytes, AccessKind::write, __builtin_return_address(0));
  return std::memcpy(to, from, bytes);
}
void* __tsan_memmove(void* to, const void* from, std::size_t bytes) {
  access(from, bytes, AccessKind::read, __builtin_return_address(0));
  access(to, bytes, AccessKind::write, __builtin_return_address(0));
  return std::memmove(to, from, bytes);
}
void* __tsan_memset(void* to, int value, std::size_t bytes) {
  access(to, bytes, AccessKind::write, __builtin_return_address(0));
  return std::memset(to, value, bytes);
}

ISOBIT_ATOMICS(8, std::uint8_t)
ISOBIT_ATOMICS(16, std::uint16_t)
ISOBIT_ATOMICS(32, std::uint32_t)
ISOBIT_ATOMICS(64, std::uint64_t)

}  // extern "C"
