// What is known of the bytes of global memory: written or not, and by which blocks of the running launch.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "cuda/simt/memory.h"
#include "cuda/simt/runner.h"
#include "cuda/simt/tracer/tracer.h"

namespace isobit::emulator::trace {

class GlobalTrace {
 public:
  void launch_begins();
  void block_begins(const Runner& runner);
  /// A fault in words, or none. `address` lies in the device's range of addresses.
  FaultKind check(const void* address, std::size_t bytes, AccessKind kind, std::string& text);
  void host_copied(void* to, const void* from, std::size_t bytes);

 private:
  // Of a byte. A stamp is the launch (12 bits), the block (19 bits) and whether the access was atomic; 0 is
  // never.
  struct Cell {
    std::uint32_t write, read;
  };
  static constexpr std::uint32_t kBlockMask = 0x7ffff, kMany = 0x7ffff, kHost = 2;

  static Cell* cells(Allocation& a);
  std::uint32_t stamp(AccessKind kind) const {
    return launch_ << 20 | block_ << 1 | (kind == AccessKind::atomic ? 1u : 0u);
  }
  static std::uint32_t block_of(std::uint32_t stamp) { return stamp >> 1 & kBlockMask; }
  bool other_block(std::uint32_t stamp) const;
  void meet(std::uintptr_t address);

  std::uint32_t launch_ = 1, block_ = 0;
  Allocation* last_ = nullptr;
};

}  // namespace isobit::emulator::trace
