// The stand-in's pooling: which windows are said well, which engines serve them, maxima and averages.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "cuda/simt/cudnn_graph.h"
#include "cuda/simt/cudnn_rules.h"

namespace isobit::emulator::dnn {
namespace {

struct Names {
  cudnnBackendAttributeName_t resample, x, y, tap;
};
constexpr Names kForwardNames{CUDNN_ATTR_OPERATION_RESAMPLE_FWD_DESC, CUDNN_ATTR_OPERATION_RESAMPLE_FWD_XDESC,
                              CUDNN_ATTR_OPERATION_RESAMPLE_FWD_YDESC,
                              CUDNN_ATTR_OPERATION_RESAMPLE_FWD_IDXDESC};
constexpr Names kBackwardNames{
    CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DESC, CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DXDESC,
    CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DYDESC, CUDNN_ATTR_OPERATION_RESAMPLE_BWD_IDXDESC};

class Resample final : public Operation {
 public:
  explicit Resample(const Descriptor& d);
  Verdict judge() const override;
  std::vector<Operand> operands() const override {
    std::vector<Operand> all{{x, backward}, {y, !backward}};
    if (tap) all.push_back({*tap, !backward});
    return all;
  }
  std::vector<CudnnEngine> advised() const override {
    if (backward) return {CudnnEngine::racing, CudnnEngine::tiles};
    return {CudnnEngine::tiles};
  }
  Verdict serves(CudnnEngine engine) const override;
  std::int64_t workspace(CudnnEngine) const override { return 0; }
  void compute(CudnnEngine engine, const std::vector<const void*>& data) const override;

 private:
  /// Calls run(input, tap) for the taps of output (n, o, p, q, c) that lie in the input, in row-major order.
  template <class Run>
  void each_tap(std::int64_t output, const Run& run) const;
  /// What an average of the window divides by.
  float count(std::int64_t output) const;
  void choose(const std::vector<float>& xs, const void* to, std::int32_t* taps) const;
  void average(CudnnEngine engine, const std::vector<float>& xs, const void* to) const;
  void gradient(CudnnEngine engine, const std::vector<float>& ys, const std::int32_t* taps,
                const void* to) const;

