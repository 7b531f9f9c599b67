// A failing problem made small: whatever can be halved or lowered is, as long as it still fails; the tensors
// are cut, never drawn anew, so that what made it fail may stay.
#include "core/compare/shrink.h"

#include <isobit/autograd.h>
#include <isobit/error.h>

#include "core/compare/kernel.h"

namespace isobit::compare {

Tensor first_of(const Tensor& t, int axis, std::int64_t extent) {
  if (!t.defined()) return t;
  std::vector<std::pair<std::int64_t, std::int64_t>> widths(static_cast<std::size_t>(t.rank()));
  widths[static_cast<std::size_t>(axis < 0 ? axis + t.rank() : axis)] = {0, extent - t.shape(axis)};
  return pad(t, widths);
}

Tensor channels_of(const Tensor& t, std::int64_t groups, std::int64_t kept, std::int64_t each) {
  if (!t.defined()) return t;
  const Shape& shape = t.shape();
  const Shape apart = shape.with(-1, groups).inserted(shape.rank(), shape[-1] / groups);
  const Tensor less = first_of(first_of(t.reshape(apart), -1, each), -2, kept);
  return less.reshape(shape.with(-1, kept * each));
}

std::optional<Tensor> cut_to(const Tensor& t, const Shape& shape) {
  if (t.rank() != shape.rank()) return std::nullopt;
  Tensor less = t;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] > t.shape(axis)) return std::nullopt;
    if (shape[axis] < t.shape(axis)) less = first_of(less, axis, shape[axis]);
  }
  return less;
}

namespace {

/// The problem with dy cut to the outputs that there are; nothing where there are more, or it is no problem.
/// (Steps keep what is left of the whole dy: a later one may have use for it.)
std::optional<Problem> fitted(const Problem& p) {
  Problem q = p;
  try {
    const Shape y = output_shape_of(q);
    if (q.result == Result::y) {
      q.dy = Tensor();
      return q;
    }
    const std::optional<Tensor> dy = cut_to(q.dy, y);
    if (!dy) return std::nullopt;
    q.dy = *dy;
    return q;
  } catch (const OutOfMemory&) {
    throw;
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<Problem> after(const Problem& p, const std::function<bool(Problem&)>& step) {
  Problem next = p;
  if (!step(next)) return std::nullopt;
  return next;
}

}  // namespace

Problem shrink(const Problem& p, const std::function<bool(const Problem&)>& fails) {
  const NoGrad off;
  if (!fails(p)) fail("shrink", "{} does not fail", p.to_string());
  if (!p.w.defined() && p.op != Op::avg_pool && p.op != Op::max_pool) return p;
  const auto still = [&](const Problem& q) {
    const std::optional<Problem> whole = fitted(q);
    return whole && fails(*whole);
  };
  const Problem begin = in_numbers(p);
  if (!still(begin)) return p;  // how it is said decides
  return *fitted(smallest<Problem>(begin, steps_of, after, still));
}

std::string shape_line(const Problem& p, std::string_view name) {
  if ((p.op != Op::conv && p.op != Op::conv_transpose) || !p.x.defined() || !p.w.defined()) return {};
  const ConvGeometry g = geometry_of(p);
  std::string line = fmt::format("mb{}g{}ic{}oc{}", g.n, g.groups, g.c, g.k), modes;
  bool modes_matter = g.pad_value != 0;
  for (auto i = static_cast<std::size_t>(3 - shown_axes(g)); i < 3; ++i) {
    const AxisGeometry& a = g.axis[i];
    const char axis = "dhw"[i];
    line += fmt::format("i{0}{1}k{0}{2}s{0}{3}d{0}{4}p{0}{5}p{0}r{6}", axis, a.in, a.filter, a.stride,
                        a.dilation - 1, a.pad_before, a.pad_after);
    modes += fmt::format("@{}", name_of(a.mode));
    if (a.mode == PadMode::constant && g.pad_value != 0) modes += fmt::format("={}", g.pad_value);
    modes_matter = modes_matter || a.mode != PadMode::constant;
  }
  return fmt::format("{}{}n\"{}\"", line, modes_matter ? modes : "", name);
}

}  // namespace isobit::compare
