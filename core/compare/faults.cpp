// Faults that kernels of convolutions are known for, as changed problems: the result that the fault gives is
// computed in f64 with a bound of its own, so that a result can be held against it like against the right
// one.
#include "core/compare/faults.h"

#include <array>

namespace isobit::compare {
namespace {

/// Element c of the last axis is element order[c] of t's.
Tensor reordered(const Tensor& t, const std::vector<std::int64_t>& order) {
  const std::vector<double> from = values_of(t);
  std::vector<double> to(from.size());
  for (std::size_t i = 0; i < to.size(); ++i)
    to[i] = from[i - i % order.size() + static_cast<std::size_t>(order[i % order.size()])];
  return from_vector(to, t.shape());
}

}  // namespace

AxisName axis_name(int i, int spatial) {
  constexpr std::array<AxisName, 3> kNames{
      {{"front", "back", "plane"}, {"top", "bottom", "row"}, {"left", "right", "column"}}};
  const auto missing = static_cast<std::size_t>(3 - spatial);
  return kNames[missing + static_cast<std::size_t>(i)];
}

std::vector<Fault> Catalogue::all() {
  if (k_.form == Form::sum) {
    samples();
    return std::move(faults_);
  }
  flips();
  dilation();
  shifts();
  groups();
  modes();
  bias();
  phases();
  tails();
  samples();
  lines();
  taps();
  return std::move(faults_);
}

void Catalogue::changed(std::string name, std::function<void(Kernel&)> change) {
  faults_.push_back({std::move(name), [k = k_, change = std::move(change)] {
                       Kernel other = k;
                       change(other);
                       return reference_of(other);
                     }});
}
void Catalogue::within(std::string name, std::function<bool(const std::vector<std::int64_t>&)> in,
                       std::function<Reference()> other) {
  faults_.push_back(
      {std::move(name), [out = k_.out, &base = base_, in = std::move(in), other = std::move(other)] {
         Reference r = base;
         const Reference wrong = other();
         std::vector<std::int64_t> place(static_cast<std::size_t>(out.rank()));
         for (std::size_t i = 0; i < r.value.size(); ++i) {
           auto rest = static_cast<std::int64_t>(i);
           for (int axis = out.rank() - 1; axis >= 0; --axis) {
             place[static_cast<std::size_t>(axis)] = rest % out[axis];
             rest /= out[axis];
           }
           if (!in(place)) continue;
           r.value[i] = wrong.value[i];
           r.magnitude[i] = std::max(r.magnitude[i], wrong.magnitude[i]);
           r.terms[i] = std::max(r.terms[i], wrong.terms[i]);
         }
         return r;
       }});
}
std::function<Reference()> Catalogue::zero() const {
  return [&base = base_] {
    Reference r = base;
    std::fill(r.value.begin(), r.value.end(), 0.0);
    return r;
  };
}
void Catalogue::flips() {
  const Shape& w = k_.form == Form::backward_filter ? k_.out : k_.b.shape();
  std::vector<int> axes;
  for (int i = 0; i < k_.spatial(); ++i)
    if (w[i] > 1) axes.push_back(i);
  if (axes.empty()) return;
  if (k_.form == Form::backward_filter) {
    changed("filter flipped", [](Kernel& k) { k.options.flip = !k.options.flip; });
    return;
  }
  changed("filter flipped", [axes](Kernel& k) { flip_axes(k, axes); });
  for (const int axis : axes)
    if (axes.size() > 1)
      changed(fmt::format("filter flipped along its {}s", axis_name(axis, k_.spatial()).line),
              [axis](Kernel& k) { flip_axes(k, {axis}); });
  if (k_.spatial() == 2 && w[0] == w[1] && w[0] > 1)
    changed("filter's rows and columns exchanged", [](Kernel& k) { k.b = permute(k.b, {1, 0, 2, 3}); });
}

void Catalogue::dilation() {
  for (int i = 0; i < k_.spatial(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (k_.options.dilation.value[at] == 1) continue;
    changed("dilation ignored", [filter = filter_shape()](Kernel& k) {
      for (int a = 0; a < k.spatial(); ++a) {
        auto& d = k.options.dilation.value[static_cast<std::size_t>(a)];
        sides_of(k)[static_cast<std::size_t>(a)].second -= (d - 1) * (filter[a] - 1);
        d = 1;
      }
    });
    changed("dilation ignored, the filter in the middle", [filter = filter_shape()](Kernel& k) {
      for (int a = 0; a < k.spatial(); ++a) {
        auto& d = k.options.dilation.value[static_cast<std::size_t>(a)];
        auto& side = sides_of(k)[static_cast<std::size_t>(a)];
        const std::int64_t less = (d - 1) * (filter[a] - 1);
        side.first -= less / 2;
        side.second -= less - less / 2;
        d = 1;
      }
    });
    return;
  }
}

/// Everything one pixel off: a pad too large or too small before the input.
void Catalogue::shifts() {
  const int spatial = k_.spatial();
  if (filter_shape().sub(0, spatial).numel() == 1 && spatial == 1) return;
  for (int i = 0; i < spatial; ++i)
    for (const int by : {1, -1}) {
      const AxisName n = axis_name(i, spatial);
      const std::string name =
          k_.transposed
              ? fmt::format("transposed convolution off by one pixel towards the {}",
                            by > 0 ? n.first : n.last)
              : fmt::format("padding off by one at the {} (one {})", n.first, by > 0 ? "more" : "less");
      changed(name, [i, by](Kernel& k) { shift(k, i, by); });
    }
  if (spatial < 2) return;
  for (const int by : {1, -1})
    for (const int other : {1, -1}) {
      const std::string name = fmt::format("{} off by one at the {} and the {} ({:+}, {:+})",
                                           k_.transposed ? "transposed convolution" : "padding",
                                           axis_name(spatial - 2, spatial).first,
                                           axis_name(spatial - 1, spatial).first, by, other);
      changed(name, [spatial, by, other](Kernel& k) {
        shift(k, spatial - 2, by);
        shift(k, spatial - 1, other);
      });
    }
}

/// Channels that are read by another group than theirs: the next one, the one before, or every groups-th.
void Catalogue::groups() {
  const std::int64_t groups = k_.options.groups;
  if (groups == 1) return;
  const std::int64_t channels = k_.a.shape(-1), each = channels / groups;
  std::vector<std::int64_t> order(static_cast<std::size_t>(channels));
  const auto add = [&](const char* how, auto&& source) {
    for (std::size_t c = 0; c < order.size(); ++c) order[c] = source(static_cast<std::int64_t>(c));
    changed(fmt::format("groups mixed up: {}", how), [order](Kernel& k) { k.a = reordered(k.a, order); });
  };
  add("each reads the next one's channels", [&](std::int64_t c) { return (c + each) % channels; });
  add("each reads the channels of the one before",
      [&](std::int64_t c) { return (c + channels - each) % channels; });
  add("channels interleaved", [&](std::int64_t c) { return c % each * groups + c / each; });
  add("channels interleaved the other way", [&](std::int64_t c) { return c % groups * each + c / groups; });
  add("all read the first one's channels", [&](std::int64_t c) { return c % each; });
  const std::int64_t filters = k_.form == Form::backward_filter ? k_.b.shape(-1) : 0;
  if (filters == 0) return;
  order.resize(static_cast<std::size_t>(filters));
  for (std::size_t c = 0; c < order.size(); ++c)
    order[c] =
        static_cast<std::int64_t>(c) % groups * (filters / groups) + static_cast<std::int64_t>(c) / groups;
  changed("groups mixed up: filters interleaved", [order](Kernel& k) { k.b = reordered(k.b, order); });
}

void Catalogue::modes() {
  bool other = false;
  for (int i = 0; i < k_.spatial(); ++i)
    other = other || k_.options.mode.value[static_cast<std::size_t>(i)] != PadMode::constant;
  if (other)
    changed("padding read as zeros", [](Kernel& k) { k.options.mode = PadModes(PadMode::constant); });
  if (k_.options.pad_value != 0) changed("padding read as zeros", [](Kernel& k) { k.options.pad_value = 0; });
}

void Catalogue::bias() {
  if (k_.relu) changed("relu left out", [](Kernel& k) { k.relu = false; });
  if (!k_.bias.defined()) return;
  changed("bias left out", [](Kernel& k) { k.bias = Tensor(); });
  changed("bias added twice", [](Kernel& k) { k.bias = mul_scalar(k.bias, 2); });
}

std::vector<Fault> faults_of(const Kernel& k, const Reference& base) {
  return k.form == Form::pool ? pool_faults_of(k, base) : Catalogue(k, base).all();
}

}  // namespace isobit::compare
