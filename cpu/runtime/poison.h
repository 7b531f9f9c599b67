// Memory that nobody may touch for now, told to AddressSanitizer; nothing at all in other builds.
#pragma once
#include <cstddef>

#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>  // its macros are empty without the sanitizer
#endif

namespace isobit::cpu {

inline constexpr bool kPoisons =
#if defined(__SANITIZE_ADDRESS__)  // g++
    true;
#elif defined(__has_feature)  // clang++
#if __has_feature(address_sanitizer)
    true;
#else
    false;
#endif
#else
    false;
#endif

inline void poison([[maybe_unused]] const void* data, [[maybe_unused]] std::size_t bytes) {
#ifdef ASAN_POISON_MEMORY_REGION
  ASAN_POISON_MEMORY_REGION(data, bytes);
#endif
}

inline void unpoison([[maybe_unused]] const void* data, [[maybe_unused]] std::size_t bytes) {
#ifdef ASAN_UNPOISON_MEMORY_REGION
  ASAN_UNPOISON_MEMORY_REGION(data, bytes);
#endif
}

}  // namespace isobit::cpu
