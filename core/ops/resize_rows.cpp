// Where the outputs of a resized axis lie, and what they are made of: the formulas of ONNX's Resize (opset
// 19), of which PyTorch's interpolate uses some.
#include "core/ops/resize_rows.h"

#include <algorithm>
#include <cmath>

namespace isobit::ops {
namespace {

/// The coordinate of output j on the input.
double coordinate(const ResizeAxis& a, Coordinates rule, std::int64_t j) {
  const double x = static_cast<double>(j), last = static_cast<double>(a.in - 1);
  const double centre = (x + 0.5) / a.scale - 0.5;
  switch (rule) {
    case Coordinates::half_pixel:
      return centre;
    case Coordinates::half_pixel_symmetric: {
      // A length that is cut off to whole outputs is cut off on both sides.
      const double kept = static_cast<double>(a.out) / a.length;
      return static_cast<double>(a.in) / 2 * (1 - kept) + centre;
    }
    case Coordinates::pytorch_half_pixel:
      return a.out == 1 ? 0 : centre;
    case Coordinates::align_corners:
      return a.length == 1 ? 0 : x * last / (a.length - 1);
    case Coordinates::asymmetric:
      return x / a.scale;
    case Coordinates::tf_crop_and_resize: {
      const double part = (a.end - a.begin) * last;
      return a.begin * last + (a.length == 1 ? part / 2 : x * part / (a.length - 1));
    }
  }
  return centre;
}

/// `at` rounded to an element; the edges read theirs.
std::int64_t nearest(double at, Rounding rounding, std::int64_t in) {
  const double below = std::floor(at), share = at - below;
  bool up = false;
  switch (rounding) {
    case Rounding::round_prefer_floor:
      up = share > 0.5;
      break;
    case Rounding::round_prefer_ceil:
      up = share >= 0.5;
      break;
    case Rounding::floor:
      break;
    case Rounding::ceil:
      up = share > 0;
      break;
  }
  return static_cast<std::int64_t>(std::clamp(below + (up ? 1 : 0), 0.0, static_cast<double>(in - 1)));
}

/// The two neighbours of `at`.
void add_linear(SparseRows& rows, double at) {
  const double last = static_cast<double>(rows.in - 1);
  at = std::clamp(at, 0.0, last);
  const double below = std::floor(at), share = at - below;
  rows.add(static_cast<std::int64_t>(below), 1 - share);
  if (share > 0) rows.add(static_cast<std::int64_t>(below) + 1, share);
}

/// All elements under a triangle about `at` that is as wide as two outputs (scale < 1); weights are divided
/// by their sum.
void add_triangle(SparseRows& rows, double at, double scale, bool exclude_outside) {
  const double last = static_cast<double>(rows.in - 1);
  const double base = std::ceil(at) - 1;  // the neighbour below, never `at` itself
  const double first = std::floor(-1 / scale) + 1;
  const auto each = [&](const auto& body) {
    for (double step = first; step <= 1 - first; step += 1) {
      const double weight = std::clamp(1 - std::abs((base + step - at) * scale), 0.0, 1.0);
      const double place = base + step;
      if (weight > 0 && !(exclude_outside && (place < 0 || place > last)))
        body(std::clamp(place, 0.0, last), weight);
    }
  };
  double sum = 0;
  each([&](double, double weight) { sum += weight; });
  each([&](double place, double weight) { rows.add(static_cast<std::int64_t>(place), weight / sum); });
}

}  // namespace

void SparseRows::add(std::int64_t at, double w) {
  if (static_cast<std::int64_t>(column.size()) > start.back() && column.back() == at) {
    weight.back() += w;
    return;
  }
  column.push_back(at);
  weight.push_back(w);
}

bool SparseRows::is_identity() const {
  if (in != out || static_cast<std::int64_t>(column.size()) != out) return false;
  for (std::int64_t j = 0; j < out; ++j) {
    const auto at = static_cast<std::size_t>(j);
    if (start[at] != j || column[at] != j || weight[at] != 1) return false;
  }
  return true;
}

SparseRows transposed(const SparseRows& m) {
  SparseRows t;
  t.in = m.out;
  t.out = m.in;
  t.start.assign(static_cast<std::size_t>(m.in) + 1, 0);
  for (const std::int64_t at : m.column) ++t.start[static_cast<std::size_t>(at) + 1];
  for (std::size_t i = 1; i < t.start.size(); ++i) t.start[i] += t.start[i - 1];
  t.column.resize(m.column.size());
  t.weight.resize(m.weight.size());
  std::vector<std::int64_t> next(t.start.begin(), t.start.end() - 1);
  for (std::size_t j = 0; j < static_cast<std::size_t>(m.out); ++j)
    for (auto e = static_cast<std::size_t>(m.start[j]); e < static_cast<std::size_t>(m.start[j + 1]); ++e) {
      const auto to = static_cast<std::size_t>(next[static_cast<std::size_t>(m.column[e])]++);
      t.column[to] = static_cast<std::int64_t>(j);
      t.weight[to] = m.weight[e];
    }
  return t;
}

SparseRows resize_rows(const ResizeAxis& axis, const ResizeOptions& options, std::vector<bool>* outside) {
  SparseRows rows;
  rows.in = axis.in;
  rows.out = axis.out;
  rows.start.reserve(static_cast<std::size_t>(axis.out) + 1);
  if (options.mode == Interpolation::nearest || !options.antialias || axis.scale >= 1) {
    const std::size_t most =
        static_cast<std::size_t>(axis.out) * (options.mode == Interpolation::nearest ? 1 : 2);
    rows.column.reserve(most);
    rows.weight.reserve(most);
  }
  outside->assign(static_cast<std::size_t>(axis.out), false);
  const double last = static_cast<double>(axis.in - 1);
  for (std::int64_t j = 0; j < axis.out; ++j) {
    const double at = coordinate(axis, options.coordinates, j);
    if (options.coordinates == Coordinates::tf_crop_and_resize && !(at >= 0 && at <= last)) {
      (*outside)[static_cast<std::size_t>(j)] = true;
    } else if (options.mode == Interpolation::nearest) {
      rows.add(nearest(at, options.rounding, axis.in), 1);
    } else if (options.antialias && axis.scale < 1) {
      add_triangle(rows, at, axis.scale, options.exclude_outside);
    } else {
      add_linear(rows, at);
    }
    rows.end_row();
  }
  return rows;
}

}  // namespace isobit::ops
