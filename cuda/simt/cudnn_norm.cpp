// The stand-in's norms: which are said well, which engines serve them, statistics, results and the gradient
// to the input.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "cuda/simt/cudnn_graph.h"
#include "cuda/simt/cudnn_rules.h"

namespace isobit::emulator::dnn {
namespace {

class Norm final : public Operation {
 public:
  explicit Norm(const Descriptor& d);
  Verdict judge() const override;
  std::vector<Operand> operands() const override;
  std::vector<CudnnEngine> advised() const override { return {CudnnEngine::tiles}; }
  Verdict serves(CudnnEngine engine) const override;
  std::int64_t workspace(CudnnEngine) const override { return 0; }
  void compute(CudnnEngine engine, const std::vector<const void*>& data) const override;

 private:
  std::int64_t channels() const { return x.extent[1]; }
  /// Elements of a channel in a sample.
  std::int64_t positions() const { return x.numel() / x.extent[0] / channels(); }
  std::vector<std::int64_t> statistic_extent() const;
  /// Which mean is that of element i, channels last.
  std::size_t statistic(std::int64_t i) const;
  float count() const;
  void forward(CudnnEngine engine, const std::vector<const void*>& data) const;
  void gradient(CudnnEngine engine, const std::vector<const void*>& data) const;

