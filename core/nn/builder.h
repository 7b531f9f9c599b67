// Building: paths, shapes, parameters. The one friend that may write a module's private state.
#pragma once
#include <isobit/nn_module.h>

#include <functional>
#include <string>

namespace isobit::nn {

struct Builder {
  /// Makes the parameters of `root` and everything below it; all belong to root's state already.
  static Shape build(Module& root, const std::string& path, const Shape& sample);
  /// Names every module below root and gives it `state`; a module met twice keeps its first path.
  static void attach(Module& root, const std::shared_ptr<NetworkState>& state);
  /// Calls f once for every module, parents first.
  static void for_each(Module& root, const std::function<void(Module&)>& f);
  /// The same with the path relative to root (the first, where a module is met twice).
  static void for_each(Module& root, const std::function<void(Module&, const std::string&)>& f);
  /// Runs forward on zeros, recording nothing, with everything in evaluation mode.
  static Tensor dry_run(Module& module, const Tensor& sample);
  /// layer(x) with the layers behind it, by the module's forward_with.
  static Tensor run_with(const Layer& layer, const Tensor& x, const Behind& behind) {
    return layer.run(x, &behind);
  }
  static const std::vector<Named>& parameters(const Module& m) { return m.parameters_; }
  static const std::vector<Named>& buffers(const Module& m) { return m.buffers_; }
  static std::optional<Math> math(const Module& m) { return m.math_; }
  static void set_training(Module& m, bool on) { m.training_ = on; }
  static void make_parameters(Module& m, const std::string& path, const Shape& in, const Plan& plan);
};

}  // namespace isobit::nn
