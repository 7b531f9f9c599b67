// What the emulator tells the sanitizers: where poison lies, and when a stack is changed.
#pragma once
#include <cstddef>

// Weak: present only in a program that is linked with the sanitizer.
extern "C" {
void __asan_poison_memory_region(const volatile void* address, std::size_t bytes) __attribute__((weak));
void __asan_unpoison_memory_region(const volatile void* address, std::size_t bytes) __attribute__((weak));
void __sanitizer_start_switch_fiber(void** fake_stack, const void* bottom, std::size_t bytes)
    __attribute__((weak));
void __sanitizer_finish_switch_fiber(void* fake_stack, const void** bottom, std::size_t* bytes)
    __attribute__((weak));
void* __tsan_get_current_fiber() __attribute__((weak));
void* __tsan_create_fiber(unsigned flags) __attribute__((weak));
void __tsan_destroy_fiber(void* fiber) __attribute__((weak));
void __tsan_switch_to_fiber(void* fiber, unsigned flags) __attribute__((weak));
}

namespace isobit::emulator {

#if defined(__has_feature)
inline constexpr bool kAsan = __has_feature(address_sanitizer);
inline constexpr bool kTsan = __has_feature(thread_sanitizer);
#else
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kAsan = true;
#else
inline constexpr bool kAsan = false;
#endif
#if defined(__SANITIZE_THREAD__)
inline constexpr bool kTsan = true;
#else
inline constexpr bool kTsan = false;
#endif
#endif

inline void poison(const void* address, std::size_t bytes) {
  if constexpr (kAsan) __asan_poison_memory_region(address, bytes);
}
inline void unpoison(const void* address, std::size_t bytes) {
  if constexpr (kAsan) __asan_unpoison_memory_region(address, bytes);
}

}  // namespace isobit::emulator
