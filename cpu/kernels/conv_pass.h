// One pass of the implicit GEMM: what conv_forward is, and what conv_backward_input is for every stride
// phase.
//
// A pass computes a box of positions of its output. Position i of an axis reads, at tap j, the source
// coordinate i * step + tap_first + j * tap_step, and is stored at place_first + i * place_step. Each element
// is the blocked chain over (taps, terms of a tap) of source times filter; coordinates outside the source
// read what its border holds, zeros unless said otherwise, and take part.
//
//   matrix      rows                      terms                         columns
//   A           positions                 (taps, channels of a group)
//   B                                     (taps, channels of a group)   filters of a group
//
// A is never built: a row is a pointer to where the position's first tap lies, and the terms of a block are
// runs of offsets that all positions share. Where taps fall outside the source, or the source is f16 or bf16,
// the part that a task needs is first copied to a slab with its border (conv_border.h).
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>

#include "cpu/kernels/conv_after.h"
#include "cpu/kernels/gemm_pack.h"

namespace isobit::cpu::gemm {

struct PassAxis {
  std::int64_t outputs = 1, step = 1;
  std::int64_t taps = 1, tap_first = 0, tap_step = 1;
  std::int64_t source = 1;                                     ///< extent of the source
  PadMode mode = PadMode::constant;                            ///< of what lies outside the source
  std::int64_t place = 1, place_first = 0, place_step = 1;     ///< extent of the output and positions in it
  std::int64_t filter = 1, filter_first = 0, filter_step = 1;  ///< extent of the filter, tap j's index in it

  bool operator==(const PassAxis&) const = default;
  /// The lowest source coordinate that position 0 reads, and how many `positions` neighbours span.
  std::int64_t lowest() const { return tap_first + std::min<std::int64_t>(0, (taps - 1) * tap_step); }
  std::int64_t span(std::int64_t positions) const {
    const std::int64_t reach = (taps - 1) * tap_step;
    return (positions - 1) * step + (reach < 0 ? -reach : reach) + 1;
  }
  /// Whether any tap reads outside the source.
  bool leaves() const {
    return taps > 0 && outputs > 0 && (lowest() < 0 || lowest() + span(outputs) > source);
  }
};

struct Pass {
  std::int64_t n = 0, groups = 1;
  std::int64_t channels = 0;  ///< terms of a tap: source channels of one group
  std::int64_t columns = 0;   ///< output channels of one group
  std::array<PassAxis, 3> axis{};
  /// Column j reads source channel j alone: one group, one channel a tap, as many source channels as columns.
  bool depthwise = false;

  Source source;  ///< [n, axes, groups * channels]
  Source filter;  ///< element (tap, group, channel, column) at the sum of index * stride
  std::int64_t tap_stride = 0, group_stride = 0, channel_stride = 0, column_stride = 1;
  void* out = nullptr;         ///< [n, places, groups * columns]
  std::int64_t out_pitch = 0;  ///< between neighbouring places, where that is more than all columns; else 0
  std::int64_t first_column = 0;  ///< of all that `then` knows of
  DType dtype = DType::f32;       ///< of out; the others have it too, or T
  Source bias;                    ///< [groups * columns] or null
  bool relu = false;
  const kernels::After* then =
      nullptr;        ///< done to what a task has stored, if not null; not by run_small_pass
  double border = 0;  ///< what lies outside the source where the mode is constant

  /// Elements between neighbouring places of the output.
  std::int64_t pitch() const { return out_pitch > 0 ? out_pitch : groups * columns; }
  /// Of the output; of its elements every one belongs to some pass like this.
  double out_bytes() const {
    double bytes = static_cast<double>(n * pitch() * size_of(dtype));
    for (const PassAxis& a : axis) bytes *= static_cast<double>(a.place);
    return bytes;
  }
  /// Columns [first, first + count) of the only group.
  Pass some_columns(std::int64_t first, std::int64_t count) const {
    Pass part = *this;
    part.columns = count;
    part.out_pitch = pitch();
    part.first_column = first_column + first;
    part.filter = filter.at(first * column_stride);
    part.bias = bias.at(first);
    if (out != nullptr) part.out = static_cast<char*>(out) + first * size_of(dtype);
    return part;
  }
  /// Whether what lies outside the source is zeros, whose products change no sum but -0.
  bool zero_border() const {
    bool zeros = border == 0;
    for (const PassAxis& a : axis) zeros = zeros && a.mode == PadMode::constant;
    return zeros;
  }
};

/// T is the type computed in.
template <class T>
void run_pass(const Pass& pass);
/// The same on this thread, without a plan: for what refuse_small accepts.
template <class T>
void run_small_pass(const Pass& pass);
/// Null where run_small_pass is the faster one. Of all passes together: positions, elements of the filter, at
/// most so many elements of a source with its border. Real numbers, for the products of extents may be huge.
const char* refuse_small(double positions, double filter, double source);

}  // namespace isobit::cpu::gemm
