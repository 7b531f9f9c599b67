// Descriptions of networks: taken from one, made into one.
#include <isobit/nn_description.h>

#include <fmt/ranges.h>
#include <isobit/nn_layers.h>

#include <unordered_map>

#include "core/nn/layer_fields.h"

namespace isobit::nn {
namespace {

constexpr int kMaxDepth = 64;
constexpr std::int64_t kMaxLayers = 10'000;
constexpr std::size_t kMaxName = 200;
constexpr const char* kShared = "Shared";

std::string at(const std::string& path) {
  return path.empty() ? "of the network itself" : "at \"" + shown(path) + "\"";
}

std::string join(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "." + name;
}

// ---- from a network

using Paths = std::unordered_map<const Module*, std::string>;

Description describe(const Layer& layer, const std::string& path, Paths& seen) {
  const Module& m = layer.module();
  if (const auto [first, added] = seen.emplace(&m, path); !added) return {kShared, {{"path", first->second}}};
  std::optional<OptionList> options = m.option_list();
  if (!options)
    fail("nn",
         "the layer {} ({}) cannot say what it is made of: give its module an option_list() and "
         "from_description a maker of its kind",
         at(path), m.kind());
  Description d{m.kind(), std::move(*options)};
  for (const Child& child : m.children()) {
    d.children.push_back(describe(child.layer, join(path, child.name), seen));
    d.children.back().name = child.name;
  }
  return d;
}

// ---- to a network

using Children = std::vector<Child>;
using ReadLayer = Layer (*)(OptionReader& read, const Children& children);

template <class Options>
Options read_fields(OptionReader& read) {
  Options options;
  fields(read, options);
  return options;
}

template <class Conv, class Options>
Layer filters(OptionReader& read, const Children&) {
  const auto count = read.required<std::int64_t>("filters");
  const auto kernel = read.required<PerAxis>("kernel", 1);
  return Conv(count, kernel, read_fields<Options>(read));
}

template <class Pool>
Layer pool(OptionReader& read, const Children&) {
  const auto window = read.required<PerAxis>("window", 1);
  return Pool(window, read_fields<PoolOptions>(read));
}

template <class Pool>
Layer adaptive(OptionReader& read, const Children&) {
  return Pool(read.required<PerAxis>("output", 1));
}

template <class L>
Layer plain(OptionReader&, const Children&) {
  return L();
}

template <class Norm, class Options>
Layer norm(OptionReader& read, const Children&) {
  return Norm(read_fields<Options>(read));
}

double number(OptionReader& read, const char* name, double value) {
  read(name, value);
  return value;
}

Layer read_sequential(OptionReader&, const Children& children) {
  Sequential net;
  for (const Child& child : children) net.add(child.name, child.layer);
  return net;
}

Layer read_residual(OptionReader&, const Children& children) {
  const bool legal = !children.empty() && children.size() <= 2 && children[0].name == "body" &&
                     (children.size() == 1 || children[1].name == "projection");
  if (!legal) {
    std::vector<std::string> names;
    for (const Child& child : children) names.push_back(child.name);
    fail("Residual", "the layers are [{}], expected body, or body and projection", fmt::join(names, ", "));
  }
  return Residual(children[0].layer, children.size() == 2 ? children[1].layer : Layer());
}

Layer read_concat(OptionReader&, const Children& children) {
  Concat net;
  for (const Child& child : children) net.add(child.name, child.layer);
  return net;
}

Layer read_upsample(OptionReader& read, const Children&) {
  const auto factor = read.required<PerAxis>("factor", 1);
  Interpolation mode = Interpolation::nearest;
  bool align_corners = false;
  read("mode", mode);
  read("align_corners", align_corners);
  return Upsample(factor, mode, align_corners);
}

// Containers alone have children.
struct Kind {
  const char* name;
  ReadLayer read;
  bool container = false;
};
constexpr Kind kKinds[] = {
    {"Sequential", read_sequential, true},
    {"Residual", read_residual, true},
    {"Concat", read_concat, true},
    {"Input",
     [](OptionReader& read, const Children&) -> Layer {
       const auto sample = read.required<Shape>("sample");
       return Input(sample, read_fields<InputOptions>(read));
     }},
    {"Conv1D", filters<Conv1D, ConvLayerOptions>},
    {"Conv2D", filters<Conv2D, ConvLayerOptions>},
    {"Conv3D", filters<Conv3D, ConvLayerOptions>},
    {"ConvTranspose1D", filters<ConvTranspose1D, ConvTransposeLayerOptions>},
    {"ConvTranspose2D", filters<ConvTranspose2D, ConvTransposeLayerOptions>},
    {"ConvTranspose3D", filters<ConvTranspose3D, ConvTransposeLayerOptions>},
    {"Linear",
     [](OptionReader& read, const Children&) -> Layer {
       const auto outputs = read.required<std::int64_t>("outputs");
       return Linear(outputs, read_fields<LinearOptions>(read));
     }},
    {"MaxPool", pool<MaxPool>},
    {"AvgPool", pool<AvgPool>},
    {"MaxPool2D", pool<MaxPool2D>},
    {"AvgPool2D", pool<AvgPool2D>},
    {"LpPool",
     [](OptionReader& read, const Children&) -> Layer {
       const auto window = read.required<PerAxis>("window", 1);
       const auto p = read.required<double>("p");
       return LpPool(window, p, read_fields<PoolOptions>(read));
     }},
    {"AdaptiveMaxPool", adaptive<AdaptiveMaxPool>},
    {"AdaptiveAvgPool", adaptive<AdaptiveAvgPool>},
    {"GlobalAvgPool", plain<GlobalAvgPool>},
    {"GlobalMaxPool", plain<GlobalMaxPool>},
    {"GlobalLpPool",
     [](OptionReader& read, const Children&) -> Layer { return GlobalLpPool(number(read, "p", 2)); }},
    {"Upsample", read_upsample},
    {"Pad",
     [](OptionReader& read, const Children&) -> Layer {
       const auto widths = read.required<Padding>("widths");
       return Pad(widths, read_fields<PadOptions>(read));
     }},
    {"DepthToSpace",
     [](OptionReader& read, const Children&) -> Layer {
       return DepthToSpace(read.required<PerAxis>("block", 1));
     }},
    {"PixelShuffle",
     [](OptionReader& read, const Children&) -> Layer {
       return PixelShuffle(read.required<PerAxis>("block", 1));
     }},
    {"BatchNorm", norm<BatchNorm, BatchNormOptions>},
    {"LayerNorm", norm<LayerNorm, LayerNormOptions>},
    {"GroupNorm",
     [](OptionReader& read, const Children&) -> Layer {
       const auto groups = read.required<std::int64_t>("groups");
       return GroupNorm(groups, read_fields<LayerNormOptions>(read));
     }},
    {"InstanceNorm", norm<InstanceNorm, LayerNormOptions>},
    {"LocalResponseNorm",
     [](OptionReader& read, const Children&) -> Layer {
       const auto size = read.required<std::int64_t>("size");
       return LocalResponseNorm(size, read_fields<LocalResponseOptions>(read));
     }},
    {"ReLU", plain<ReLU>},
    {"LeakyReLU",
     [](OptionReader& read, const Children&) -> Layer { return LeakyReLU(number(read, "slope", 0.01)); }},
    {"ELU", [](OptionReader& read, const Children&) -> Layer { return ELU(number(read, "alpha", 1)); }},
    {"GELU", plain<GELU>},
    {"SiLU", plain<SiLU>},
    {"Sigmoid", plain<Sigmoid>},
    {"Tanh", plain<Tanh>},
    {"Softplus", plain<Softplus>},
    {"Softmax", plain<Softmax>},
    {"LogSoftmax", plain<LogSoftmax>},
    {"Dropout",
     [](OptionReader& read, const Children&) -> Layer { return Dropout(read.required<double>("p")); }},
    {"Flatten", plain<Flatten>},
};

class Reader {
 public:
  explicit Reader(const std::map<std::string, Maker>& own) : own_(own) {}

