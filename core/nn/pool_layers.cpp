// Layers of pooling. What a sample becomes is asked of the ops' own geometry.
#include <isobit/nn_layers.h>

#include <cmath>

#include "core/geometry.h"
#include "core/nn/layer_fields.h"

namespace isobit::nn {
namespace {

using Function = std::function<Tensor(const Tensor&)>;
using Geometry = std::function<PoolGeometry(const Shape&)>;

/// Any number of spatial axes from 1 to 3.
constexpr int kAnyAxes = 0;

class PoolModule final : public Module {
 public:
  PoolModule(std::string kind, std::string text, OptionList options, int spatial, Geometry geometry,
             Function function)
      : kind_(std::move(kind)),
        text_(std::move(text)),
        options_(std::move(options)),
        spatial_(spatial),
        geometry_(std::move(geometry)),
        function_(std::move(function)) {}
  std::string kind() const override { return kind_; }
  std::string describe() const override { return fmt::format("{}({})", kind_, text_); }
  std::optional<OptionList> option_list() const override { return options_; }
  Plan plan(const Shape& in) const override {
    if (spatial_ == kAnyAxes ? in.rank() < 2 || in.rank() > 4 : in.rank() != spatial_ + 1)
      fail("nn", "{} needs samples {}, got {}", kind_, spatial_ == 2 ? "[h, w, c]" : "[(d,) (h,) w, c]", in);
    Plan plan;
    const int rank = in.rank() + 1;
    plan.output = pool_output_shape(geometry_(in.inserted(0, 1)), rank).sub(1, rank);
    return plan;
  }
  Tensor forward(const Tensor& x) override { return function_(x); }

 private:
  std::string kind_, text_;
  OptionList options_;
  int spatial_;
  Geometry geometry_;
  Function function_;
};

class GlobalPoolModule final : public Module {
 public:
  GlobalPoolModule(std::string kind, OptionList options, Function function)
      : kind_(std::move(kind)), options_(std::move(options)), function_(std::move(function)) {}
  std::string kind() const override { return kind_; }
  std::optional<OptionList> option_list() const override { return options_; }
  Plan plan(const Shape& in) const override {
    if (in.rank() < 2) fail("nn", "{} needs samples [h, w, c], got {}", kind_, in);
    Plan plan;
    plan.output = Shape{in[-1]};
    return plan;
  }
  Tensor forward(const Tensor& x) override { return function_(x); }

 private:
  std::string kind_;
  OptionList options_;
  Function function_;
};

/// "2x3" of {2, 3}; one extent for all of `spatial` axes is written for each of them.
std::string extents_text(const PerAxis& extents, int spatial) {
  std::string text;
  for (int i = 0; i < std::max(extents.count, spatial); ++i)
    text += fmt::format("{}{}", i > 0 ? "x" : "", extents.value[static_cast<std::size_t>(i)]);
  return text;
}

void require_extents(const char* layer, const char* what, const PerAxis& extents, int spatial) {
  bool legal = spatial == kAnyAxes || extents.count <= spatial;
  for (const std::int64_t extent : extents.value) legal = legal && extent >= 1;
  if (!legal)
    fail(layer, "the {} must be one {}extents of at least 1, got {}", what,
         spatial == 2 ? "or two " : "to three ", extents_text(extents, spatial));
}

void require_power(const char* layer, double p) {
  if (!(p >= 1) || !std::isfinite(p)) fail(layer, "p is {}, expected a finite number of at least 1", p);
}

using WindowOp = Tensor (*)(const Tensor&, PerAxis, const PoolOptions&);
Layer windows(const char* layer, const char* op, int spatial, WindowOp run, PerAxis window,
              const PoolOptions& options) {
  require_extents(layer, "window", window, spatial);
  return make<PoolModule>(
      layer, extents_text(window, spatial), option_list_of("window", window, options), spatial,
      [=](const Shape& x) { return make_pool_geometry(op, x, window, options); },
      [=](const Tensor& x) { return run(x, window, options); });
}

using AdaptiveOp = Tensor (*)(const Tensor&, PerAxis);
Layer adaptive(const char* layer, const char* op, AdaptiveOp run, PerAxis output) {
  require_extents(layer, "output", output, kAnyAxes);
  return make<PoolModule>(
      layer, extents_text(output, kAnyAxes), option_list_of("output", output), kAnyAxes,
      [=](const Shape& x) { return make_adaptive_pool_geometry(op, x, output); },
      [=](const Tensor& x) { return run(x, output); });
}

Layer norms(PerAxis window, double p, const PoolOptions& options) {
  require_extents("LpPool", "window", window, kAnyAxes);
  require_power("LpPool", p);
  return make<PoolModule>(
      "LpPool", fmt::format("{}, p={}", extents_text(window, kAnyAxes), p),
      option_list_of("window", window, "p", p, options), kAnyAxes,
      [=](const Shape& x) { return make_pool_geometry("lp_pool", x, window, options); },
      [=](const Tensor& x) { return lp_pool(x, window, p, options); });
}

Layer global_norm(double p) {
  require_power("GlobalLpPool", p);
  return make<GlobalPoolModule>("GlobalLpPool", option_list_of("p", p),
                                [p](const Tensor& x) { return global_lp_pool(x, p); });
}

}  // namespace

MaxPool::MaxPool(PerAxis window, const PoolOptions& options)
    : Layer(windows("MaxPool", "max_pool", kAnyAxes, max_pool, window, options)) {}
AvgPool::AvgPool(PerAxis window, const PoolOptions& options)
    : Layer(windows("AvgPool", "avg_pool", kAnyAxes, avg_pool, window, options)) {}
MaxPool2D::MaxPool2D(PerAxis window, const PoolOptions& options)
    : Layer(windows("MaxPool2D", "max_pool", 2, max_pool, window, options)) {}
AvgPool2D::AvgPool2D(PerAxis window, const PoolOptions& options)
    : Layer(windows("AvgPool2D", "avg_pool", 2, avg_pool, window, options)) {}
LpPool::LpPool(PerAxis window, double p, const PoolOptions& options) : Layer(norms(window, p, options)) {}
AdaptiveMaxPool::AdaptiveMaxPool(PerAxis output)
    : Layer(adaptive("AdaptiveMaxPool", "adaptive_max_pool", adaptive_max_pool, output)) {}
AdaptiveAvgPool::AdaptiveAvgPool(PerAxis output)
    : Layer(adaptive("AdaptiveAvgPool", "adaptive_avg_pool", adaptive_avg_pool, output)) {}
GlobalAvgPool::GlobalAvgPool()
    : Layer(make<GlobalPoolModule>("GlobalAvgPool", OptionList(), global_avg_pool)) {}
GlobalMaxPool::GlobalMaxPool()
    : Layer(make<GlobalPoolModule>("GlobalMaxPool", OptionList(), global_max_pool)) {}
GlobalLpPool::GlobalLpPool(double p) : Layer(global_norm(p)) {}

}  // namespace isobit::nn
