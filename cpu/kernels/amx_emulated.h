// A model of the tile unit in plain C++, after the documentation of its instructions: for processors that
// have none, in tests and in isobit verify. What the unit would refuse with a fault is an Error. It is no
// measure of speed.
#pragma once
#include "cpu/kernels/amx_unit.h"

namespace isobit::cpu::amx {

class EmulatedAmx {
 public:
  static void configure(const TileConfig& config);
  static void release();
  template <int kTile>
  static void zero() {
    zero(kTile);
  }
  template <int kTile>
  static void load(const void* rows, std::int64_t pitch) {
    load(kTile, rows, pitch);
  }
  template <int kTile>
  static void store(void* rows, std::int64_t pitch) {
    store(kTile, rows, pitch);
  }
  template <int kSum, int kA, int kB>
  static void dot() {
    dot(kSum, kA, kB);
  }

  /// Whether this thread's tiles are configured.
  static bool configured();

 private:
  static void zero(int tile);
  static void load(int tile, const void* rows, std::int64_t pitch);
  static void store(int tile, void* rows, std::int64_t pitch);
  static void dot(int sum, int a, int b);
};

#if !defined(__x86_64__)
using Amx = EmulatedAmx;  // never chosen there
#endif

}  // namespace isobit::cpu::amx
