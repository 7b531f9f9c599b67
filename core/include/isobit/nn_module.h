// Modules: what a network is made of, and how its parameters are named, built, saved and restored.
//
// A Module is the body of a layer: it owns parameters, buffers and children and says what forward computes.
// A Layer is a handle to one: copying it shares the module, so the same layer may stand at two places of a
// network (its parameters are then shared, counted once, and named by the first place).
//
//   class Gate : public nn::Module {                          // a user's own module
//    public:
//     Gate() { add_child("value", value_); add_child("gate", gate_); }
//     Tensor forward(const Tensor& x) override { return value_(x) * sigmoid(gate_(x)); }
//    private:
//     nn::Linear value_{32}, gate_{32};
//   };
//   nn::Sequential net{nn::Flatten(), nn::make<Gate>(), nn::Linear(10)};
#pragma once
#include <isobit/nn_description.h>
#include <isobit/nn_init.h>
#include <isobit/ops.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace isobit::nn {

class Module;
struct Behind;
struct Summary;

/// A path, e.g. "0.weight" or "block1.body.3.gamma", and its tensor.
using Named = std::pair<std::string, Tensor>;
/// Parameters and buffers by path, in the order of the network; the type that isobit/io.h reads and writes.
using StateDict = std::vector<Named>;

/// One parameter or buffer that a module asks for when it learns its input shape.
struct ParameterSpec {
  std::string name;  ///< within the module: "weight"
  Shape shape;
  Init init;
  Fans fans;                  ///< what the initialiser scales by
  bool compute_type = false;  ///< f32 in a half-precision network (norms' parameters and statistics)
};
/// What a module says of itself for a given input, before any data: shapes of one sample, without the batch.
struct Plan {
  Shape output;
  std::vector<ParameterSpec> parameters, buffers;
  std::int64_t multiply_adds = 0;  ///< of one sample's forward pass
};

/// What all modules of one built network share.
struct NetworkState {
  Device device;
  DType dtype = DType::f32;
  Seed seed;
  std::uint64_t step = 0;       ///< training step in force: keys the draws of Dropout
  std::uint64_t next_step = 0;  ///< taken by the next training pass that begins at sample 0
};

/// A handle to a module. All members work through a const handle, as with a pointer.
class Layer {
 public:
  Layer() = default;
  Layer(std::shared_ptr<Module> module) : module_(std::move(module)) {}  // NOLINT: implicit on purpose

  /// The forward pass on x[n, ...]. A network that was not built is built for x's sample shape, device and
  /// dtype with Seed{0}. In training mode every outermost call whose part begins at sample 0 begins a new
  /// training step (set_step). Errors of ops name the layer's path too.
  Tensor operator()(const Tensor& x) const;

  /// Infers every shape from that of one sample (no batch axis), makes the parameters on `device` and names
  /// them. Parameter p at path "3.weight" draws from the stream (seed, "3.weight"), so adding a layer
  /// elsewhere changes no other layer's numbers as long as paths stay. A module that is built already keeps
  /// its parameters (their shapes must fit: Error naming both) and joins this network's state.
  const Layer& build(const Shape& sample, Device device = {}, Seed seed = {}, DType dtype = DType::f32) const;
  bool built() const;

  /// Shape of one sample's output for one sample's input; makes nothing.
  Shape output_shape(const Shape& sample) const;

  std::vector<Tensor> parameters() const;
  StateDict named_parameters() const;
  StateDict named_buffers() const;
  /// Parameters and buffers by path; they share storage with the network.
  StateDict state_dict() const;
  /// Copies the values in. Throws Error naming every missing, unexpected and misshapen entry, and then
  /// nothing has changed.
  void load_state_dict(const StateDict& state) const;

  /// Training mode (Dropout draws, BatchNorm uses and records the batch's statistics) or evaluation.
  const Layer& train(bool on = true) const;
  const Layer& eval() const { return train(false); }
  bool training() const;
  void zero_grad() const;

  /// The arithmetic of this layer and of all that is in it (isobit/arithmetic.h), forward and, wherever it is
  /// called, backward; whatever scope calls it. A layer inside that has one of its own keeps it, and so does
  /// a call with ConvOptions::math. None, as it is at first: that of the layer which it is in, else the
  /// scope's. summary() names it; files do not hold it.
  const Layer& set_math(std::optional<Math> math) const;
  std::optional<Math> math() const;

  /// The next training pass is step n: its random draws are keyed by (seed, module path, n, index in the
  /// whole batch). Without it the first pass is step 0 and each further one the next. A resumed run sets it
  /// once; a worker whose parts never begin at sample 0 sets it before every batch.
  void set_step(std::uint64_t n) const;
  std::uint64_t step() const;

