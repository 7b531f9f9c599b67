// The access tracer: the kernels alone are compiled with -fsanitize=thread, and instead of the sanitizer's
// runtime these files are linked. So every access of a kernel to memory reports its address, size and place,
// with no change to the source; and each is held against what the emulator knows of memory:
//   - global memory: bounds, freed memory, pointers of the host, alignment, bytes that nobody has written,
//   and blocks
//     that touch the same byte with nothing between them but chance
//   - shared memory: bounds of each variable, bytes not written, bytes that an asynchronous copy has yet to
//   fill, and
//     races between threads with no barrier (nor __syncwarp within a warp) between the accesses
// g++ needs -O1 -fno-tree-sra, so that vectors stay whole. One thread of the host runs all blocks.
#pragma once
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace isobit::emulator {

enum class AccessKind : std::uint8_t { read, write, atomic };

/// What an instruction of the kernels cost, over the blocks that were counted (the first two of each launch).
struct AccessCount {
  std::string kernel, place;  // file:line
  int width = 0;              // bytes of a lane
  bool shared = false, write = false;
  std::uint64_t requests = 0;  // by warps
  std::uint64_t bytes = 0;     // that were asked for
  /// Global: 32-byte sectors that were moved, and the fewest that could have been. Shared: passes over the
  /// banks.
  std::uint64_t cost = 0, ideal = 0;
};

/// Starts or stops counting; starting forgets what was counted.
void count_accesses(bool on);
/// By kernel, place and width, the most costly first. Asynchronous copies are a read of global memory and a
/// write of shared memory.
std::vector<AccessCount> access_counts();

/// How many accesses have been checked since the program began.
std::uint64_t accesses_traced();

// Between the tracer's own files.
namespace trace {
void access(const void* address, std::size_t bytes, AccessKind kind, const void* pc);
std::string place_of(const void* pc);
/// An instruction of a kernel: the return address of its report, or the line of an asynchronous copy.
struct Instruction {
  const void* pc = nullptr;
  const char* file = nullptr;
  int line = 0;
  auto operator<=>(const Instruction&) const = default;
  std::string place() const;
};
void log(const Instruction& instruction, const void* kernel, std::uint16_t thread, const void* address,
         std::size_t bytes, bool shared, bool write);
void flush_log();
bool counting();
}  // namespace trace

}  // namespace isobit::emulator
