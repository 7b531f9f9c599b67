// The matrices of interpolation: few entries a row, made on the host in f64.
#pragma once
#include <isobit/ops_image.h>

#include <cstdint>
#include <vector>

namespace isobit::ops {

/// Row j: entries [start[j], start[j + 1]), columns ascending, no column twice, no weight 0.
struct SparseRows {
  std::int64_t in = 0, out = 0;
  std::vector<std::int64_t> start{0}, column;
  std::vector<double> weight;

  /// Weight w at `at`; columns come ascending, and what falls on the last one is added to it.
  void add(std::int64_t at, double w);
  void end_row() { start.push_back(static_cast<std::int64_t>(column.size())); }
  bool is_identity() const;
};
/// Entries keep their weights; rows are the columns from before.
SparseRows transposed(const SparseRows& m);

/// One axis of a resize.
struct ResizeAxis {
  std::int64_t in = 1, out = 1;  ///< both at least 1
  double scale = 1;              ///< out / in, or as it was given
  double length = 1;             ///< out, or in * scale
  double begin = 0, end = 1;     ///< of tf_crop_and_resize
};
/// `outside` receives, for tf_crop_and_resize, whether each output is the extrapolation; their rows are
/// empty.
SparseRows resize_rows(const ResizeAxis& axis, const ResizeOptions& options, std::vector<bool>* outside);

}  // namespace isobit::ops
