// Activations, gradients at the input, ascent.
#include <isobit/autograd.h>
#include <isobit/error.h>
#include <isobit/ops.h>
#include <isobit/visualise.h>

#include <algorithm>
#include <charconv>

#include "core/nn/evaluation_mode.h"

namespace isobit::nn {
namespace {

std::string joined(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "." + name;
}

// relu whose gradient is what is positive of the one from above: a rectifier on the way back.
Tensor relu_of_a_deconvolution(const Tensor& x) {
  Tensor y;
  {
    const NoGrad off;
    y = relu(x);
  }
  return record("deconvolution", {x}, y, {},
                [](const BackwardContext& c) { return std::vector<Tensor>{relu(c.dy())}; });
}

// Goes through a network layer by layer.
class Walk {
 public:
  /// Gets every layer's output; true ends the walk.
  using Visit = std::function<bool(const std::string& path, const Module& module, const Tensor& y)>;
  Walk(Visit visit, bool deconvolution) : visit_(std::move(visit)), deconvolution_(deconvolution) {}

  bool ended() const { return ended_; }
  Tensor run(const Layer& layer, const Tensor& x, const std::string& path) {
    const Module& module = layer.module();
    const std::string kind = module.kind();
    Tensor y;
    if (kind == "Sequential") {
      y = x;
      for (const Child& child : module.children()) {
        y = run(child.layer, y, joined(path, child.name));
        if (ended_) return y;
      }
      if (!module.children().empty()) return y;  // its last layer has been visited
    } else if (kind == "Residual") {
      const Child& body = module.children().at(0);
      y = run(body.layer, x, joined(path, body.name));
      if (ended_) return y;
      Tensor shortcut = x;
      if (module.children().size() > 1) {
        const Child& projection = module.children()[1];
        shortcut = run(projection.layer, x, joined(path, projection.name));
        if (ended_) return shortcut;
      }
      y = add(y, shortcut);
    } else if (kind == "Concat") {
      std::vector<Tensor> parts;
      for (const Child& child : module.children()) {
        parts.push_back(run(child.layer, x, joined(path, child.name)));
        if (ended_) return parts.back();
      }
      y = concat(parts, -1);
    } else {
      y = deconvolution_ && kind == "ReLU" ? relu_of_a_deconvolution(x) : layer(x);
    }
    ended_ = visit_(path, module, y);
    return y;
  }

 private:
  Visit visit_;
  bool deconvolution_, ended_ = false;
};

[[noreturn]] void no_layer(const char* op, const std::string& path, const std::vector<std::string>& paths) {
  fail(op, "there is no layer \"{}\": choose one of {}", path, fmt::join(paths, ", "));
}

// The output of the unit's layer.
Tensor output_of(const char* op, const Layer& net, const Tensor& x, const Unit& unit, bool deconvolution) {
  std::vector<std::string> paths;
  Walk walk(
      [&](const std::string& path, const Module&, const Tensor&) {
        paths.push_back(path);
        return path == unit.layer;
      },
      deconvolution);
  const Tensor y = walk.run(net, x, "");
  if (!walk.ended()) no_layer(op, unit.layer, paths);
  if (y.rank() < 2) fail(op, "layer {} gives {}, expected [n, ..., channels]", unit.layer, y.shape());
  const std::int64_t channels = y.shape(-1);
  if (unit.channel < 0 || unit.channel >= channels)
    fail(op, "channel {} of layer {}, expected 0 to below {}", unit.channel, unit.layer, channels);
  return y;
}

// The channel as [n, positions].
Tensor map_of(const Tensor& y, std::int64_t channel) {
  const std::int64_t n = y.shape(0), channels = y.shape(-1);
  const std::int64_t positions = y.numel() == 0 ? 0 : y.numel() / (n * channels);
  const Tensor by_channel = permute(y.reshape({n, positions, channels}), {2, 0, 1});
  return by_channel.slice(channel, channel + 1).reshape({n, positions});
}

// Rows and columns outside of which the gradient of an image is 0.
void bound(InputView& view) {
  const Shape& shape = view.gradient.shape();
  if (shape.rank() != 4) return;
  const std::vector<double> g = view.gradient.to(DType::f64).to_vector<double>();
  view.top = shape[1];
  view.left = shape[2];
  for (std::int64_t i = 0; i < shape.numel(); ++i) {
    if (g[static_cast<std::size_t>(i)] == 0) continue;
    const std::int64_t h = i / shape[3] / shape[2], w = i / shape[3] % shape[2];
    view.top = std::min(view.top, h);
    view.left = std::min(view.left, w);
    view.bottom = std::max(view.bottom, h + 1);
    view.right = std::max(view.right, w + 1);
  }
  if (view.bottom == 0) view.top = view.left = 0;
}

InputView look(const char* op, const Layer& net, const Tensor& x, const Unit& unit, bool deconvolution) {
  if (x.rank() < 2 || x.shape(0) != 1 || !is_floating(x.dtype()))
    fail(op, "x is {} {}, expected one floating sample [1, ...]", x.dtype(), x.shape());
  const EvaluationMode evaluation(net);
  const EnableGrad on;
  Tensor leaf = x.detach().clone();
  leaf.set_requires_grad();
  const Tensor map = map_of(output_of(op, net, leaf, unit, deconvolution), unit.channel).reshape({-1});
  InputView view;
  {
    const NoGrad off;
    view.position = static_cast<std::int64_t>(argmax(map).item());
  }
  const Tensor value = map.slice(view.position, view.position + 1);
  view.value = value.item();
  view.gradient = grad(value, {leaf}, {}, {.allow_unused = true})[0];
  if (!view.gradient.defined()) view.gradient = zeros_like(leaf).detach();
  bound(view);
  return view;
}

// Every channel of an image by itself with 1 2 1 by 1 2 1 sixteenths, the edges repeated.
Tensor blurred(const Tensor& x) {
  const std::int64_t c = x.shape(3);
  const Tensor line = from_vector(std::vector<float>{1, 2, 1}, {3}, x.device()).to(x.dtype());
  const Tensor w = line.reshape({3, 1, 1, 1}) * line.reshape({1, 3, 1, 1}) / 16;
  ConvOptions options;
  options.padding = 1;
  options.mode = PadMode::replicate;
  options.groups = c;
  return conv(x, broadcast_to(w, {3, 3, 1, c}), {}, options);
}

}  // namespace

std::vector<Activation> activations(const Layer& net, const Tensor& x, const std::string& until) {
  const EvaluationMode evaluation(net);
  const NoGrad off;
  std::vector<Activation> found;
  Walk walk(
      [&](const std::string& path, const Module& module, const Tensor& y) {
        found.push_back({path, module.kind(), y});
        return !until.empty() && path == until;
      },
      false);
  walk.run(net, x, "");
  if (!until.empty() && !walk.ended()) {
    std::vector<std::string> paths;
    for (const Activation& a : found) paths.push_back(a.path);
    no_layer("activations", until, paths);
  }
  return found;
}

Unit parse_unit(const std::string& text) {
  Unit unit;
  const std::size_t colon = text.rfind(':');
  if (colon != std::string::npos) {
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, unit.channel);
    unit.layer = text.substr(0, colon);
    if (error == std::errc() && stop == end && unit.channel >= 0) return unit;
  }
  fail("visualise", "\"{}\" names no channel, expected layer:channel, e.g. 0:7", text);
}

