// Interpolation: one kernel call an axis, by a matrix of few entries a row; the gradient is the transposed
// matrix, whose gradient is the first again.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "core/ops/internal.h"
#include "core/ops/resize_rows.h"

namespace isobit {

namespace ops {
namespace {

using Rows = std::shared_ptr<const SparseRows>;

/// The matrix on a device, in one piece: its memory is taken and filled once.
class DeviceRows {
 public:
  DeviceRows(const SparseRows& m, DType dtype, Device device)
      : rows_(static_cast<std::int64_t>(m.start.size())),
        entries_(static_cast<std::int64_t>(m.column.size())),
        dtype_(dtype) {
    constexpr std::size_t kWord = sizeof(std::int64_t);
    const std::size_t size = static_cast<std::size_t>(size_of(dtype));
    std::vector<std::int64_t> words(m.start.size() + m.column.size() +
                                    (m.weight.size() * size + kWord - 1) / kWord);
    auto* const end =
        std::copy(m.column.begin(), m.column.end(), std::copy(m.start.begin(), m.start.end(), words.data()));
    if (dtype == DType::f64) {
      if (!m.weight.empty()) std::memcpy(end, m.weight.data(), m.weight.size() * size);
    } else {
      for (std::size_t i = 0; i < m.weight.size(); ++i) {
        const float rounded = static_cast<float>(m.weight[i]);
        std::memcpy(reinterpret_cast<char*>(end) + i * size, &rounded, size);
      }
    }
    words_ = from_vector(words, {static_cast<std::int64_t>(words.size())}, device);
  }

  ConstView start() const { return {at(0), DType::i64, rows_}; }
  ConstView column() const { return {at(rows_), DType::i64, entries_}; }
  ConstView weight() const { return {at(rows_ + entries_), dtype_, entries_}; }

 private:
  const std::int64_t* at(std::int64_t word) const { return view(words_).as<std::int64_t>() + word; }

  std::int64_t rows_, entries_;
  DType dtype_;
  Tensor words_;
};

/// Every line of x along `axis` times the matrix.
Tensor resampled(const Tensor& x, int axis, const Rows& m) {
  ResampleGeometry g;
  g.outer = g.inner = 1;
  g.in = m->in;
  g.out = m->out;
  for (int i = 0; i < x.rank(); ++i)
    if (i != axis) (i < axis ? g.outer : g.inner) *= x.shape().begin()[i];
  Tensor y = empty_as(x, x.shape().with(axis, m->out));
  const DeviceRows rows(*m, compute_type(x.dtype()), x.device());
  backend(x.device()).resample(g, view(x), rows.start(), rows.column(), rows.weight(), fresh_view(y));
  if (!recording({&x})) return y;
  return record("resample", {x}, y, {}, [m, axis](const BackwardContext& c) {
    return Gradients{resampled(c.dy(), axis, std::make_shared<const SparseRows>(transposed(*m)))};
  });
}

int require_picture(const char* op, const Tensor& x) {
  require_defined(op, {&x});
  if (!is_floating(x.dtype())) fail(op, "x is {}, expected a floating dtype", x.dtype());
  if (x.rank() < 3 || x.rank() > 5)
    fail(op, "x {} has {} axes, expected 3, 4 or 5: [n, (d,) (h,) w, c]", x.shape(), x.rank());
  return x.rank() - 2;
}

void require_options(const char* op, const ResizeOptions& o, int spatial, const Shape& x) {
  if (o.antialias && o.mode != Interpolation::linear)
    fail(op, "antialias is asked of nearest, expected Interpolation::linear");
  require_finite(op, "extrapolation", o.extrapolation);
  const bool cropped = o.coordinates == Coordinates::tf_crop_and_resize;
  if (o.roi.size() != (cropped ? static_cast<std::size_t>(spatial) : 0))
    fail(op, "roi is given for {} axes, expected {} (x {})", o.roi.size(), cropped ? spatial : 0, x);
  for (const auto& [begin, end] : o.roi) {
    require_finite(op, "roi's begin", begin);
    require_finite(op, "roi's end", end);
  }
}

/// The extrapolation where an axis says so: `outside` holds a mark for every output of every spatial axis.
Tensor extrapolated(const Tensor& y, const std::vector<std::vector<bool>>& outside, double value) {
  Tensor marks;
  for (std::size_t i = 0; i < outside.size(); ++i) {
    const std::vector<std::uint8_t> host(outside[i].begin(), outside[i].end());
    std::array<std::int64_t, Shape::max_rank> extents{1, 1, 1, 1, 1, 1, 1, 1};
    extents[i + 1] = static_cast<std::int64_t>(host.size());
    const Shape shape(std::span<const std::int64_t>(extents.data(), static_cast<std::size_t>(y.rank())));
    const Tensor one = from_vector(host, shape, y.device()).to(DType::boolean);
    marks = marks.defined() ? logical_or(marks, one) : one;
  }
  return select(marks, scalar_like(y, value), y);
}

/// `axes`: of the spatial axes of x, which has elements on all of them.
Tensor resize_axes(const Tensor& x, std::span<const ResizeAxis> axes, const ResizeOptions& options) {
  std::vector<Rows> rows;
  std::vector<std::vector<bool>> outside(axes.size());
  int changed = 0;
  bool any_outside = false;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    rows.push_back(std::make_shared<const SparseRows>(resize_rows(axes[i], options, &outside[i])));
    if (!rows.back()->is_identity()) ++changed;
    for (const bool one : outside[i]) any_outside = any_outside || one;
  }
  // Halves would be rounded between the axes.
  const bool widened = is_half(x.dtype()) && changed > 1;
  Tensor y = widened ? x.to(DType::f32) : x;
  for (std::size_t i = axes.size(); i-- > 0;)
    if (!rows[i]->is_identity()) y = resampled(y, static_cast<int>(i) + 1, rows[i]);
  if (widened) y = y.to(x.dtype());
  return any_outside ? extrapolated(y, outside, options.extrapolation) : y;
}

/// An axis of `in` elements that becomes `out` long, exactly or by a scale.
ResizeAxis checked_axis(const char* op, const Shape& x, int i, double length) {
  ResizeAxis a;
  a.in = x.begin()[i + 1];
  if (a.in < 1) fail(op, "spatial axis {} of x {} has no element to read, expected at least 1", i, x);
  if (!(length >= 1))
    fail(op, "spatial axis {} of x {} would become {} long, expected at least 1", i, x, length);
  if (!(length < 4611686018427387904.0))
    fail(op, "spatial axis {} of x {} would become {} long, expected a length of at most 62 bits", i, x,
         length);
  a.length = length;
  a.out = static_cast<std::int64_t>(length);
  a.scale = length / static_cast<double>(a.in);
  return a;
}

void add_roi(const ResizeOptions& options, int i, ResizeAxis& a) {
  if (options.roi.empty()) return;
  a.begin = options.roi[static_cast<std::size_t>(i)].first;
  a.end = options.roi[static_cast<std::size_t>(i)].second;
}

/// Throws before tables are made when the result would be too large.
void require_room(const Shape& x, std::span<const ResizeAxis> axes) {
  Shape y = x;
  for (std::size_t i = 0; i < axes.size(); ++i) y = y.with(static_cast<int>(i) + 1, axes[i].out);
}

}  // namespace
}  // namespace ops

