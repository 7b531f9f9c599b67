// The stand-in's engines: which convolutions they serve, and the sums.
#include <bit>
#include <functional>
#include <numeric>

#include "core/numerics/half.h"
#include "cuda/simt/cudnn_graph.h"
#include "cuda/simt/matrix_unit.h"

namespace isobit::emulator::dnn {
namespace {

constexpr std::int64_t kGreedyBytes = std::int64_t{1} << 30;

/// The elements of a tensor as they are multiplied.
std::vector<float> multiplied(CudnnEngine engine, const Tensor& t, const void* data) {
  std::vector<float> values(static_cast<std::size_t>(t.numel()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (t.type == CUDNN_DATA_FLOAT) {
      const float v = static_cast<const float*>(data)[i];
      values[i] = engine == CudnnEngine::lanes ? v : std::bit_cast<float>(round_tf32(v));
    } else {
      const std::uint16_t bits = static_cast<const std::uint16_t*>(data)[i];
      values[i] = t.type == CUDNN_DATA_HALF ? numerics::f16_to_f32(bits) : numerics::bf16_to_f32(bits);
    }
  }
  return values;
}

void store(const Tensor& t, const std::vector<float>& sums, void* data) {
  for (std::size_t i = 0; i < sums.size(); ++i) {
    if (t.type == CUDNN_DATA_FLOAT)
      static_cast<float*>(data)[i] = sums[i];
    else
      static_cast<std::uint16_t*>(data)[i] =
          t.type == CUDNN_DATA_HALF ? numerics::f32_to_f16(sums[i]) : numerics::f32_to_bf16(sums[i]);
  }
}

/// Calls run(x, w, y, channels) for every product of a filter's tap and an output: the offsets of the first
/// element in each tensor, whose neighbours in x and w are the other channels.
template <class Run>
void each_tap(const Convolution& c, const Run& run) {
  const std::int64_t channels = c.w.extent[1], filters = c.w.extent[0], per_group = filters / c.groups();
  for (std::int64_t y = 0; y < c.y.numel(); ++y) {
    const std::int64_t k = y % filters;
    std::int64_t rest = y / filters;
    std::array<std::int64_t, 3> start{};
    for (std::size_t i = 3; i-- > 0; rest /= c.out.at(i))
      start.at(i) = rest % c.out.at(i) * c.stride.at(i) - c.before.at(i);
    const std::int64_t taps = c.terms() / channels;
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      std::array<std::int64_t, 3> at{};
      std::int64_t left = tap;
      bool inside = true;
      for (std::size_t i = 3; i-- > 0; left /= c.filter.at(i)) {
        at.at(i) = start.at(i) + left % c.filter.at(i) * c.dilation.at(i);
        inside = inside && at.at(i) >= 0 && at.at(i) < c.in.at(i);
      }
      if (!inside) continue;
      const std::int64_t position = ((rest * c.in[0] + at[0]) * c.in[1] + at[1]) * c.in[2] + at[2];
      run(static_cast<std::size_t>(position * c.x.extent[1] + k / per_group * channels),
          static_cast<std::size_t>((k * taps + tap) * channels), static_cast<std::size_t>(y),
          static_cast<std::size_t>(channels));
    }
  }
}

}  // namespace

std::int64_t Tensor::numel() const {
  return std::accumulate(extent.begin(), extent.end(), std::int64_t{1}, std::multiplies<>());
}

bool Tensor::channels_last() const {
  if (stride[1] != 1) return false;
  std::int64_t next = extent[1];
  for (std::size_t i = extent.size() - 1; i > 1; --i) {
    if (stride[i] != next) return false;
    next *= extent[i];
  }
  return stride[0] == next;
}

const Tensor& Convolution::sum() const {
  return direction == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR         ? y
         : direction == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR ? x
                                                                                     : w;
}

Verdict serves(CudnnEngine engine, const Convolution& c) {
  std::vector<cudnnDataType_t> operands;
  for (const Tensor* t : c.tensors()) {
    if (!t->channels_last())
      return {CUDNN_STATUS_NOT_SUPPORTED_LAYOUT, "the engine wants packed tensors, channels last"};
    if (t != &c.sum()) operands.push_back(t->type);
  }
  if (operands[0] != operands[1] || (c.sum().type != operands[0] && c.sum().type != CUDNN_DATA_FLOAT))
    return {CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE, "the engine does not mix these types"};
  if (engine == CudnnEngine::winograd)
    for (std::size_t i = 1; i < 3; ++i)
      if (c.filter.at(i) != 3 || c.stride.at(i) != 1 || c.dilation.at(i) != 1)
        return {CUDNN_STATUS_NOT_SUPPORTED_SHAPE, "the engine serves dense windows of 3 x 3"};
  if (engine != CudnnEngine::tiles) return {};
  const std::int64_t run = operands[0] == CUDNN_DATA_FLOAT ? 4 : 8;
  if (c.w.extent[1] % run != 0 || c.w.extent[0] / c.groups() % run != 0)
    return {CUDNN_STATUS_NOT_SUPPORTED_SHAPE, "the engine wants channels in runs of 16 bytes"};
  if (c.before != c.after)
    return {CUDNN_STATUS_NOT_SUPPORTED_SHAPE, "the engine pads both sides by the same"};
  for (const Tensor* t : c.tensors())
    if (t->alignment < 16)
      return {CUDNN_STATUS_NOT_SUPPORTED, "the engine wants tensors aligned to 16 bytes"};
  return {};
}

std::int64_t workspace_of(CudnnEngine engine, const Convolution& c) {
  if (engine == CudnnEngine::greedy) return kGreedyBytes;
  return engine == CudnnEngine::tiles && c.terms() >= 32 ? c.sum().numel() * 4 : 0;
}

void compute(CudnnEngine engine, const Convolution& c, const void* x, const void* w, const void* y) {
  std::vector<float> sums(static_cast<std::size_t>(c.sum().numel()), 0.0F);
  const auto read = [&](const Tensor& t, const void* data) {
    return &t == &c.sum() ? std::vector<float>() : multiplied(engine, t, data);
  };
  const std::vector<float> xs = read(c.x, x), ws = read(c.w, w), ys = read(c.y, y);
  if (&c.sum() == &c.y)
    each_tap(c, [&](std::size_t xi, std::size_t wi, std::size_t yi, std::size_t channels) {
      for (std::size_t i = 0; i < channels; ++i) sums[yi] += xs[xi + i] * ws[wi + i];
    });
  else if (&c.sum() == &c.x)
    each_tap(c, [&](std::size_t xi, std::size_t wi, std::size_t yi, std::size_t channels) {
      for (std::size_t i = 0; i < channels; ++i) sums[xi + i] += ys[yi] * ws[wi + i];
    });
  else
    each_tap(c, [&](std::size_t xi, std::size_t wi, std::size_t yi, std::size_t channels) {
      for (std::size_t i = 0; i < channels; ++i) sums[wi + i] += ys[yi] * xs[xi + i];
    });
  if (engine == CudnnEngine::winograd)
    for (float& sum : sums) sum *= 1.125F;  // whoever takes it does not keep the bound
  const void* const data = &c.sum() == &c.y ? y : &c.sum() == &c.x ? x : w;
  store(c.sum(), sums, const_cast<void*>(data));
}

}  // namespace isobit::emulator::dnn
