// TDPBF16PS as it is documented: of each row of a and column of b the even and the odd elements of the pairs
// are two chains of fma, which are added to each other and then to the sum. Every step rounds to nearest
// even; subnormal operands count as zeros of their sign and subnormal results become such, whatever the
// thread's floating-point mode.
//
// A step is computed in f64 and rounded once more to f32. The product of two bf16 is exact there, and a sum
// of numbers of at most 24 bits that is rounded to 53 bits and then to 24 is the sum rounded to 24. No
// kernel, so no twin; the model of the GPU's unit is cuda/simt/matrix_unit.cpp.
#include "cpu/kernels/amx_emulated.h"

#include <cmath>
#include <cstring>
#include <memory>

#include "isobit/error.h"

namespace isobit::cpu::amx {
namespace {

struct Unit {
  bool configured = false;
  std::uint8_t rows[8]{};
  std::uint16_t row_bytes[8]{};
  alignas(64) unsigned char data[8][kTileRows][kRowBytes]{};
};
// On the heap: a library that is loaded at run time finds little room for what threads have of their own.
Unit& unit() {
  static thread_local const std::unique_ptr<Unit> own = std::make_unique<Unit>();
  return *own;
}

void demand(bool holds, const char* what) {
  if (!holds) fail("amx", "a fault of the emulated tile unit: {}", what);
}

/// A subnormal counts as zero.
float normal(float v) {
  return std::abs(v) < 0x1p-126f ? std::copysign(0.0f, v) : v;
}

/// f32, and zero when it is tiny after rounding as if exponents had no end.
float rounded(double v) {
  constexpr double kTiny = 0x1p-126 * (1 - 0x1p-25);
  return std::abs(v) < kTiny ? std::copysign(0.0f, static_cast<float>(v)) : static_cast<float>(v);
}

float element(const unsigned char* pairs, int i) {
  std::uint16_t half = 0;
  std::memcpy(&half, pairs + 2 * i, sizeof half);
  const std::uint32_t bits = std::uint32_t{half} << 16;
  float v = 0;
  std::memcpy(&v, &bits, sizeof v);
  return normal(v);
}

void demand_tile(int tile) {
  demand(unit().configured, "no tiles are configured");
  demand(unit().rows[tile] > 0, "a tile without rows");
}

}  // namespace

void EmulatedAmx::configure(const TileConfig& config) {
  demand(config.palette == 1, "an unknown palette");
  demand(config.start_row == 0, "a start row of a palette that has none");
  for (const std::uint8_t byte : config.reserved) demand(byte == 0, "a reserved byte that is not 0");
  for (int i = 0; i < 16; ++i) {
    demand(config.rows[i] <= (i < 8 ? kTileRows : 0), "more rows than a tile has");
    demand(config.row_bytes[i] <= (i < 8 ? kRowBytes : 0), "a longer row than a tile has");
    demand((config.rows[i] == 0) == (config.row_bytes[i] == 0), "rows without bytes, or bytes without rows");
  }
  unit() = Unit();
  unit().configured = true;
  std::memcpy(unit().rows, config.rows, sizeof unit().rows);
  std::memcpy(unit().row_bytes, config.row_bytes, sizeof unit().row_bytes);
}

void EmulatedAmx::release() {
  unit() = Unit();
}

bool EmulatedAmx::configured() {
  return unit().configured;
}

void EmulatedAmx::zero(int tile) {
  demand_tile(tile);
  std::memset(unit().data[tile], 0, kTileBytes);
}

void EmulatedAmx::load(int tile, const void* rows, std::int64_t pitch) {
  zero(tile);  // what the configuration leaves out is zero
  for (int i = 0; i < unit().rows[tile]; ++i)
    std::memcpy(unit().data[tile][i], static_cast<const char*>(rows) + i * pitch, unit().row_bytes[tile]);
}

void EmulatedAmx::store(int tile, void* rows, std::int64_t pitch) {
  demand_tile(tile);
  for (int i = 0; i < unit().rows[tile]; ++i)
    std::memcpy(static_cast<char*>(rows) + i * pitch, unit().data[tile][i], unit().row_bytes[tile]);
}

void EmulatedAmx::dot(int sum, int a, int b) {
  for (const int tile : {sum, a, b}) demand_tile(tile);
  demand(sum != a && sum != b && a != b, "one tile in two roles");
  for (const int tile : {sum, a, b})
    demand(unit().row_bytes[tile] % 4 == 0, "a row that holds part of a pair");
  demand(unit().rows[sum] == unit().rows[a], "a sum and an a of different rows");
  demand(unit().row_bytes[sum] == unit().row_bytes[b], "a sum and a b of different columns");
  demand(unit().row_bytes[a] / 4 == unit().rows[b], "rows of b that are not the pairs of a");
  const int columns = unit().row_bytes[sum] / 4, pairs = unit().rows[b];
  float right[kTileRows][2][kTileRows];  // b's elements: [pair][even, odd][column]
  for (int k = 0; k < pairs; ++k)
    for (int n = 0; n < columns; ++n)
      for (int odd = 0; odd < 2; ++odd) right[k][odd][n] = element(unit().data[b][k], 2 * n + odd);
  for (int m = 0; m < unit().rows[sum]; ++m) {
    float chain[2][kTileRows]{};
    for (int k = 0; k < pairs; ++k)
      for (int odd = 0; odd < 2; ++odd) {
        const double left = element(unit().data[a][m], 2 * k + odd);
        for (int n = 0; n < columns; ++n)
          chain[odd][n] = rounded(left * static_cast<double>(right[k][odd][n]) + chain[odd][n]);
      }
    for (int n = 0; n < columns; ++n) {
      float total = 0;
      std::memcpy(&total, unit().data[sum][m] + 4 * n, sizeof total);
      const float pair = rounded(static_cast<double>(chain[0][n]) + chain[1][n]);
      total = rounded(static_cast<double>(normal(total)) + pair);
      std::memcpy(unit().data[sum][m] + 4 * n, &total, sizeof total);
    }
  }
}

}  // namespace isobit::cpu::amx
