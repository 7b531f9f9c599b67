// What the rows of conv_backward_filter's A point into: x as it lies, or a slab, the part of x that some
// blocks of a leaf read, copied with its border. The slab holds the groups of a task one after the other: a
// group's few channels lie together, not as far apart as all channels of x, whose pitch, often a power of
// two, would send every position to the same few sets of the first-level cache.
#pragma once
#include <algorithm>
#include <cstdint>

#include "core/numerics/order.h"
#include "cpu/kernels/conv_border.h"
#include "cpu/kernels/conv_filter_runs.h"

namespace isobit::cpu::kernels {

constexpr std::int64_t kPanelBytes = 128 << 10;  ///< of dy, of the blocks that a tile goes through at a time

/// Blocks of a leaf that share a slab: the planes (sample, o) and rows of dy they touch.
struct Segment {
  std::int64_t begin, end;  ///< positions, counted from the leaf's first
  std::int64_t plane, planes, row, rows;
};

template <class T>
class FilterSlab {
 public:
  /// `groups` of `channels` a task at most; a depthwise tile sees one group of all channels. `spread`: x is
  /// read so often that pixels which share sets of a cache are worth moving apart. `columns` of dy a task,
  /// where several leaves of one block may go together; 0 where not.
  FilterSlab(const ConvGeometry& g, gemm::Source x, std::int64_t groups, std::int64_t channels, bool spread,
             std::int64_t columns)
      : g_(g),
        x_(x),
        channels_(channels),
        used_(size_of(x.dtype) != sizeof(T) || leaves_input(g.axis[0]) || leaves_input(g.axis[1]) ||
              leaves_input(g.axis[2]) || (channels < g.c && channels * std::int64_t{sizeof(T)} < kLine) ||
              (spread && aliases(g.axis[2].stride * g.c))),
        leaf_samples_(numerics::leaf_samples(g.positions())) {
    const AxisGeometry &depth = g.axis[0], &height = g.axis[1], &width = g.axis[2];
    if (!used_) {
      join_leaves(columns, 0);
      pixel_ = g.c;
      row_pitch_ = width.in * g.c;
      tap_pitch_ = depth.dilation * height.in * row_pitch_;
      group_pitch_ = channels;
      return;
    }
    pixel_ = channels + (spread && aliases(width.stride * channels) ? kLine / std::int64_t{sizeof(T)} : 0);
    row_pitch_ = span(width, width.out) * pixel_;
    const auto real = [](std::int64_t n) { return static_cast<double>(n); };
    const double row_bytes = real(row_pitch_) * real(groups * depth.filter) * sizeof(T);
    join_leaves(columns,
                real(std::min(g.n, leaf_samples_) * depth.out) * real(span(height, height.out)) * row_bytes);
    const std::int64_t terms = leaf_terms(0);
    const double row_blocks = real(block_terms_) / real(width.out) * real(height.stride);
    const double leaf_rows = real(std::min(g.n, leaf_samples_) * depth.out) * real(span(height, height.out));
    if (leaf_rows * row_bytes > kSlabBytes)
      blocks_ = std::clamp<std::int64_t>(static_cast<std::int64_t>(kSlabBytes / (row_bytes * row_blocks)), 1,
                                         blocks_);
    // The most that any segment needs: some rows of a leaf's only plane, or whole planes.
    const std::int64_t most = std::min(blocks_ * block_terms_, terms), plane = height.out * width.out;
    const std::int64_t rows = std::min(height.out, (most + width.out - 1) / width.out + 1);
    const std::int64_t planes = std::min((terms + plane - 1) / plane, (most + plane - 1) / plane + 1);
    tap_pitch_ = span(height, terms == plane ? rows : height.out) * row_pitch_;
    plane_pitch_ = depth.filter * tap_pitch_;
    group_pitch_ = planes * plane_pitch_;
  }

  bool used() const { return used_; }
  /// Samples of a leaf, or of the leaves that go together: then every block is a leaf.
  std::int64_t leaf_samples() const { return leaf_samples_; }
  std::int64_t leaves_together() const { return together_; }
  std::int64_t leaf_terms(std::int64_t leaf) const {
    return std::min(leaf_samples_, g_.n - leaf * leaf_samples_) * g_.positions();
  }
  /// Blocks of a segment, and terms of a block.
  std::int64_t blocks() const { return blocks_; }
  std::int64_t block_terms() const { return block_terms_; }
  /// Elements between neighbouring pixels, rows and groups.
  std::int64_t pixel() const { return pixel_; }
  std::int64_t row_pitch() const { return row_pitch_; }
  std::int64_t group_pitch() const { return group_pitch_; }
  std::int64_t elements(std::int64_t groups) const { return used_ ? groups * group_pitch_ : 0; }

