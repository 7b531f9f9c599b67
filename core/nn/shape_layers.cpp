// Layers without parameters: Input, Flatten, Dropout, Lambda, and the activations.
#include <isobit/autograd.h>
#include <isobit/nn_layers.h>

#include "core/graph_recording.h"
#include "core/nn/layer_fields.h"
#include "core/nn/relu_module.h"

namespace isobit::nn {
namespace {

using Function = std::function<Tensor(const Tensor&)>;

// An element-wise function: keeps the shape.
class ActivationModule final : public Module {
 public:
  ActivationModule(std::string name, OptionList options, Function function)
      : name_(std::move(name)), options_(std::move(options)), function_(std::move(function)) {}
  std::string kind() const override { return name_; }
  std::optional<OptionList> option_list() const override { return options_; }
  Tensor forward(const Tensor& x) override { return function_(x); }

 private:
  std::string name_;
  OptionList options_;
  Function function_;
};

class LambdaModule final : public Module {
 public:
  LambdaModule(std::string name, Function function) : name_(std::move(name)), function_(std::move(function)) {
    if (!function_) fail("Lambda", "\"{}\" has no function", name_);
  }
  std::string kind() const override { return name_; }
  Plan plan(const Shape& in) const override {
    NoGrad no_grad;
    const NetworkState here = state() ? *state() : NetworkState();
    const Tensor y = function_(zeros(in.inserted(0, 1), {here.dtype, here.device}));
    if (!y.defined() || y.rank() < 1 || y.shape(0) != 1)
      fail("Lambda", "\"{}\" turned one sample {} into {}: the first axis must stay the batch", name_, in,
           y.defined() ? fmt::format("{}", y.shape()) : "an undefined tensor");
    Plan plan;
    plan.output = y.shape().sub(1, y.rank());
    return plan;
  }
  Tensor forward(const Tensor& x) override { return function_(x); }

 private:
  std::string name_;
  Function function_;
};

class InputModule final : public Module {
 public:
  InputModule(const Shape& sample, InputOptions options) : sample_(sample), options_(options) {
    if (options.mean - options.mean != 0 || options.deviation - options.deviation != 0 ||
        options.deviation == 0)
      fail("Input", "mean {} and deviation {} must be finite, the deviation not 0", options.mean,
           options.deviation);
  }
  std::string kind() const override { return "Input"; }
  std::optional<OptionList> option_list() const override {
    return option_list_of("sample", sample_, options_);
  }
  Plan plan(const Shape& in) const override {
    if (in != sample_) fail("Input", "the network takes samples of {}, it is built for {}", sample_, in);
    return Module::plan(in);
  }
  Tensor forward(const Tensor& x) override {
    if (x.rank() != sample_.rank() + 1 || x.shape().sub(1, x.rank()) != sample_)
      fail("Input", "the network takes batches of samples {}, got data of shape {}", sample_, x.shape());
    if (x.dtype() != DType::u8 && !is_floating(x.dtype()))
      fail("Input", "pixel values are u8 (0..255) or floating, got {}", x.dtype());
    Tensor y = x.to(state()->dtype);
    if (options_.mean != 0) y = add_scalar(y, -options_.mean);
    if (options_.deviation != 1) y = div_scalar(y, options_.deviation);
    return y;
  }

 private:
  Shape sample_;
  InputOptions options_;
};

class FlattenModule final : public Module {
 public:
  std::string kind() const override { return "Flatten"; }
  std::optional<OptionList> option_list() const override { return OptionList(); }
  Plan plan(const Shape& in) const override {
    Plan plan;
    plan.output = Shape{in.numel()};
    return plan;
  }
  Tensor forward(const Tensor& x) override { return flatten(x); }
};

class DropoutModule final : public Module {
 public:
  explicit DropoutModule(double p) : p_(p) {
    if (!(p >= 0 && p < 1)) fail("Dropout", "p is {}, expected a probability in [0, 1)", p);
  }
  std::string kind() const override { return "Dropout"; }
  std::optional<OptionList> option_list() const override { return option_list_of("p", p_); }
  std::string describe() const override { return fmt::format("Dropout({})", p_); }
  Tensor forward(const Tensor& x) override {
    if (!training() || p_ == 0) return x;
    const auto key = [state = state(), purpose = join(path(), "dropout")] {
      return random_key(state->seed, purpose, state->step);
    };
    if (GraphRecording* r = GraphRecording::current()) [[unlikely]]
      r->add_key(key(), key);
    return dropout(x, p_, key());
  }

 private:
  double p_;
};

Layer activation(std::string name, Function function, OptionList options = {}) {
  return make<ActivationModule>(std::move(name), std::move(options), std::move(function));
}

}  // namespace

Input::Input(const Shape& sample, InputOptions options) : Layer(make<InputModule>(sample, options)) {}
Dropout::Dropout(double p) : Layer(make<DropoutModule>(p)) {}
Flatten::Flatten() : Layer(make<FlattenModule>()) {}
Lambda::Lambda(std::string name, std::function<Tensor(const Tensor&)> function)
    : Layer(make<LambdaModule>(std::move(name), std::move(function))) {}

ReLU::ReLU() : Layer(make<ReluModule>()) {}
LeakyReLU::LeakyReLU(double slope)
    : Layer(activation(
          "LeakyReLU", [slope](const Tensor& x) { return leaky_relu(x, slope); },
          option_list_of("slope", slope))) {}
ELU::ELU(double alpha)
    : Layer(activation(
          "ELU", [alpha](const Tensor& x) { return elu(x, alpha); }, option_list_of("alpha", alpha))) {}
GELU::GELU() : Layer(activation("GELU", [](const Tensor& x) { return gelu(x); })) {}
SiLU::SiLU() : Layer(activation("SiLU", [](const Tensor& x) { return silu(x); })) {}
Sigmoid::Sigmoid() : Layer(activation("Sigmoid", [](const Tensor& x) { return sigmoid(x); })) {}
Tanh::Tanh() : Layer(activation("Tanh", [](const Tensor& x) { return isobit::tanh(x); })) {}
Softplus::Softplus() : Layer(activation("Softplus", [](const Tensor& x) { return softplus(x); })) {}
Softmax::Softmax() : Layer(activation("Softmax", [](const Tensor& x) { return softmax(x); })) {}
LogSoftmax::LogSoftmax() : Layer(activation("LogSoftmax", [](const Tensor& x) { return log_softmax(x); })) {}

}  // namespace isobit::nn