  bool backward;
  cudnnBackendNormMode_t mode;
  bool training = true;
  /// y: dy of the gradient; out: y, or dx.
  Tensor x, mean, inverse;
  std::optional<Tensor> dy, gamma, beta, eps, dgamma;
  Tensor out;
};

Norm::Norm(const Descriptor& d)
    : backward(d.type == kNormBackward),
      mode(element<cudnnBackendNormMode_t>(
          d, backward ? CUDNN_ATTR_OPERATION_NORM_BWD_MODE : CUDNN_ATTR_OPERATION_NORM_FWD_MODE)),
      x(tensor_of("x", part(d, backward ? CUDNN_ATTR_OPERATION_NORM_BWD_XDESC
                                        : CUDNN_ATTR_OPERATION_NORM_FWD_XDESC))),
      mean(tensor_of("the means", part(d, backward ? CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC
                                                   : CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC))),
      inverse(tensor_of("the inverse deviations",
                        part(d, backward ? CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC
                                         : CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC))),
      out(tensor_of(backward ? "dx" : "y", part(d, backward ? CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC
                                                            : CUDNN_ATTR_OPERATION_NORM_FWD_YDESC))) {
  const auto maybe = [&](const char* name, cudnnBackendAttributeName_t attribute) {
    return is_set(d, attribute) ? std::optional(tensor_of(name, part(d, attribute))) : std::nullopt;
  };
  if (backward) {
    dy = maybe("dy", CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC);
    gamma = maybe("gamma", CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC);
    dgamma = maybe("dgamma", CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC);
    return;
  }
  training =
      element<cudnnBackendNormFwdPhase_t>(d, CUDNN_ATTR_OPERATION_NORM_FWD_PHASE) == CUDNN_NORM_FWD_TRAINING;
  gamma = maybe("gamma", CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC);
  beta = maybe("beta", CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC);
  eps = maybe("eps", CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC);
}

std::vector<Operand> Norm::operands() const {
  std::vector<Operand> all{{x, false}, {mean, !backward}, {inverse, !backward}, {out, true}};
  for (const auto* t : {&dy, &gamma, &beta, &eps})
    if (*t) all.push_back({**t, false});
  if (dgamma) all.push_back({*dgamma, true});
  return all;
}

std::vector<std::int64_t> Norm::statistic_extent() const {
  std::vector<std::int64_t> extent(x.extent.size(), 1);
  if (mode != CUDNN_BATCH_NORM) extent[0] = x.extent[0];
  if (mode != CUDNN_LAYER_NORM) extent[1] = channels();
  return extent;
}
std::size_t Norm::statistic(std::int64_t i) const {
  const std::int64_t n = i / (channels() * positions()), c = i % channels();
  return static_cast<std::size_t>(mode == CUDNN_BATCH_NORM   ? c
                                  : mode == CUDNN_LAYER_NORM ? n
                                                             : n * channels() + c);
}
float Norm::count() const {
  return static_cast<float>(x.numel()) / static_cast<float>(mean.numel());
}

Verdict Norm::judge() const {
  if (mode != CUDNN_LAYER_NORM && mode != CUDNN_INSTANCE_NORM && mode != CUDNN_BATCH_NORM)
    return bad(fmt::format("mode {}", static_cast<int>(mode)), CUDNN_STATUS_NOT_SUPPORTED);
  if (!training) return bad("isobit takes the statistics of x itself");
  if (x.extent.size() < 4) return bad("a tensor of less than four axes", CUDNN_STATUS_NOT_SUPPORTED_SHAPE);
  std::set<std::int64_t> ids;
  for (const Operand& operand : operands()) {
    const Tensor& t = operand.tensor;
    if (!ids.insert(t.id).second) return bad("tensors of one id", CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES);
    if (t.on_host != (eps && t.id == eps->id)) return bad("eps and it alone is given by its value");
  }
  std::vector<std::int64_t> affine(x.extent.size(), 1);
  const std::vector<std::int64_t> one = affine;
  affine[1] = channels();
  for (const auto& [t, extent] :
       {std::pair{&dy, x.extent}, std::pair{&gamma, affine}, std::pair{&beta, affine},
        std::pair{&dgamma, affine}, std::pair{&eps, one}}) {
    if (!*t) continue;
    if ((*t)->extent != extent) return bad(fmt::format("{} does not have its extents", (*t)->name));
    if ((*t)->type != (t == &dy ? x.type : CUDNN_DATA_FLOAT))
      return bad(fmt::format("{} is not of its type", (*t)->name));
  }
  if (out.extent != x.extent || out.type != x.type) return bad("the result is not as x is");
  for (const Tensor* t : {&mean, &inverse})
    if (t->extent != statistic_extent() || t->type != CUDNN_DATA_FLOAT)
      return bad("statistics are f32, one of each channel or sample");
  if (backward ? gamma.has_value() != dgamma.has_value() : gamma.has_value() != beta.has_value())
    return bad("gamma comes with beta, in the gradient with its own");
  return {};
}

Verdict Norm::serves(CudnnEngine) const {
  for (const Operand& operand : operands()) {
    const Tensor& t = operand.tensor;
    if (!t.channels_last())
      return {CUDNN_STATUS_NOT_SUPPORTED_LAYOUT, "the engine wants packed tensors, channels last"};
    if (t.numel() == x.numel() && t.type == x.type && t.alignment < 16)
      return {CUDNN_STATUS_NOT_SUPPORTED, "the engine wants tensors aligned to 16 bytes"};
  }
  if (mode == CUDNN_BATCH_NORM && channels() * static_cast<std::int64_t>(x.element_bytes()) % 16 != 0)
    return {CUDNN_STATUS_NOT_SUPPORTED_SHAPE, "the engine wants channels in runs of 16 bytes"};
  if (mode == CUDNN_INSTANCE_NORM && backward && !gamma)
    return {CUDNN_STATUS_NOT_SUPPORTED, "the engine wants gamma"};
  return {};
}

// Data in the order of operands(). Both engines sum one after another: lanes forward, tiles from the end.
void Norm::forward(CudnnEngine engine, const std::vector<const void*>& data) const {
  const std::vector<float> xs = load(x, data[0]);
  const auto sums = static_cast<std::size_t>(mean.numel());
  const auto all = static_cast<std::int64_t>(xs.size());
  std::vector<float> means(sums, 0.0F), deviations(sums, 0.0F), ys(xs.size());
  const auto each = [&](const auto& run) {
    for (std::int64_t k = 0; k < all; ++k) {
      const std::int64_t i = engine == CudnnEngine::lanes ? k : all - 1 - k;
      run(static_cast<std::size_t>(i), statistic(i));
    }
  };
  each([&](std::size_t i, std::size_t s) { means[s] += xs[i]; });
  for (float& m : means) m /= count();
  each([&](std::size_t i, std::size_t s) { deviations[s] += (xs[i] - means[s]) * (xs[i] - means[s]); });
  const auto* const scale = gamma ? static_cast<const float*>(data[4]) : nullptr;
  const auto* const shift = gamma ? static_cast<const float*>(data[5]) : nullptr;
  const float added = *static_cast<const float*>(data[gamma ? 6 : 4]);
  for (float& v : deviations) v = 1 / std::sqrt(v / count() + added);
  each([&](std::size_t i, std::size_t s) {
    const std::size_t c = i % static_cast<std::size_t>(channels());
    const float factor = scale != nullptr ? scale[c] * deviations[s] : deviations[s];
    const float begin = shift != nullptr ? shift[c] : 0;
    ys[i] = engine == CudnnEngine::lanes ? (xs[i] - means[s]) * factor + begin
                                         : xs[i] * factor + (begin - means[s] * factor);
  });
  store(mean, means, data[1]);
  store(inverse, deviations, data[2]);
  store(out, ys, data[3]);
}

void Norm::gradient(CudnnEngine engine, const std::vector<const void*>& data) const {
  const std::vector<float> xs = load(x, data[0]), means = load(mean, data[1]), r = load(inverse, data[2]),
                           dys = load(*dy, data[4]);
  const auto* const scale = gamma ? static_cast<const float*>(data[5]) : nullptr;
  const auto all = static_cast<std::int64_t>(xs.size());
  std::vector<float> first(means.size(), 0.0F), second(means.size(), 0.0F), dxs(xs.size()),
      scales(static_cast<std::size_t>(channels()), 0.0F);
  const auto each = [&](const auto& run) {
    for (std::int64_t k = 0; k < all; ++k) {
      const std::int64_t at = engine == CudnnEngine::lanes ? k : all - 1 - k;
      const auto i = static_cast<std::size_t>(at);
      const std::size_t s = statistic(at), c = i % scales.size();
      run(i, s, c, scale != nullptr ? dys[i] * scale[c] : dys[i], (xs[i] - means[s]) * r[s]);
    }
  };
  each([&](std::size_t i, std::size_t s, std::size_t c, float e, float h) {
    first[s] += e;
    second[s] += e * h;
    scales[c] += dys[i] * h;
  });
  each([&](std::size_t i, std::size_t s, std::size_t, float e, float h) {
    dxs[i] = r[s] * (e - first[s] / count() - h * (second[s] / count()));
  });
  store(out, dxs, data[3]);
  if (dgamma) store(*dgamma, scales, data[6]);
}

void Norm::compute(CudnnEngine engine, const std::vector<const void*>& data) const {
  if (backward)
    gradient(engine, data);
  else
    forward(engine, data);
}

}  // namespace

std::shared_ptr<const Operation> norm_of(const Descriptor& d) {
  return std::make_shared<Norm>(d);
}

}  // namespace isobit::emulator::dnn
