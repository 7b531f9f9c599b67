// Faults that strike a part of the elements: a stride phase, the channels of a tail, a border.
#include <algorithm>
#include <memory>

#include "core/compare/faults.h"

namespace isobit::compare {
namespace {

/// t with everything outside of [from, to) of an axis 0.
Tensor kept(const Tensor& t, int axis, std::int64_t from, std::int64_t to) {
  std::vector<std::pair<std::int64_t, std::int64_t>> cut(static_cast<std::size_t>(t.rank())), grow = cut;
  const auto at = static_cast<std::size_t>(axis);
  cut[at] = {-from, to - t.shape(axis)};
  grow[at] = {from, t.shape(axis) - to};
  return pad(pad(t, cut), grow);
}

Tensor cut(const Tensor& t, int axis, std::int64_t from, std::int64_t to) {
  std::vector<std::pair<std::int64_t, std::int64_t>> widths(static_cast<std::size_t>(t.rank()));
  widths[static_cast<std::size_t>(axis)] = {-from, to - t.shape(axis)};
  return pad(t, widths);
}

}  // namespace

/// Of what a strided convolution's input gradient computes phase by phase.
void Catalogue::phases() {
  if (k_.form != Form::backward_input) return;
  const int spatial = k_.spatial();
  constexpr std::int64_t kMost = 64;
  std::int64_t count = 1;
  for (int i = 0; i < spatial; ++i) {
    const std::int64_t of_axis = k_.options.stride.value[static_cast<std::size_t>(i)];
    if (of_axis > kMost / count) return;
    count *= of_axis;
  }
  if (count == 1) return;
  std::vector<std::int64_t> stride(static_cast<std::size_t>(spatial)), before = stride;
  for (std::size_t i = 0; i < stride.size(); ++i) {
    stride[i] = k_.options.stride.value[i];
    before[i] = std::get<Sides>(k_.options.padding.value)[i].first;
  }
  for (std::int64_t phase = 0; phase < count; ++phase) {
    std::vector<std::int64_t> at(stride.size());
    std::int64_t rest = phase;
    for (std::size_t i = stride.size(); i-- > 0; rest /= stride[i]) at[i] = rest % stride[i];
    const auto in = [at, stride, before](const std::vector<std::int64_t>& place) {
      for (std::size_t i = 0; i < at.size(); ++i) {
        const std::int64_t shifted = place[i + 1] + before[i];
        if ((shifted % stride[i] + stride[i]) % stride[i] != at[i]) return false;
      }
      return true;
    };
    const std::string name = fmt::format("stride phase ({})", fmt::join(at, ","));
    within(name + " left out", in, zero());
    for (int i = 0; i < spatial; ++i)
      for (const int by : {1, -1}) {
        if (stride[static_cast<std::size_t>(i)] == 1) continue;
        within(
            fmt::format("{} read from its neighbour's place ({} {:+})", name, axis_name(i, spatial).line, by),
            in, [k = k_, i, by] {
              Kernel other = k;
              shift(other, i, by);
              return reference_of(other);
            });
      }
  }
}

/// The channels after the last whole tile, of the result or of what is summed up.
void Catalogue::tails() {
  const std::int64_t outputs = k_.out[-1];
  const int last = k_.out.rank() - 1;
  for (const std::int64_t t : tail_sizes(outputs)) {
    const auto in = [=](const std::vector<std::int64_t>& place) {
      return place[static_cast<std::size_t>(last)] >= outputs - t;
    };
    within(fmt::format("tail of {} output channel{} left out", t, t == 1 ? "" : "s"), in, zero());
  }
  if (k_.form == Form::backward_filter) return;
  const std::int64_t channels = k_.a.shape(-1);
  if (k_.options.groups > 1) return;
  for (const std::int64_t t : tail_sizes(channels))
    changed(fmt::format("tail of {} input channel{} left out of the sum", t, t == 1 ? "" : "s"),
            [=](Kernel& k) { k.a = kept(k.a, k.a.rank() - 1, 0, channels - t); });
}
std::set<std::int64_t> Catalogue::tail_sizes(std::int64_t extent) {
  std::set<std::int64_t> sizes;
  for (const std::int64_t tile : {2, 4, 8, 16, 32, 64, 128})
    if (extent % tile != 0 && extent > 1) sizes.insert(extent % tile);
  if (extent > 1) sizes.insert(1);
  sizes.erase(extent);
  return sizes;
}

void Catalogue::samples() {
  const std::int64_t n = k_.a.shape(0);
  if (n < 2) return;
  for (const std::int64_t t : tail_sizes(n)) {
    const std::string name =
        fmt::format("last {} left out", t == 1 ? "sample" : fmt::format("{} samples", t));
    if (k_.form == Form::backward_filter || k_.form == Form::sum)
      changed(name, [=](Kernel& k) { k.a = kept(k.a, 0, 0, n - t); });
  }
}

/// A bound of a loop off by one: the first or last line of an operand is not read, or not summed up.
void Catalogue::lines() {
  const auto add = [&](Tensor Kernel::*operand, const char* what) {
    const Shape& shape = (k_.*operand).shape();
    for (int i = 0; i < k_.spatial(); ++i) {
      const std::int64_t extent = shape[i + 1];
      if (extent < 2) continue;
      const AxisName n = axis_name(i, k_.spatial());
      changed(fmt::format("{} {} of {} not read", n.first, n.line, what),
              [=](Kernel& k) { k.*operand = kept(k.*operand, i + 1, 1, extent); });
      changed(fmt::format("{} {} of {} not read", n.last, n.line, what),
              [=](Kernel& k) { k.*operand = kept(k.*operand, i + 1, 0, extent - 1); });
    }
  };
  const bool of_x = (k_.form == Form::forward) != k_.transposed || k_.form == Form::backward_filter;
  add(&Kernel::a, of_x ? "x" : "dy");
  if (k_.form == Form::backward_filter) add(&Kernel::b, "dy");
}

/// Taps that the outputs along a border do not add.
void Catalogue::taps() {
  if (k_.form == Form::backward_filter || k_.relu) return;
  const int spatial = k_.spatial();
  const Shape w = filter_shape();
  std::int64_t count = 1;
  for (int i = 0; i < spatial; ++i) count *= w[i];
  if (count == 1 || count > 128) return;
  struct Part {
    std::string name;
    std::vector<std::pair<std::int64_t, std::int64_t>> range;
  };
  std::vector<Part> parts;
  std::vector<std::pair<std::int64_t, std::int64_t>> whole;
  for (int i = 0; i < spatial; ++i) whole.emplace_back(0, w[i]);
  for (std::int64_t tap = 0; tap < count; ++tap) {
    Part part{"", whole};
    std::vector<std::int64_t> at(static_cast<std::size_t>(spatial));
    std::int64_t rest = tap;
    for (int i = spatial - 1; i >= 0; rest /= w[i], --i) {
      at[static_cast<std::size_t>(i)] = rest % w[i];
      part.range[static_cast<std::size_t>(i)] = {rest % w[i], rest % w[i] + 1};
    }
    part.name = fmt::format("tap ({})", fmt::join(at, ","));
    parts.push_back(part);
  }
  for (int i = 0; i < spatial && spatial > 1; ++i)
    for (std::int64_t line = 0; line < w[i] && w[i] > 1; ++line) {
      Part part{fmt::format("tap {} {}", axis_name(i, spatial).line, line), whole};
      part.range[static_cast<std::size_t>(i)] = {line, line + 1};
      parts.push_back(part);
    }
  for (const Part& part : parts) {
    // One evaluation serves all four borders.
    const auto without = [k = k_, &base = base_, range = part.range, memory = std::make_shared<Reference>()] {
      if (!memory->value.empty()) return *memory;
      Kernel tap = k;
      tap.bias = Tensor();
      for (std::size_t i = 0; i < range.size(); ++i) {
        const auto [from, to] = range[i];
        auto& side = sides_of(tap)[i];
        side.first -= from * k.options.dilation.value[i];
        side.second -= (k.b.shape(static_cast<int>(i)) - to) * k.options.dilation.value[i];
        tap.b = cut(tap.b, static_cast<int>(i), from, to);
      }
      const std::vector<double> missing = values_of(evaluate(tap));
      *memory = base;
      for (std::size_t i = 0; i < missing.size(); ++i) memory->value[i] -= missing[i];
      return *memory;
    };
    for (int i = 0; i < spatial; ++i)
      for (const bool first : {true, false}) {
        const std::int64_t edge = first ? 0 : k_.out[i + 1] - 1;
        const AxisName n = axis_name(i, spatial);
        within(
            fmt::format("{} missing at the {} border", part.name, first ? n.first : n.last),
            [=](const std::vector<std::int64_t>& place) {
              return place[static_cast<std::size_t>(i) + 1] == edge;
            },
            without);
      }
  }
}

}  // namespace isobit::compare