namespace {

Tensor resize_as(const char* op, const Tensor& x, const PerAxis& extents, const ResizeOptions& options) {
  const int spatial = ops::require_picture(op, x);
  ops::require_options(op, options, spatial, x.shape());
  if (extents.count != 1 && extents.count != spatial)
    fail(op, "extents are given for {} axes, x {} has {} spatial", extents.count, x.shape(), spatial);
  std::vector<ops::ResizeAxis> axes;
  for (int i = 0; i < spatial; ++i) {
    const std::int64_t extent = extents.value[static_cast<std::size_t>(i)];
    axes.push_back(ops::checked_axis(op, x.shape(), i, static_cast<double>(extent)));
    axes.back().out = extent;
    ops::add_roi(options, i, axes.back());
  }
  ops::require_room(x.shape(), axes);
  return ops::resize_axes(x, axes, options);
}

}  // namespace

Tensor resize(const Tensor& x, PerAxis extents, const ResizeOptions& options) {
  return resize_as("resize", x, extents, options);
}

Tensor resize_by(const Tensor& x, std::span<const double> scales, const ResizeOptions& options) {
  constexpr const char* kOp = "resize_by";
  const int spatial = ops::require_picture(kOp, x);
  ops::require_options(kOp, options, spatial, x.shape());
  if (scales.size() != 1 && scales.size() != static_cast<std::size_t>(spatial))
    fail(kOp, "{} scales are given, x {} has {} spatial axes", scales.size(), x.shape(), spatial);
  std::vector<ops::ResizeAxis> axes;
  for (int i = 0; i < spatial; ++i) {
    const double scale = scales[scales.size() == 1 ? 0 : static_cast<std::size_t>(i)];
    if (!(scale > 0) || !std::isfinite(scale))
      fail(kOp, "the scale of spatial axis {} is {}, expected a positive finite number", i, scale);
    axes.push_back(
        ops::checked_axis(kOp, x.shape(), i, static_cast<double>(x.shape().begin()[i + 1]) * scale));
    axes.back().scale = scale;
    ops::add_roi(options, i, axes.back());
  }
  ops::require_room(x.shape(), axes);
  return ops::resize_axes(x, axes, options);
}

Tensor upsample(const Tensor& x, PerAxis factor, Interpolation mode, bool align_corners) {
  constexpr const char* kOp = "upsample";
  const int spatial = ops::require_picture(kOp, x);
  if (factor.count != 1 && factor.count != spatial)
    fail(kOp, "factors are given for {} axes, x {} has {} spatial", factor.count, x.shape(), spatial);
  if (align_corners && mode != Interpolation::linear)
    fail(kOp, "align_corners is asked of nearest, expected Interpolation::linear");
  PerAxis extents = factor;
  extents.count = spatial;
  for (int i = 0; i < spatial; ++i) {
    const std::int64_t in = x.shape().begin()[i + 1], times = factor.value[static_cast<std::size_t>(i)];
    if (times < 1) fail(kOp, "factor {} of spatial axis {}, expected at least 1", times, i);
    if (__builtin_mul_overflow(in, times, &extents.value[static_cast<std::size_t>(i)]))
      fail(kOp, "spatial axis {} of x {} times {} does not fit 63 bits", i, x.shape(), times);
  }
  ResizeOptions options;
  options.mode = mode;
  options.rounding = Rounding::floor;
  options.coordinates = mode == Interpolation::nearest ? Coordinates::asymmetric
                        : align_corners                ? Coordinates::align_corners
                                                       : Coordinates::half_pixel;
  return resize_as(kOp, x, extents, options);
}

}  // namespace isobit