std::vector<double> excitement(const Layer& net, const Tensor& x, const Unit& unit) {
  const EvaluationMode evaluation(net);
  const NoGrad off;
  const Tensor map = map_of(output_of("excitement", net, x, unit, false), unit.channel);
  return max(map, {1}).to(DType::f64).to_vector<double>();
}

InputView saliency(const Layer& net, const Tensor& x, const Unit& unit) {
  return look("saliency", net, x, unit, false);
}

InputView deconvolution(const Layer& net, const Tensor& x, const Unit& unit) {
  return look("deconvolution", net, x, unit, true);
}

Ascent exciting_input(const Layer& net, const Unit& unit, const AscentOptions& o) {
  const char* op = "exciting_input";
  if (o.steps < 0 || !(o.rate > 0) || !(o.decay >= 0 && o.decay < 1) || o.blur < 0 ||
      !(o.noise >= 0 && o.noise <= 1) || !(o.low < o.high))
    fail(op,
         "steps {}, rate {}, decay {}, blur {}, noise {}, low {}, high {}: expected steps and blur at least "
         "0, "
         "rate above 0, decay from 0 to below 1, noise from 0 to 1, low below high",
         o.steps, o.rate, o.decay, o.blur, o.noise, o.low, o.high);
  const DType dtype = net.state().dtype;
  if (dtype != DType::f32 && dtype != DType::f64) fail(op, "the network is {}, expected f32 or f64", dtype);
  const EvaluationMode evaluation(net);
  const Shape shape = net.input_shape().inserted(0, 1);
  const double noise = (o.high - o.low) * o.noise, middle = std::clamp(0.0, o.low, o.high);
  const TensorOptions where{dtype, net.state().device};
  Tensor x = random_uniform(shape, random_key(o.seed, "ascent"), std::max(o.low, middle - noise),
                            std::min(o.high, middle + noise), where);
  const Tensor low = full({1}, o.low, where), high = full({1}, o.high, where);
  // The value in the middle of the map, as a tensor of one element.
  const auto value_at = [&](const Tensor& at) {
    const Tensor y = output_of(op, net, at, unit, false);
    std::int64_t middle_position = 0;
    for (int axis = 1; axis < y.rank() - 1; ++axis)
      middle_position = middle_position * y.shape(axis) + y.shape(axis) / 2;
    return map_of(y, unit.channel).reshape({-1}).slice(middle_position, middle_position + 1);
  };
  // The way up; undefined where there is none.
  const auto gradient_at = [&](const Tensor& at, std::int64_t step) {
    const EnableGrad on;
    Tensor leaf = at.clone();
    leaf.set_requires_grad();
    const Tensor value = value_at(leaf);
    if (o.progress) o.progress(step, value.item());
    return grad(value, {leaf}, {}, {.allow_unused = true})[0];
  };
  const NoGrad off;
  for (std::int64_t step = 0; step < o.steps; ++step) {
    if (o.blur > 0 && step > 0 && step % o.blur == 0 && shape.rank() == 4) x = blurred(x);
    const Tensor g = gradient_at(x, step);
    if (g.defined()) x = x + g / (sqrt(mean(square(g))) + 1e-12) * o.rate;
    x = maximum(minimum(x * (1 - o.decay), high), low);
  }
  Ascent result{x.detach(), 0};
  result.value = value_at(result.x).item();
  return result;
}

}  // namespace isobit::nn
