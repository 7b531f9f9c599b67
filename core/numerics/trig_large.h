// Reduction of large angles (Payne and Hanek): x mod pi / 2 for any finite x, from as many bits of 2 / pi as
// matter.
#pragma once

#include <cstdint>

#include "core/numerics/bits.h"
#include "core/numerics/fma.h"
#include "core/numerics/host_device.h"

namespace isobit::numerics {

// x = (quadrant + 4 k) pi / 2 + high + low
struct LargeAngle {
  double high, low;
  std::uint32_t quadrant;
};

// For finite x >= 1.
HOST_DEVICE inline LargeAngle reduce_large_angle(double x) {
  // 64 zeros, then the bits of 2 / pi after the binary point.
  constexpr int kPadding = 64;
  static constexpr std::uint32_t kTwoOverPi[] = {
      0x00000000u, 0x00000000u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u,
      0x3c439041u, 0xfe5163abu, 0xdebbc561u, 0xb7246e3au, 0x424dd2e0u, 0x06492eeau, 0x09d1921cu,
      0xfe1deb1cu, 0xb129a73eu, 0xe88235f5u, 0x2ebb4484u, 0xe99c7026u, 0xb45f7e41u, 0x3991d639u,
      0x835339f4u, 0x9c845f8bu, 0xbdf9283bu, 0x1ff897ffu, 0xde05980fu, 0xef2f118bu, 0x5a0a6d1fu,
      0x6d367ecfu, 0x27cb09b7u, 0x4f463f66u, 0x9e5fea2du, 0x7527bac7u, 0xebe5f17bu, 0x3d0739f7u,
      0x8a5292eau, 0x6bfb5fb1u, 0x1f8d5d08u, 0x56033046u, 0xfc7b6babu, 0xf0cfbc20u, 0x9af4361du,
  };
  constexpr int kWords = 6;  // of the window of 2 / pi that is multiplied: 192 bits
  const std::uint64_t bits = bit_cast<std::uint64_t>(x);
  const std::uint64_t mantissa = (bits & ((std::uint64_t{1} << 52) - 1)) | (std::uint64_t{1} << 52);
  const int exponent = static_cast<int>(bits >> 52) - 1075;  // x = mantissa * 2^exponent
  // Bit i of 2 / pi (weight 2^-i) times the mantissa is a multiple of 4 when i < exponent - 1: the window
  // starts there, and the product, mod 2^192, is x * 2 / pi mod 4 in units of 2^-190.
  const int start = exponent - 2 + kPadding;
  const int word = start / 32;
  const int shift = start % 32;
  const std::uint64_t low_half = mantissa & 0xffffffffu;
  const std::uint64_t high_half = mantissa >> 32;
  std::uint32_t product[kWords] = {};  // lowest word first
  std::uint64_t carry = 0;
  std::uint64_t previous = 0;
  for (int i = 0; i < kWords; ++i) {
    const int at = word + kWords - 1 - i;
    const std::uint64_t pair = std::uint64_t{kTwoOverPi[at]} << 32 | kTwoOverPi[at + 1];
    const std::uint64_t window = (pair >> (32 - shift)) & 0xffffffffu;
    // window * low_half + previous * high_half + carry, of which the low word stays: the sum may pass 2^64.
    const std::uint64_t first = window * low_half;
    const std::uint64_t second = previous * high_half;
    const std::uint64_t low = (first & 0xffffffffu) + (second & 0xffffffffu) + (carry & 0xffffffffu);
    product[i] = static_cast<std::uint32_t>(low);
    carry = (first >> 32) + (second >> 32) + (carry >> 32) + (low >> 32);
    previous = window;
  }
  std::uint32_t quadrant = product[kWords - 1] >> 30;
  for (int i = kWords - 1; i > 0; --i) product[i] = product[i] << 2 | product[i - 1] >> 30;
  product[0] <<= 2;
  // The fraction, to the nearest quadrant: of two's complement when it is one half or more.
  const bool negative = (product[kWords - 1] >> 31) != 0;
  if (negative) {
    ++quadrant;
    std::uint64_t sum = 1;
    for (int i = 0; i < kWords; ++i) {
      sum += static_cast<std::uint32_t>(~product[i]);
      product[i] = static_cast<std::uint32_t>(sum);
      sum >>= 32;
    }
  }
  // Doubles are never nearer to a multiple of pi / 2 than 2^-62 or so: 106 bits follow the leading zeros.
  double scale = 0x1p-53;
  while ((product[kWords - 1] >> 31) == 0) {
    for (int i = kWords - 1; i > 0; --i) product[i] = product[i] << 1 | product[i - 1] >> 31;
    product[0] <<= 1;
    scale *= 0.5;
    if (scale < 0x1p-150) break;
  }
  const std::uint64_t top = std::uint64_t{product[5]} << 32 | product[4];
  const std::uint64_t next = std::uint64_t{product[3]} << 32 | product[2];
  const double a = static_cast<double>(top >> 11);
  const double b = static_cast<double>((top & 2047u) << 42 | next >> 22) * 0x1p-53;
  constexpr double kHalfPiHigh = 0x1.921fb54442d18p+0;
  constexpr double kHalfPiLow = 0x1.1a62633145c07p-54;
  const double main = a * kHalfPiHigh;
  const double rest = fma(b, kHalfPiHigh, fma(a, kHalfPiLow, fma(a, kHalfPiHigh, -main)));
  const double high = main + rest;
  const double low = rest - (high - main);
  if (negative) scale = -scale;
  return {high * scale, low * scale, quadrant & 3u};
}

}  // namespace isobit::numerics
