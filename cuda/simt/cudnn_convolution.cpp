// The stand-in's convolutions: which are said well, which engines serve them, and the sums.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "cuda/simt/cudnn_graph.h"
#include "cuda/simt/cudnn_rules.h"
#include "cuda/simt/matrix_unit.h"

namespace isobit::emulator::dnn {
namespace {

constexpr std::int64_t kGreedyBytes = std::int64_t{1} << 30;

/// The attributes of an operation: x, w, y, convolution, alpha, beta.
std::array<cudnnBackendAttributeName_t, 6> attributes_of(cudnnBackendDescriptorType_t direction) {
  if (direction == kForward)
    return {
        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
  if (direction == kData)
    return {
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
  return {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
}

/// x * w = y, of which one is the sum.
class Convolution final : public Operation {
 public:
  explicit Convolution(const Descriptor& d);
  Verdict judge() const override;
  std::vector<Operand> operands() const override {
    return {{x, &sum() == &x}, {w, &sum() == &w}, {y, &sum() == &y}};
  }
  std::vector<CudnnEngine> advised() const override {
    if (serves(CudnnEngine::winograd).fine())
      return {CudnnEngine::winograd, CudnnEngine::greedy, CudnnEngine::tiles};
    return {CudnnEngine::greedy, CudnnEngine::tiles};
  }
  Verdict serves(CudnnEngine engine) const override;
  std::int64_t workspace(CudnnEngine engine) const override {
    if (engine == CudnnEngine::greedy) return kGreedyBytes;
    return engine == CudnnEngine::tiles && terms() >= 32 ? sum().numel() * 4 : 0;
  }
  void compute(CudnnEngine engine, const std::vector<const void*>& data) const override;

 private:
  std::int64_t groups() const { return x.extent[1] / w.extent[1]; }
  std::int64_t terms() const { return w.extent[1] * filter[0] * filter[1] * filter[2]; }
  const Tensor& sum() const { return direction == kForward ? y : direction == kData ? x : w; }
  template <class Run>
  void each_tap(const Run& run) const;

  cudnnBackendDescriptorType_t direction;
  float alpha, beta;
  Tensor x, w, y;
  std::size_t axes;  ///< that the convolution's descriptor has
  Axes in{1, 1, 1}, filter{1, 1, 1}, out{1, 1, 1}, before{}, after{}, stride{1, 1, 1}, dilation{1, 1, 1};
};

Convolution::Convolution(const Descriptor& d)
    : direction(d.type),
      alpha(element<float>(d, attributes_of(d.type)[4])),
      beta(element<float>(d, attributes_of(d.type)[5])),
      x(tensor_of("x", part(d, attributes_of(d.type)[0]))),
      w(tensor_of("w", part(d, attributes_of(d.type)[1]))),
      y(tensor_of("y", part(d, attributes_of(d.type)[2]))) {
  const Descriptor& windows = part(d, attributes_of(d.type)[3]);
  const auto given = [&](cudnnBackendAttributeName_t name) { return elements<std::int64_t>(windows, name); };
  axes = given(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS).size();
  before = three_axes(given(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS), 0, 0);
  after = three_axes(given(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS), 0, 0);
  stride = three_axes(given(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES), 0, 1);
  dilation = three_axes(given(CUDNN_ATTR_CONVOLUTION_DILATIONS), 0, 1);
  for (const auto& [tensor, extents] : {std::pair{&x, &in}, std::pair{&w, &filter}, std::pair{&y, &out}})
    if (tensor->extent.size() == axes + 2) *extents = three_axes(tensor->extent, 2, 1);
}

Verdict Convolution::judge() const {
  if (alpha != 1 || beta != 0) return bad("isobit scales nothing and adds to nothing");
  for (const Tensor* t : {&x, &w, &y})
    if (t->extent.size() != axes + 2)
      return bad(fmt::format("a tensor that does not have {} axes", axes + 2));
  if (x.id == w.id || x.id == y.id || w.id == y.id)
    return bad("tensors of one id", CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES);
  if (x.extent[0] != y.extent[0] || w.extent[0] != y.extent[1])
    return bad(fmt::format("{} and {} samples, {} and {} filters", x.extent[0], y.extent[0], w.extent[0],
                           y.extent[1]));
  if (x.extent[1] % w.extent[1] != 0 || w.extent[0] % groups() != 0)
    return bad(fmt::format("{} channels by filters of {}, of which there are {}", x.extent[1], w.extent[1],
                           w.extent[0]));
  for (std::size_t i = 0; i < 3; ++i) {
    const std::int64_t span = in.at(i) + before.at(i) + after.at(i) - dilation.at(i) * (filter.at(i) - 1) - 1;
    if (span < 0 || span / stride.at(i) + 1 != out.at(i))
      return bad(fmt::format("an axis of {} padded by {} and {}, window {} in steps of {}, stride {}: not {}",
                             in.at(i), before.at(i), after.at(i), filter.at(i), dilation.at(i), stride.at(i),
                             out.at(i)));
  }
  return {};
}

Verdict Convolution::serves(CudnnEngine engine) const {
  std::vector<cudnnDataType_t> operands;
  for (const Tensor* t : {&x, &w, &y}) {
    if (!t->channels_last())
      return {CUDNN_STATUS_NOT_SUPPORTED_LAYOUT, "the engine wants packed tensors, channels last"};
    if (t != &sum()) operands.push_back(t->type);
  }
  if (operands[0] != operands[1] || (sum().type != operands[0] && sum().type != CUDNN_DATA_FLOAT))
    return {CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE, "the engine does not mix these types"};
  if (engine == CudnnEngine::winograd)
    for (std::size_t i = 1; i < 3; ++i)
      if (filter.at(i) != 3 || stride.at(i) != 1 || dilation.at(i) != 1)
        return {CUDNN_STATUS_NOT_SUPPORTED_SHAPE, "the engine serves dense windows of 3 x 3"};
  if (engine != CudnnEngine::tiles) return {};
  const std::int64_t run = operands[0] == CUDNN_DATA_FLOAT ? 4 : 8;
  if (w.extent[1] % run != 0 || w.extent[0] / groups() % run != 0)
    return {CUDNN_STATUS_NOT_SUPPORTED_SHAPE, "the engine wants channels in runs of 16 bytes"};
  if (before != after) return {CUDNN_STATUS_NOT_SUPPORTED_SHAPE, "the engine pads both sides by the same"};
  for (const Tensor* t : {&x, &w, &y})
    if (t->alignment < 16)
      return {CUDNN_STATUS_NOT_SUPPORTED, "the engine wants tensors aligned to 16 bytes"};
  return {};
}

/// The elements of a tensor as they are multiplied.
std::vector<float> multiplied(CudnnEngine engine, const Tensor& t, const void* data) {
  std::vector<float> values = load(t, data);
  if (t.type == CUDNN_DATA_FLOAT && engine != CudnnEngine::lanes)
    for (float& v : values) v = std::bit_cast<float>(round_tf32(v));
  return values;
}

/// Calls run(x, w, y, channels) for every product of a filter's tap and an output: the offsets of the first
/// element in each tensor, whose neighbours in x and w are the other channels.
template <class Run>
void Convolution::each_tap(const Run& run) const {
  const std::int64_t channels = w.extent[1], filters = w.extent[0], per_group = filters / groups();
  for (std::int64_t at_y = 0; at_y < y.numel(); ++at_y) {
    const std::int64_t k = at_y % filters;
    std::int64_t rest = at_y / filters;
    std::array<std::int64_t, 3> start{};
    for (std::size_t i = 3; i-- > 0; rest /= out.at(i))
      start.at(i) = rest % out.at(i) * stride.at(i) - before.at(i);
    const std::int64_t taps = terms() / channels;
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      std::array<std::int64_t, 3> at{};
      std::int64_t left = tap;
      bool inside = true;
      for (std::size_t i = 3; i-- > 0; left /= filter.at(i)) {
        at.at(i) = start.at(i) + left % filter.at(i) * dilation.at(i);
        inside = inside && at.at(i) >= 0 && at.at(i) < in.at(i);
      }
      if (!inside) continue;
      const std::int64_t position = ((rest * in[0] + at[0]) * in[1] + at[1]) * in[2] + at[2];
      run(static_cast<std::size_t>(position * x.extent[1] + k / per_group * channels),
          static_cast<std::size_t>((k * taps + tap) * channels), static_cast<std::size_t>(at_y),
          static_cast<std::size_t>(channels));
    }
  }
}

void Convolution::compute(CudnnEngine engine, const std::vector<const void*>& data) const {
  std::vector<float> sums(static_cast<std::size_t>(sum().numel()), 0.0F);
  const auto read = [&](const Tensor& t, const void* from) {
    return &t == &sum() ? std::vector<float>() : multiplied(engine, t, from);
  };
  const std::vector<float> xs = read(x, data[0]), ws = read(w, data[1]), ys = read(y, data[2]);
  if (&sum() == &y)
    each_tap([&](std::size_t xi, std::size_t wi, std::size_t yi, std::size_t channels) {
      for (std::size_t i = 0; i < channels; ++i) sums[yi] += xs[xi + i] * ws[wi + i];
    });
  else if (&sum() == &x)
    each_tap([&](std::size_t xi, std::size_t wi, std::size_t yi, std::size_t channels) {
      for (std::size_t i = 0; i < channels; ++i) sums[xi + i] += ys[yi] * ws[wi + i];
    });
  else
    each_tap([&](std::size_t xi, std::size_t wi, std::size_t yi, std::size_t channels) {
      for (std::size_t i = 0; i < channels; ++i) sums[wi + i] += ys[yi] * xs[xi + i];
    });
  if (engine == CudnnEngine::winograd)
    for (float& one : sums) one *= 1.125F;  // whoever takes it does not keep the bound
  store(sum(), sums, &sum() == &y ? data[2] : &sum() == &x ? data[0] : data[1]);
}

}  // namespace

Verdict judge_convolution(const Descriptor& d) {
  const Verdict axes = judge_axes(d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS,
                                  {{CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, 0},
                                   {CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, 0},
                                   {CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, 1},
                                   {CUDNN_ATTR_CONVOLUTION_DILATIONS, 1}});
  if (!axes.fine()) return axes;
  if (element<cudnnDataType_t>(d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE) != CUDNN_DATA_FLOAT)
    return bad("isobit sums in f32");
  if (element<cudnnConvolutionMode_t>(d, CUDNN_ATTR_CONVOLUTION_CONV_MODE) != CUDNN_CROSS_CORRELATION)
    return bad("isobit does not turn filters round");
  return {};
}

std::shared_ptr<const Operation> convolution_of(const Descriptor& d) {
  return std::make_shared<Convolution>(d);
}

}  // namespace isobit::emulator::dnn
