// The kernel under the filter gradient of depthwise convolution: all positions of some runs, for a vector of
// channels after the other and up to three rows of taps, straight from x and dy.
//
// A task of a vector holds the sums of (rows of taps) x (taps of a row) in registers. Positions come in
// ascending order, and so each sum meets its terms in the order (n, o, p, q): acc = fma(x, dy, acc). Strips
// of neighbouring positions load dy and an element of x once; what lies outside of x is read from a line of
// the border's value and takes part. Twin: cuda/kernels/conv_depthwise.cu.
//
// Vectors are taken by twos where registers allow. Where the pixels of x lie so far apart that its rows push
// each other out of the first-level cache, such a pair copies each row together before it is met first.
//
// The last vector overlaps the one before where the channels are no multiple of a vector.
#pragma once
#include <cstdint>

namespace isobit::cpu::gemm {

/// Positions [first, end) of a row of outputs.
template <class T>
struct GradientRun {
  const T* dy;  ///< of position `first`, channel 0
  std::int64_t first, end;
  bool whole;  ///< every row of taps lies inside of x
};

/// Where a row of x lies packed, and whether it is to be packed first.
struct GradientSlot {
  std::int64_t index;  ///< of the ring's rows
  bool fresh;
};

template <class T>
struct Gradient {
  const GradientRun<T>* runs;
  std::int64_t count;
  /// [run][tap_rows]: column 0 of the row of x, or anywhere in x where `offsets` says outside for every
  /// column.
  const T* const* rows;
  const std::int64_t* const*
      offsets;  ///< [run][tap_rows], by column from the first that a tap reads; -1: outside
  std::int64_t tap_rows, first_row;       ///< of all, and the first of the kernel's
  std::int64_t inside_begin, inside_end;  ///< positions of a row whose columns lie inside
  std::int64_t first_column;              ///< of position 0 and tap 0
  const T* border;
  std::int64_t channels, first_vector, vectors;
  const T* start;  ///< [vectors][tap_rows][taps][lanes], null: +0; of groups as in group_gradient.h
  const T* total;  ///< the same: what the sums are added to at the end, total + sum; null: nothing
  T* sums;
  /// Null, or [slots][ring_columns][2][lanes]: room for the rows of x that a run reads, where pairs of
  /// vectors pack them. All tap rows are the kernel's then.
  T* ring;
  const GradientSlot* slots;           ///< [run][tap_rows]
  std::int64_t ring_columns, columns;  ///< that taps read, borders among them; of x
};

template <class T>
struct GradientSet {
  static constexpr int kMostRows = 3;
  std::int64_t lanes, rows;  ///< of a vector; the most rows of taps that a kernel takes
  bool pairs;                ///< whether it takes vectors by twos
  void (*kernel[kMostRows])(const Gradient<T>&);
};

/// Of the current instruction set, null where there is none.
template <class T>
const GradientSet<T>* gradients(std::int64_t taps, std::int64_t step);

}  // namespace isobit::cpu::gemm
