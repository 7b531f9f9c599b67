// What conv_over_space does to the order of elements: pixels to channels before its tiles, columns to pixels
// behind them.
#pragma once
#include <cstdint>

namespace isobit::cpu::gemm {

/// to[c * pitch + i] = pixels[i][c] for i < count, c < channels. `asks`: pixels a vector ahead, which lie as
/// far apart as these, are asked for, as out of the caches pays.
void gather_pixels(const float* const* pixels, std::int64_t count, std::int64_t channels, bool asks,
                   float* to, std::int64_t pitch);
void gather_pixels(const double* const* pixels, std::int64_t count, std::int64_t channels, bool asks,
                   double* to, std::int64_t pitch);

/// to[i * columns + c] = relu?(sums[c * pitch + i] + bias[c]) for i < count; bias may be null.
void interleave_columns(const float* sums, std::int64_t pitch, std::int64_t columns, std::int64_t count,
                        const float* bias, bool relu, float* to);
void interleave_columns(const double* sums, std::int64_t pitch, std::int64_t columns, std::int64_t count,
                        const double* bias, bool relu, double* to);

}  // namespace isobit::cpu::gemm