  /// Pointers a row of dw, `channels` a tap, of the groups from `group` on, whose memory is `slab`.
  void locate(const T* slab, std::int64_t group, std::int64_t channels, std::int64_t row_begin,
              std::int64_t row_end, const T** rows) const {
    const T* const base = used_ ? slab : x_.template as<T>() - before_x() + group * channels_;
    locate_rows(g_, base, tap_pitch_, row_pitch_, pixel_, channels, row_begin, row_end, rows);
  }
  RunOrigin origin(std::int64_t leaf, const Segment& segment) const {
    if (used_) return {segment.plane, segment.row * g_.axis[1].stride, plane_pitch_, 0, row_pitch_, pixel_};
    return {-leaf * leaf_samples_ * g_.axis[0].out, 0, 0, g_.axis[0].in, row_pitch_, pixel_};
  }

  Segment segment(std::int64_t begin, std::int64_t end) const {
    const std::int64_t q = g_.axis[2].out, plane_size = g_.axis[1].out * q;
    const std::int64_t plane = begin / plane_size, last = (end - 1) / plane_size;
    if (plane != last) return {begin, end, plane, last - plane + 1, 0, g_.axis[1].out};
    const std::int64_t row = begin % plane_size / q;
    return {begin, end, plane, 1, row, (end - 1) % plane_size / q - row + 1};
  }

  /// The rows of x that a segment reads, with their border: for every group, plane, tap of the depth, row:
  /// [width, channels and a gap].
  void fill(std::int64_t leaf, const Segment& segment, std::int64_t group, std::int64_t groups, T* to) const {
    const AxisGeometry &depth = g_.axis[0], &height = g_.axis[1], &width = g_.axis[2];
    const gemm::Bordered<T> x{x_,
                              {depth.in, depth.mode},
                              {height.in, height.mode},
                              {width.in, width.mode},
                              g_.c,
                              static_cast<T>(gemm::stored(g_.pad_value, x_.dtype)),
                              pixel_ - channels_};
    const gemm::BorderedGroups<T> split{x, group, groups, channels_};
    for (std::int64_t plane = segment.plane; plane < segment.plane + segment.planes; ++plane)
      for (std::int64_t t = 0; t < depth.filter; ++t, to += tap_pitch_) {
        const std::int64_t sample = leaf * leaf_samples_ + plane / depth.out,
                           d = plane % depth.out * depth.stride + t * depth.dilation - depth.pad_before,
                           h = segment.row * height.stride - height.pad_before,
                           rows = span(height, segment.rows), columns = span(width, width.out);
        if (channels_ == g_.c) {
          x.widen_plane(sample, d, h, rows, -width.pad_before, columns, to);
        } else {
          split.widen_plane(sample, d, h, rows, -width.pad_before, columns, to, group_pitch_);
        }
      }
  }

 private:
  static constexpr std::int64_t kSlabBytes = 256 << 10;
  static constexpr std::int64_t kLine = 64;  ///< bytes; narrower groups are always brought together
  static constexpr std::int64_t kAliasBytes =
      1024;  ///< at whole multiples of this pixels share few sets of a cache

  // A leaf of one block is so short that a tile spends a tenth of its time on the sums that it is added to.
  // As many leaves as fit the caches, a power of two, are one tile's; `bytes` of slab a leaf.
  void join_leaves(std::int64_t columns, double bytes) {
    const std::int64_t terms = leaf_terms(0), samples = leaf_samples_;
    if (columns > 0 && terms <= numerics::kBlock)
      while (2 * leaf_samples_ <= g_.n &&
             2 * static_cast<double>(together_) * bytes <= static_cast<double>(kSlabBytes) &&
             2 * together_ * terms * columns * std::int64_t{sizeof(T)} <= kPanelBytes) {
        together_ *= 2;
        leaf_samples_ = together_ * samples;
      }
    block_terms_ = together_ > 1 ? terms : numerics::kBlock;
    blocks_ = together_ > 1 ? together_ : numerics::block_count(terms);
  }

  static bool aliases(std::int64_t elements) { return elements * std::int64_t{sizeof(T)} % kAliasBytes == 0; }

  // From the padded x's first element to x's, when no padding is positive.
  std::int64_t before_x() const {
    return ((g_.axis[0].pad_before * g_.axis[1].in + g_.axis[1].pad_before) * g_.axis[2].in +
            g_.axis[2].pad_before) *
           g_.c;
  }

  const ConvGeometry& g_;
  const gemm::Source x_;
  const std::int64_t channels_;
  const bool used_;
  std::int64_t leaf_samples_, together_ = 1;
  std::int64_t blocks_ = 1, block_terms_ = numerics::kBlock;
  // Between neighbours; without a slab x's own.
  std::int64_t pixel_ = 0, row_pitch_ = 0, tap_pitch_ = 0, plane_pitch_ = 0, group_pitch_ = 0;
};

}  // namespace isobit::cpu::kernels
