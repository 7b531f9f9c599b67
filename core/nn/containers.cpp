// Layers made of layers: Sequential, Residual and Concat.
#include <isobit/nn_layers.h>

#include "core/nn/builder.h"
#include "core/nn/relu_module.h"

namespace isobit::nn {
namespace {

class SequentialModule final : public Module {
 public:
  std::string kind() const override { return "Sequential"; }
  std::optional<OptionList> option_list() const override { return OptionList(); }
  void add(std::string name, Layer layer) { add_child(std::move(name), std::move(layer)); }
  Shape walk(const std::string& path, const Shape& in, const Visitor& visit) override {
    Shape shape = in;
    for (const Child& child : children())
      shape = child.layer.module().walk(join(path, child.name), shape, visit);
    Plan own;
    if (children().empty()) own.output = in;  // the identity has a line of its own in a table
    visit(*this, path, in, own);
    return shape;
  }
  Tensor forward(const Tensor& x) override {
    Tensor y = x;
    for (std::size_t i = 0; i < children().size(); ++i) {
      const Layer& layer = children()[i].layer;
      std::size_t next = i + 1;
      Behind behind;
      if (next < children().size() && layer.module().takes(behind)) {
        if ((behind.norm = children()[next].layer.module().given_norm())) ++next;
        if ((behind.relu = relu_at(next))) ++next;
      }
      y = next > i + 1 ? Builder::run_with(layer, y, behind) : layer(y);
      i = next - 1;
    }
    return y;
  }

 private:
  bool relu_at(std::size_t i) const {
    return i < children().size() && dynamic_cast<const ReluModule*>(&children()[i].layer.module()) != nullptr;
  }
};

class ResidualModule final : public Module {
 public:
  ResidualModule(Layer body, Layer projection) {
    add_child("body", std::move(body));
    if (projection) add_child("projection", std::move(projection));
  }
  std::string kind() const override { return "Residual"; }
  std::optional<OptionList> option_list() const override { return OptionList(); }
  Shape walk(const std::string& path, const Shape& in, const Visitor& visit) override {
    const Shape out = children()[0].layer.module().walk(join(path, "body"), in, visit);
    const Shape shortcut =
        projects() ? children()[1].layer.module().walk(join(path, "projection"), in, visit) : in;
    if (out != shortcut)
      fail("Residual", "the body turns {} into {}, the {} into {}: {}", in, out,
           projects() ? "projection" : "identity", shortcut,
           projects() ? "both must agree"
                      : "give a projection, e.g. a 1x1 Conv2D of the body's filters and stride");
    visit(*this, path, in, Plan());
    return out;
  }
  Tensor forward(const Tensor& x) override {
    return add(children()[0].layer(x), projects() ? children()[1].layer(x) : x);
  }

 private:
  bool projects() const { return children().size() > 1; }
};

class ConcatModule final : public Module {
 public:
  std::string kind() const override { return "Concat"; }
  std::optional<OptionList> option_list() const override { return OptionList(); }
  void add(std::string name, Layer branch) { add_child(std::move(name), std::move(branch)); }
  Shape walk(const std::string& path, const Shape& in, const Visitor& visit) override {
    if (children().empty()) fail("Concat", "\"{}\" has no branches, expected at least one", path);
    Shape out;
    std::int64_t channels = 0;
    for (const Child& branch : children()) {
      const Shape own = branch.layer.module().walk(join(path, branch.name), in, visit);
      if (&branch == &children().front()) out = own;
      const bool fits = own.rank() >= 1 && own.rank() == out.rank() && own.with(-1, 0) == out.with(-1, 0);
      if (!fits || __builtin_add_overflow(channels, own[-1], &channels))
        fail("Concat",
             "branch \"{}\" turns {} into {}, branch \"{}\" into {}: all extents but the channels must agree",
             children().front().name, in, out, branch.name, own);
    }
    visit(*this, path, in, Plan());
    return out.with(-1, channels);
  }
  Tensor forward(const Tensor& x) override {
    std::vector<Tensor> outputs;
    for (const Child& branch : children()) outputs.push_back(branch.layer(x));
    return concat(outputs, -1);
  }
};

}  // namespace

Sequential::Sequential() : Layer(std::make_shared<SequentialModule>()) {}
Sequential::Sequential(std::initializer_list<Layer> layers) : Sequential() {
  for (const Layer& layer : layers) add(layer);
}
Sequential::Sequential(const std::vector<Layer>& layers) : Sequential() {
  for (const Layer& layer : layers) add(layer);
}
Sequential& Sequential::add(Layer layer) {
  return add(std::to_string(size()), std::move(layer));
}
Sequential& Sequential::add(std::string name, Layer layer) {
  if (built())
    fail("Sequential", "cannot add \"{}\" to a network that is built: make a new Sequential of its layers",
         name);
  static_cast<SequentialModule&>(module()).add(std::move(name), std::move(layer));
  return *this;
}
std::size_t Sequential::size() const {
  return module().children().size();
}
Layer Sequential::operator[](std::size_t i) const {
  if (i >= size()) fail("Sequential", "layer {} of a network of {}", i, size());
  return module().children()[i].layer;
}

Concat::Concat() : Layer(std::make_shared<ConcatModule>()) {}
Concat::Concat(std::initializer_list<Layer> branches) : Concat() {
  for (const Layer& branch : branches) add(branch);
}
Concat::Concat(const std::vector<Layer>& branches) : Concat() {
  for (const Layer& branch : branches) add(branch);
}
Concat& Concat::add(Layer branch) {
  return add(std::to_string(module().children().size()), std::move(branch));
}
Concat& Concat::add(std::string name, Layer branch) {
  if (built()) fail("Concat", "cannot add \"{}\" to a network that is built: make a new Concat", name);
  static_cast<ConcatModule&>(module()).add(std::move(name), std::move(branch));
  return *this;
}

Residual::Residual(Layer body, Layer projection)
    : Layer(make<ResidualModule>(std::move(body), std::move(projection))) {}

}  // namespace isobit::nn
