// Every row of the padded gradient is needed once. As many samples at a time as the workspace holds; of a
// sample that is larger, as many rows of its outermost axis: rows near its ends, which others fold onto, form
// a zone at each end, those between are read by one coordinate only.
#include "core/folded_gradient.h"

#include <algorithm>

namespace isobit {
namespace {

/// Padded coordinates [first, end) of an axis.
struct Range {
  std::int64_t first = 0, end = 0;
  std::int64_t size() const { return end - first; }
};

std::int64_t padded(const AxisGeometry& a) {
  return a.in + a.pad_before + a.pad_after;
}

/// Rows of dx on the outermost axis, and the padded rows that are theirs: at most two runs, in order.
struct Zone {
  std::int64_t first = 0, rows = 0;
  Range run[2];
  std::int64_t before = 0;  ///< padded rows that come before the zone's own
  PadMode mode = PadMode::constant;

  std::int64_t padded_rows() const { return run[0].size() + run[1].size(); }
};

class FoldedGradient {
 public:
  FoldedGradient(const ConvGeometry& g, DType dtype, std::int64_t limit) : g_(g), size_(size_of(dtype)) {
    // Axes that have neither rows nor padding of their own cannot be cut.
    while (outer_ < 2 && padded(g.axis[outer_]) == 1 && g.axis[outer_].in == 1) ++outer_;
    row_bytes_ = g.c * size_;
    for (std::size_t i = outer_ + 1; i < 3; ++i) row_bytes_ *= padded(g.axis[i]);
    const AxisGeometry& a = g.axis[outer_];
    sample_bytes_ = row_bytes_ * padded(a);
    samples_ = std::clamp<std::int64_t>(limit / std::max<std::int64_t>(sample_bytes_, 1), 1,
                                        std::max<std::int64_t>(g.n, 1));
    edge_ = a.folds() ? std::max(a.pad_before, a.pad_after) + 1 : 0;
    cuts_ = sample_bytes_ > limit && a.pad_before >= 0 && a.pad_after >= 0 && 2 * edge_ <= a.in;
    chunk_ = std::max<std::int64_t>(1, limit / std::max<std::int64_t>(row_bytes_, 1));
  }

  std::int64_t workspace() const {
    if (!cuts_) return samples_ * sample_bytes_;
    const AxisGeometry& a = g_.axis[outer_];
    const std::int64_t edges = edge_ + std::max(a.pad_before, a.pad_after);
    return row_bytes_ * std::max(edges, std::min(chunk_, a.in - 2 * edge_));
  }

  void run(const FoldedGradientKernels& kernels, ConstView dy, ConstView w, void* workspace, View dx) const {
    const AxisGeometry& a = g_.axis[outer_];
    for (std::int64_t n = 0; n < g_.n; n += cuts_ ? 1 : samples_) {
      const std::int64_t count = cuts_ ? 1 : std::min(samples_, g_.n - n);
      if (!cuts_) {
        box(kernels, n, count, {0, a.in, {{0, padded(a)}, {}}, a.pad_before, a.mode}, dy, w, workspace, dx);
        continue;
      }
      const std::int64_t top = edge_, bottom = a.in - edge_;
      if (edge_ > 0) {
        Zone first{0, edge_, {}, 0, a.mode}, last{bottom, edge_, {}, 0, a.mode};
        if (a.mode == PadMode::circular) {  // what is beyond one end reads the other
          first.run[0] = {a.pad_before, a.pad_before + top};
          first.run[1] = {a.pad_before + a.in, padded(a)};
          last.run[0] = {0, a.pad_before};
          last.run[1] = {a.pad_before + bottom, a.pad_before + a.in};
          last.before = a.pad_before;
        } else {
          first.run[0] = {0, a.pad_before + top};
          first.before = a.pad_before;
          last.run[0] = {a.pad_before + bottom, padded(a)};
        }
        box(kernels, n, 1, first, dy, w, workspace, dx);
        box(kernels, n, 1, last, dy, w, workspace, dx);
      }
      for (std::int64_t row = top; row < bottom; row += chunk_) {
        const std::int64_t rows = std::min(chunk_, bottom - row);
        box(kernels, n, 1,
            {row, rows, {{a.pad_before + row, a.pad_before + row + rows}, {}}, 0, PadMode::constant}, dy, w,
            workspace, dx);
      }
    }
  }

 private:
  /// The rows of a zone, of `count` samples from n on.
  void box(const FoldedGradientKernels& kernels, std::int64_t n, std::int64_t count, const Zone& zone,
           ConstView dy, ConstView w, void* workspace, View dx) const {
    const std::int64_t y_sample = g_.positions() * g_.k;
    const ConstView dy_part{static_cast<const char*>(dy.data) + n * y_sample * size_, dy.dtype,
                            count * y_sample};
    std::int64_t at = 0;
    for (const Range& run : zone.run) {
      if (run.size() == 0) continue;
      ConvGeometry part = g_;
      part.n = count;
      part.pad_value = 0;
      for (std::size_t i = 0; i < 3; ++i) {
        AxisGeometry& a = part.axis[i];
        const Range range = i == outer_ ? run : Range{0, padded(a)};
        const std::int64_t whole = padded(a);
        a.in = range.size();
        a.pad_before = range.first;
        a.pad_after = whole - range.end;
        a.mode = PadMode::constant;
      }
      const std::int64_t elements = count * run.size() * row_bytes_ / size_;
      kernels.backward_input(part, dy_part, w,
                             {static_cast<char*>(workspace) + at * size_, dx.dtype, elements});
      at += elements;
    }
    PadGeometry pad;
    pad.rank = 5;
    pad.in[0] = pad.out[0] = count;
    pad.in[4] = pad.out[4] = g_.c;
    std::int64_t dx_row = g_.c * size_;  // of the outermost axis, in bytes
    for (std::size_t i = 0; i < 3; ++i) {
      const AxisGeometry& a = g_.axis[i];
      const bool cut = i == outer_;
      pad.in[i + 1] = cut ? zone.rows : a.in;
      pad.out[i + 1] = cut ? zone.padded_rows() : padded(a);
      pad.before[i + 1] = cut ? zone.before : a.pad_before;
      pad.mode[i + 1] = cut ? zone.mode : a.mode;
      if (i > outer_) dx_row *= a.in;
    }
    const std::int64_t elements = count * zone.rows * dx_row / size_;
    const std::int64_t first = (n * g_.axis[outer_].in + zone.first) * dx_row;
    kernels.pad_backward(pad, {workspace, dx.dtype, at},
                         {static_cast<char*>(dx.data) + first, dx.dtype, elements});
  }

  const ConvGeometry& g_;
  const std::int64_t size_;
  std::size_t outer_ = 0;  ///< the outermost axis that has more than one row
  std::int64_t row_bytes_ = 0, sample_bytes_ = 0, samples_ = 1;
  std::int64_t edge_ = 0;  ///< rows at each end of that axis which others may fold onto
  std::int64_t chunk_ = 1;
  bool cuts_ = false;
};

}  // namespace

std::int64_t folded_workspace(const ConvGeometry& g, DType dtype, std::int64_t limit) {
  return FoldedGradient(g, dtype, limit).workspace();
}

void folded_backward_input(const FoldedGradientKernels& kernels, const ConvGeometry& g, ConstView dy,
                           ConstView w, void* workspace, View dx, std::int64_t limit) {
  FoldedGradient(g, dx.dtype, limit).run(kernels, dy, w, workspace, dx);
}

}  // namespace isobit
