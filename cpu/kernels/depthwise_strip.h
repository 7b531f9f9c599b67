// The kernel under the fast path of depthwise convolution: a strip of neighbouring outputs of one row (or of
// two rows below each other) for all channels, vector by vector, straight from the source.
//
// All sums of a strip stay in registers, and an element of the source is loaded once a row of taps (two rows:
// for both) and meets every sum that reads it. Source columns and rows come in ascending order, so each sum
// meets its taps in the order (t, r, s): acc = +0, then acc = fma(x, w, acc), one chain of at most 256 terms;
// then bias; then relu (v < 0 ? 0 : v). All lanes and outputs are different elements. What lies outside of
// the source is read from a line of the border's value and takes part, so no value needs a case of its own.
// Twin: cuda/kernels/conv_depthwise.cu.
//
// Where the channels are no multiple of a vector the last vector overlaps the one before and stores the same
// bits again; that takes at least one vector of channels.
#pragma once
#include <cstdint>

namespace isobit::cpu::gemm {

template <class T>
struct Strip {
  /// A plane of the depth after the other: the source's rows that the taps of the (first) output row read,
  /// and with two rows one more. Each points to channel 0 of the column that the strip's first tap reads; for
  /// strips at an edge to column 0 of the source, or null: outside.
  const T* const* rows;
  std::int64_t planes, row_taps;
  std::int64_t column_step;  ///< elements between neighbouring columns of the source; may be negative
  /// At an edge instead, for each row: what lies from the row's pointer to each column, -1: outside.
  const std::int64_t* const* offsets;
  const T* border;                     ///< a vector of what lies outside
  const T* filter;                     ///< [vectors][planes][row_taps][taps][lanes]
  std::int64_t channels;               ///< of a position
  std::int64_t first_vector, vectors;  ///< which of them, and `filter` is the first one's
  T* out[2];                           ///< of the first output of each row, channel 0
  std::int64_t out_step;               ///< between neighbouring outputs; may be negative
  const T* bias;                       ///< [channels] or null
  bool relu;
  bool stream;  ///< past the cache: whole vectors of 64 bytes, aligned; flush_strips() when all is stored
};

/// The kernels for one number of taps along the row and one step between neighbouring outputs.
template <class T>
struct StripSet {
  static constexpr int kWidths = 4;
  using Kernel = void (*)(const Strip<T>&);
  std::int64_t lanes, rows;     ///< of a vector; the most output rows of a strip (1 or 2)
  std::int64_t width[kWidths];  ///< outputs of a strip, descending; the last is 1
  /// [width][rows - 1][at an edge]; null inside for the two narrowest, which always go by the table.
  Kernel kernel[kWidths][2][2];
};

/// Of the current instruction set, null where there is none.
template <class T>
const StripSet<T>* strips(std::int64_t taps, std::int64_t step);

/// What a thread's strips have stored past the cache is visible to all from here on.
void flush_strips();

}  // namespace isobit::cpu::gemm
