// The tile unit of a processor (AMX): eight registers of 16 rows of 64 bytes, each row 16 f32, 16 pairs of
// bf16, or what a configuration leaves of that. EmulatedAmx in amx_emulated.h has the same functions. PTX's
// twin is cuda/mma.cuh.
//
// Assembler, because g++ and clang++ then need no flag of their own for the files that use it; whoever calls
// asks tile_unit() first (cpu/runtime/tile_unit.h).
#pragma once
#include <cstdint>

namespace isobit::cpu::amx {

constexpr int kTileRows = 16;
constexpr std::int64_t kRowBytes = 64, kTileBytes = kTileRows * kRowBytes;

/// What LDTILECFG reads: how many rows and bytes a row each tile has.
struct alignas(64) TileConfig {
  std::uint8_t palette = 0, start_row = 0;
  std::uint8_t reserved[14]{};
  std::uint16_t row_bytes[16]{};
  std::uint8_t rows[16]{};

  /// All eight tiles whole.
  static constexpr TileConfig whole() {
    TileConfig c;
    c.palette = 1;
    for (int i = 0; i < 8; ++i) {
      c.row_bytes[i] = kRowBytes;
      c.rows[i] = kTileRows;
    }
    return c;
  }
};
static_assert(sizeof(TileConfig) == 64);

#if defined(__x86_64__)

/// This thread's unit.
struct Amx {
  static void configure(const TileConfig& config) { __asm__ __volatile__("ldtilecfg %0" : : "m"(config)); }
  /// Nothing is left to be saved when the system changes threads.
  static void release() { __asm__ __volatile__("tilerelease"); }

  template <int kTile>
  static void zero() {
    __asm__ __volatile__("tilezero %%tmm%c0" : : "i"(kTile));
  }
  /// Rows that lie `pitch` bytes apart.
  template <int kTile>
  static void load(const void* rows, std::int64_t pitch) {
    __asm__ __volatile__("tileloadd (%1,%2,1), %%tmm%c0" : : "i"(kTile), "r"(rows), "r"(pitch) : "memory");
  }
  template <int kTile>
  static void store(void* rows, std::int64_t pitch) {
    __asm__ __volatile__("tilestored %%tmm%c0, (%1,%2,1)" : : "i"(kTile), "r"(rows), "r"(pitch) : "memory");
  }
  /// sum[m][n] += a[m][pair] . b[pair][n], pairs of bf16 (TDPBF16PS).
  template <int kSum, int kA, int kB>
  static void dot() {
    __asm__ __volatile__("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kA), "i"(kB));
  }
};

#endif

/// Configures this thread's tiles, and releases them at the end.
template <class Unit>
class Tiles {
 public:
  Tiles() {
    static constexpr TileConfig kWhole = TileConfig::whole();
    Unit::configure(kWhole);
  }
  ~Tiles() { Unit::release(); }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;
};

}  // namespace isobit::cpu::amx