  bool backward;
  cudnnResampleMode_t mode;
  Tensor x, y;
  std::optional<Tensor> tap;
  std::size_t axes;
  Axes in{1, 1, 1}, window, out{1, 1, 1}, before, after, stride;
};

Resample::Resample(const Descriptor& d)
    : backward(d.type == kPoolBackward),
      mode(element<cudnnResampleMode_t>(part(d, backward ? kBackwardNames.resample : kForwardNames.resample),
                                        CUDNN_ATTR_RESAMPLE_MODE)),
      x(tensor_of("x", part(d, backward ? kBackwardNames.x : kForwardNames.x))),
      y(tensor_of("y", part(d, backward ? kBackwardNames.y : kForwardNames.y))) {
  const Names& names = backward ? kBackwardNames : kForwardNames;
  if (is_set(d, names.tap)) tap = tensor_of("the index tensor", part(d, names.tap));
  const auto given = [&](cudnnBackendAttributeName_t name) {
    return elements<std::int64_t>(part(d, names.resample), name);
  };
  axes = given(CUDNN_ATTR_RESAMPLE_WINDOW_DIMS).size();
  window = three_axes(given(CUDNN_ATTR_RESAMPLE_WINDOW_DIMS), 0, 1);
  before = three_axes(given(CUDNN_ATTR_RESAMPLE_PRE_PADDINGS), 0, 0);
  after = three_axes(given(CUDNN_ATTR_RESAMPLE_POST_PADDINGS), 0, 0);
  stride = three_axes(given(CUDNN_ATTR_RESAMPLE_STRIDES), 0, 1);
  for (const auto& [tensor, extents] : {std::pair{&x, &in}, std::pair{&y, &out}})
    if (tensor->extent.size() == axes + 2) *extents = three_axes(tensor->extent, 2, 1);
}

Verdict Resample::judge() const {
  for (const Tensor* t : {&x, &y}) {
    if (t->extent.size() != axes + 2)
      return bad(fmt::format("a tensor that does not have {} axes", axes + 2));
    if (t->type == CUDNN_DATA_INT32) return bad("isobit pools no whole numbers");
  }
  if (x.type != y.type) return bad("x and y of two types", CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE);
  if (x.id == y.id || (tap && (tap->id == x.id || tap->id == y.id)))
    return bad("tensors of one id", CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES);
  if (x.extent[0] != y.extent[0] || x.extent[1] != y.extent[1])
    return bad(fmt::format("{} and {} samples, {} and {} channels", x.extent[0], y.extent[0], x.extent[1],
                           y.extent[1]));
  for (std::size_t i = 0; i < 3; ++i) {
    const std::int64_t span = in.at(i) + before.at(i) + after.at(i) - window.at(i);
    if (span < 0 || span / stride.at(i) + 1 != out.at(i))
      return bad(fmt::format("an axis of {} padded by {} and {}, windows of {}, stride {}: not {}", in.at(i),
                             before.at(i), after.at(i), window.at(i), stride.at(i), out.at(i)));
  }
  if (tap.has_value() != (mode == CUDNN_RESAMPLE_MAXPOOL))
    return bad("an index tensor belongs to maxima (without it the library itself fails in their gradient)");
  if (tap && (tap->type != CUDNN_DATA_INT32 || tap->extent != y.extent))
    return bad("the index tensor has y's extents, and 32 bits an element");
  return {};
}

Verdict Resample::serves(CudnnEngine engine) const {
  for (const Operand& operand : operands()) {
    if (!operand.tensor.channels_last())
      return {CUDNN_STATUS_NOT_SUPPORTED_LAYOUT, "the engine wants packed tensors, channels last"};
    if (engine == CudnnEngine::tiles && operand.tensor.alignment < 16)
      return {CUDNN_STATUS_NOT_SUPPORTED, "the engine wants tensors aligned to 16 bytes"};
  }
  return {};
}

template <class Run>
void Resample::each_tap(std::int64_t output, const Run& run) const {
  const std::int64_t channels = x.extent[1], c = output % channels;
  std::int64_t rest = output / channels;
  Axes start{};
  for (std::size_t i = 3; i-- > 0; rest /= out.at(i))
    start.at(i) = rest % out.at(i) * stride.at(i) - before.at(i);
  std::int32_t at_tap = 0;
  for (std::int64_t t = 0; t < window[0]; ++t)
    for (std::int64_t r = 0; r < window[1]; ++r)
      for (std::int64_t s = 0; s < window[2]; ++s, ++at_tap) {
        const Axes at{start[0] + t, start[1] + r, start[2] + s};
        bool inside = true;
        for (std::size_t i = 0; i < 3; ++i) inside = inside && at.at(i) >= 0 && at.at(i) < in.at(i);
        if (!inside) continue;
        const std::int64_t position = ((rest * in[0] + at[0]) * in[1] + at[1]) * in[2] + at[2];
        run(static_cast<std::size_t>(position * channels + c), at_tap);
      }
}

float Resample::count(std::int64_t output) const {
  if (mode == CUDNN_RESAMPLE_AVGPOOL_INCLUDE_PADDING)
    return static_cast<float>(window[0] * window[1] * window[2]);
  int taps = 0;
  each_tap(output, [&](std::size_t, std::int32_t) { ++taps; });
  return static_cast<float>(taps);
}

/// The first of equals, and the last NaN: which of them is not documented. Where nothing is greater than
/// the padding, which is below all numbers, tap 0 stays, be it padding.
void Resample::choose(const std::vector<float>& xs, const void* to, std::int32_t* taps) const {
  std::vector<float> ys(static_cast<std::size_t>(y.numel()));
  for (std::size_t i = 0; i < ys.size(); ++i) {
    ys[i] = -std::numeric_limits<float>::infinity();
    taps[i] = 0;
    each_tap(static_cast<std::int64_t>(i), [&](std::size_t at, std::int32_t at_tap) {
      if (!(xs[at] > ys[i]) && xs[at] == xs[at]) return;
      ys[i] = xs[at];
      taps[i] = at_tap;
    });
  }
  store(y, ys, to);
}

void Resample::average(CudnnEngine engine, const std::vector<float>& xs, const void* to) const {
  std::vector<float> ys(static_cast<std::size_t>(y.numel()));
  for (std::size_t i = 0; i < ys.size(); ++i) {
    const auto output = static_cast<std::int64_t>(i);
    float sum = 0;
    each_tap(output, [&](std::size_t at, std::int32_t) { sum += xs[at]; });
    ys[i] = engine == CudnnEngine::lanes ? sum / count(output) : sum * (1 / count(output));
  }
  store(y, ys, to);
}

void Resample::gradient(CudnnEngine engine, const std::vector<float>& ys, const std::int32_t* taps,
                        const void* to) const {
  std::vector<float> xs(static_cast<std::size_t>(x.numel()), 0.0F);
  const auto outputs = static_cast<std::int64_t>(ys.size());
  for (std::int64_t k = 0; k < outputs; ++k) {
    const std::int64_t output = engine == CudnnEngine::lanes ? k : outputs - 1 - k;
    const auto i = static_cast<std::size_t>(output);
    const float share = taps != nullptr ? ys[i] : ys[i] * (1 / count(output));
    each_tap(output, [&](std::size_t at, std::int32_t at_tap) {
      if (taps == nullptr || taps[i] == at_tap) xs[at] += share;
    });
  }
  if (engine == CudnnEngine::racing)
    for (float& v : xs) v *= 1.125F;  // whoever takes it does not keep the bound
  store(x, xs, to);
}

void Resample::compute(CudnnEngine engine, const std::vector<const void*>& data) const {
  if (backward)
    gradient(engine, load(y, data[1]), tap ? static_cast<const std::int32_t*>(data[2]) : nullptr, data[0]);
  else if (tap)
    choose(load(x, data[0]), data[1], static_cast<std::int32_t*>(const_cast<void*>(data[2])));
  else
    average(engine, load(x, data[0]), data[1]);
}

}  // namespace

Verdict judge_resample(const Descriptor& d) {
  const Verdict axes = judge_axes(d, CUDNN_ATTR_RESAMPLE_SPATIAL_DIMS,
                                  {{CUDNN_ATTR_RESAMPLE_WINDOW_DIMS, 1},
                                   {CUDNN_ATTR_RESAMPLE_STRIDES, 1},
                                   {CUDNN_ATTR_RESAMPLE_PRE_PADDINGS, 0},
                                   {CUDNN_ATTR_RESAMPLE_POST_PADDINGS, 0}});
  if (!axes.fine()) return axes;
  if (element<cudnnDataType_t>(d, CUDNN_ATTR_RESAMPLE_COMP_TYPE) != CUDNN_DATA_FLOAT)
    return bad("pooling computes in f32");
  if (element<cudnnNanPropagation_t>(d, CUDNN_ATTR_RESAMPLE_NAN_PROPAGATION) != CUDNN_PROPAGATE_NAN)
    return bad("in isobit a NaN wins");
  const auto mode = element<cudnnResampleMode_t>(d, CUDNN_ATTR_RESAMPLE_MODE);
  if (mode != CUDNN_RESAMPLE_MAXPOOL && mode != CUDNN_RESAMPLE_AVGPOOL_INCLUDE_PADDING &&
      mode != CUDNN_RESAMPLE_AVGPOOL_EXCLUDE_PADDING)
    return bad(fmt::format("mode {} is none of pooling", static_cast<int>(mode)));
  const bool max = mode == CUDNN_RESAMPLE_MAXPOOL;
  if (element<cudnnPaddingMode_t>(d, CUDNN_ATTR_RESAMPLE_PADDING_MODE) !=
      (max ? CUDNN_NEG_INF_PAD : CUDNN_ZERO_PAD))
    return bad("maxima are padded with the lowest number, averages with zeros", CUDNN_STATUS_NOT_SUPPORTED);
  return {};
}

std::shared_ptr<const Operation> resample_of(const Descriptor& d) {
  return std::make_shared<Resample>(d);
}

}  // namespace isobit::emulator::dnn