  Layer read(const Description& d, const std::string& path, int depth) {
    if (depth > kMaxDepth) fail("nn", "the layer {} lies more than {} containers deep", at(path), kMaxDepth);
    count(1);
    const std::string where = fmt::format("the {} {}", shown(d.kind), at(path));
    OptionReader options(where, d.options);
    if (d.kind == kShared) return shared(d, options, where);
    Children children;
    const std::int64_t before = layers_ - 1;
    for (const Description& child : d.children) {
      if (child.name.size() > kMaxName)
        fail("nn", "{}: the name \"{}\" is longer than {} bytes", where, shown(child.name), kMaxName);
      children.push_back({child.name, read(child, join(path, child.name), depth + 1)});
    }
    try {
      Layer layer = make(d, options, children, where);
      made_.emplace(path, Made{layer, layers_ - before});
      return layer;
    } catch (const OutOfMemory&) {
      throw;
    } catch (const Error& error) {  // of a constructor: it does not know where the layer lies
      if (error.op() == "nn") throw;
      const std::string message = error.what();
      throw Error(error.op(),
                  fmt::format("{} [the layer {}]", message.substr(error.op().size() + 2), at(path)));
    }
  }

 private:
  struct Made {
    Layer layer;
    std::int64_t layers;
  };

  /// Of a shared layer all that is below counts at each place: a pass over the network visits it there.
  void count(std::int64_t layers) {
    layers_ += layers;
    if (layers_ > kMaxLayers) fail("nn", "the description has more than {} layers", kMaxLayers);
  }

  Layer shared(const Description& d, OptionReader& options, const std::string& where) {
    const auto first = options.required<std::string>("path");
    options.finish();
    if (!d.children.empty()) fail("nn", "{} has {} layers, expected none", where, d.children.size());
    const auto found = made_.find(first);
    if (found == made_.end()) fail("nn", "{}: there is no layer \"{}\" before it", where, shown(first));
    count(found->second.layers);
    return found->second.layer;
  }

  Layer make(const Description& d, OptionReader& options, const Children& children,
             const std::string& where) const {
    if (const auto maker = own_.find(d.kind); maker != own_.end()) return maker->second(d.options, children);
    std::string known;
    for (const Kind& kind : kKinds) {
      known += (known.empty() ? "" : ", ") + std::string(kind.name);
      if (d.kind != kind.name) continue;
      if (!kind.container && !children.empty())
        fail("nn", "{} has {} layers, expected none", where, children.size());
      Layer layer = kind.read(options, children);
      options.finish();
      return layer;
    }
    fail("nn", "{}: there is no such kind; there are {}", where, known);
  }

  const std::map<std::string, Maker>& own_;
  std::map<std::string, Made> made_;
  std::int64_t layers_ = 0;
};

}  // namespace

bool operator==(const Description& a, const Description& b) {
  return a.kind == b.kind && a.name == b.name && a.options == b.options && a.children == b.children;
}

Description describe(const Layer& net) {
  Paths seen;
  return describe(net, "", seen);
}

bool describable(const Layer& net) {
  if (!net.module().option_list()) return false;
  for (const Child& child : net.module().children())
    if (!describable(child.layer)) return false;
  return true;
}

Layer from_description(const Description& description, const std::map<std::string, Maker>& own) {
  return Reader(own).read(description, "", 0);
}

}  // namespace isobit::nn
