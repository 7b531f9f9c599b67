// A layer without a problem: run elsewhere, judged by the yardstick, and made small.
#include <isobit/autograd.h>
#include <isobit/compare_network.h>
#include <isobit/error.h>

#include <algorithm>

#include "core/compare/layer_problem.h"
#include "core/compare/shrink.h"

namespace isobit::compare {
namespace {

/// The layer that is described, for samples like x's, its parameters the first elements of those of `from`;
/// an undefined one where there are fewer.
nn::Layer built(const nn::Description& description, const nn::Layer& from, const Tensor& x, Device device,
                DType dtype) {
  const nn::Layer layer = nn::from_description(description);
  layer.build(x.shape().sub(1, x.rank()), device, {}, dtype);
  nn::StateDict state = layer.state_dict();
  const nn::StateDict all = from.state_dict();
  for (nn::Named& own : state) {
    const auto same = std::find_if(all.begin(), all.end(), [&](const nn::Named& theirs) {
      return short_name(from, theirs.first) == own.first;
    });
    if (same == all.end()) return {};
    const std::optional<Tensor> cut = cut_to(same->second.detach(), own.second.shape());
    if (!cut) return {};
    own.second = cut->to(own.second.dtype());
  }
  layer.load_state_dict(state);
  return layer.eval();
}

/// Numbers of a layer's options: "groups", a window.
std::vector<std::int64_t*> numbers_of(nn::Description& d) {
  std::vector<std::int64_t*> all;
  for (auto& [name, value] : d.options) {
    if (auto* one = std::get_if<std::int64_t>(&value)) all.push_back(one);
    if (auto* many = std::get_if<std::vector<std::int64_t>>(&value))
      for (std::int64_t& each : *many) all.push_back(&each);
  }
  return all;
}

/// What shrinking changes. It keeps what is left of the whole dy: a later step may have use for it.
struct Small {
  nn::Description description;
  LayerCase made;
};

Steps<Small> steps_of_layer(const Small& begin) {
  Steps<Small> all;
  for (int axis = 0; axis < begin.made.x.rank(); ++axis)
    lower<Small>(
        all, 1, [axis](const Small& s) { return s.made.x.shape(axis); },
        [axis](Small& s, std::int64_t n) { s.made.x = first_of(s.made.x, axis, n); });
  nn::Description description = begin.description;
  for (std::size_t i = 0; i < numbers_of(description).size(); ++i)
    for (const std::int64_t least : {0, 1})
      lower<Small>(
          all, least,
          [i](const Small& s) {
            nn::Description copy = s.description;
            return *numbers_of(copy)[i];
          },
          [i](Small& s, std::int64_t v) { *numbers_of(s.description)[i] = v; });
  return all;
}

/// With dy cut to the outputs that there are; nothing where there are more.
std::optional<LayerCase> fitted(const LayerCase& c) {
  LayerCase d = c;
  if (c.tensor == "y") {
    d.dy = Tensor();
    return d;
  }
  const NoGrad off;
  const std::optional<Tensor> dy =
      cut_to(c.dy, c.layer.output_shape(c.layer.input_shape()).inserted(0, c.x.shape(0)));
  if (!dy) return std::nullopt;
  d.dy = *dy;
  return d;
}

std::optional<Small> after(const Small& s, const std::function<bool(Small&)>& step) {
  Small next = s;
  try {
    if (!step(next)) return std::nullopt;
    next.made.layer = built(next.description, s.made.layer, next.made.x, {}, s.made.layer.state().dtype);
    if (!next.made.layer) return std::nullopt;
    if (!fitted(next.made)) return std::nullopt;
    return next;
  } catch (const OutOfMemory&) {
    throw;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

Tensor run(const LayerCase& c, Device device, DType dtype) {
  const nn::Layer layer = built(nn::describe(c.layer), c.layer, c.x, device, dtype);
  const auto there = [&](const Tensor& t) {
    if (!t.defined()) return t;
    return (is_floating(t.dtype()) ? t.to(dtype) : t).to(device);
  };
  for (const auto& [name, tensor] : computed(layer, there(c.x), there(c.tensor == "y" ? Tensor() : c.dy)))
    if (name == c.tensor) return tensor;
  fail("compare", "{} gives no \"{}\"", c.layer.module().describe(), c.tensor);
}

Judgement judge(const LayerCase& c, const Tensor& got) {
  return judge_by_yardstick(run(c), run(c, {}, DType::f64), got);
}

LayerCase shrink(const LayerCase& c, const std::function<bool(const LayerCase&)>& fails) {
  if (!fails(c)) fail("shrink", "{} does not fail", c.to_string());
  const Small begin{nn::describe(c.layer), c};
  const Small least =
      smallest<Small>(begin, steps_of_layer, after, [&](const Small& s) { return fails(*fitted(s.made)); });
  return *fitted(least.made);
}

std::string LayerCase::to_string() const {
  return fmt::format("{} {}, x {}", layer.module().describe(), tensor, x.shape());
}

}  // namespace isobit::compare