  /// A table of layer, output shape, parameters and multiply-adds, for the sample shape of build() or the
  /// given one. Below it the arithmetic; a layer whose own is another one says so in its line.
  std::string summary() const;
  std::string summary(const Shape& sample) const;
  Summary summarize(const Shape& sample) const;
  /// The sample shape the network was built for. Throws Error before build.
  const Shape& input_shape() const;
  const NetworkState& state() const;

  Module& module() const;
  const std::shared_ptr<Module>& pointer() const { return module_; }
  explicit operator bool() const { return module_ != nullptr; }

 protected:
  std::shared_ptr<Module> module_;

 private:
  friend struct Builder;
  Tensor run(const Tensor& x, const Behind* behind) const;
};

/// A user's module as a layer.
template <class M, class... Args>
Layer make(Args&&... args) {
  return Layer(std::make_shared<M>(std::forward<Args>(args)...));
}

struct Child {
  std::string name;
  Layer layer;
};

/// The layers behind a layer that it may stand for.
struct Behind {
  std::optional<GivenNorm> norm;  ///< a batch norm in evaluation
  bool relu = false;              ///< then a ReLU
};

/// Base class of every layer's body.
class Module {
 public:
  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  virtual Tensor forward(const Tensor& x) = 0;
  /// Whether forward_with is faster than this module and the layers behind it one by one: a Sequential asks.
  virtual bool takes(const Behind&) const { return false; }
  /// The layers behind applied to forward(x), to the last bit. A convolution does so while its sums are in
  /// registers or in the caches.
  virtual Tensor forward_with(const Tensor& x, const Behind& behind);
  /// The norm of channels that forward() is, where it does not depend on the batch. By default it is none.
  virtual std::optional<GivenNorm> given_norm() { return std::nullopt; }
  /// The type's name, e.g. "Conv2D", and what a table shows, e.g. "Conv2D(32, 5x5, same)".
  virtual std::string kind() const { return "Module"; }
  virtual std::string describe() const { return kind(); }
  /// What it was made with, besides its children: by kind and these options nn::from_description makes it
  /// again. nullopt, the default: it cannot say.
  virtual std::optional<OptionList> option_list() const { return std::nullopt; }
  /// What a module without children needs for one sample of shape `in`. The default keeps the shape and needs
  /// nothing.
  virtual Plan plan(const Shape& in) const;

  /// Visits this module and what is below it with the sample shape that each gets, in order of execution,
  /// and returns the output's shape. The default serves modules without children (plan) and, for a user's
  /// module with children, visits it alone and finds the output's shape by a forward pass over one sample of
  /// zeros.
  using Visitor =
      std::function<void(Module& module, const std::string& path, const Shape& in, const Plan& plan)>;
  virtual Shape walk(const std::string& path, const Shape& in, const Visitor& visit);

  const std::vector<Child>& children() const { return children_; }
  bool training() const { return training_; }
  bool built() const { return built_; }
  const std::string& path() const { return path_; }
  const Shape& input_shape() const { return input_; }
  const std::shared_ptr<NetworkState>& state() const { return state_; }

 protected:
  /// Names must be unique in the module, not empty and without dots: Error otherwise. Call it from the
  /// constructor.
  void add_child(std::string name, Layer child);
  /// Parameter or buffer i of the plan; undefined before build.
  const Tensor& parameter(int i) const { return parameters_[static_cast<std::size_t>(i)].second; }
  Tensor& buffer(int i) { return buffers_[static_cast<std::size_t>(i)].second; }
  static std::string join(const std::string& path, const std::string& name);

 private:
  friend class Layer;
  friend struct Builder;
  std::vector<Child> children_;
  std::vector<Named> parameters_, buffers_;
  std::shared_ptr<NetworkState> state_;
  std::string path_;
  Shape input_;
  std::optional<Math> math_;
  bool training_ = true, built_ = false;
};

/// One line of a summary.
struct SummaryRow {
  std::string path, kind;
  Shape output;
  std::int64_t parameters = 0, buffers = 0, multiply_adds = 0;
  Math math = Math::exact;  ///< that it runs in where it is called from here: its own, or what is around it
};
struct Summary {
  Shape input;
  std::vector<SummaryRow> rows;
  std::int64_t parameters = 0, buffers = 0, multiply_adds = 0;
  Math math = Math::exact;  ///< the network's, or the scope's
  std::string to_string() const;
};

/// SHA-256 over names, dtypes, shapes and elements of the state (parameters and buffers): the same on every
/// device.
std::string digest(const Layer& net);

}  // namespace isobit::nn

namespace isobit {
using nn::digest;
}
