// What the stand-ins for NVIDIA's libraries ask of memory that a call names.
#pragma once
#include <fmt/format.h>

#include <cstdint>
#include <string>

#include "cuda/simt/memory.h"

namespace isobit::emulator {

/// Empty when the bytes lie in one live allocation and are as well aligned as was promised.
inline std::string misplaced(const char* what, const void* data, std::uint64_t bytes,
                             std::uint64_t alignment) {
  const DeviceMemory& memory = DeviceMemory::instance();
  const Allocation* const a = memory.find(data);
  const auto at = reinterpret_cast<std::uintptr_t>(data);
  if (a == nullptr || !a->live || at < a->data || at + bytes > a->data + a->bytes)
    return fmt::format("{} of {} bytes: {}", what, bytes,
                       memory.reserved(data) ? memory.describe(data) : "no device memory");
  if (at % alignment != 0) return fmt::format("{} is not aligned to {} bytes", what, alignment);
  return {};
}

inline bool overlap(const void* a, std::uint64_t a_bytes, const void* b, std::uint64_t b_bytes) {
  const auto x = reinterpret_cast<std::uintptr_t>(a), y = reinterpret_cast<std::uintptr_t>(b);
  return x < y + b_bytes && y < x + a_bytes;
}

}  // namespace isobit::emulator
