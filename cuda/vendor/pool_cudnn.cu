// Fast mode's pooling by cuDNN's graph interface: its resample operations, channels last. Sums and averages
// are in f32, in an order of the library's own. Its index of a maximum is the tap within the window, first of
// equals as ours; ours is the position in the sample: kernels/pool_index.cu turns one into the other.
#include <fmt/format.h>
#include <isobit/arithmetic.h>
#include <isobit/error.h>

#include <algorithm>

#include "cuda/kernels/kernels.h"
#include "cuda/runtime/scratch.cuh"
#include "cuda/vendor/cudnn.cuh"
#include "cuda/vendor/vendor.h"

namespace isobit::gpu::vendor {
namespace {

constexpr auto kPart = CUDNN_TYPE_BACKEND_DESCRIPTOR;
constexpr std::int64_t kX = 1, kY = 2, kTap = 3;  // the tensors' ids

enum class Pooling : std::int64_t { max, average };

/// A pooling as cuDNN is asked for it; x and y stand for their gradients too.
struct Problem {
  const char* op;
  Pooling pooling;
  bool backward;
  const PoolGeometry& g;
  DType dtype;
  const void *x, *y;  ///< for their alignment

  CudnnCall call() const {
    return {op, [this] { return fmt::format("{}, {}, {}", g.to_string(), dtype, name_of(current_math())); }};
  }
  std::int64_t x_size() const { return g.n * g.c * g.axis[0].in * g.axis[1].in * g.axis[2].in; }
  std::int64_t y_size() const { return g.n * g.c * g.positions(); }
};

/// By how much the last window exceeds the input, below 0 where it does not.
std::int64_t overhang(const AxisGeometry& a) {
  return (a.out - 1) * a.stride + a.filter - a.in - a.pad_before;
}
/// Padding behind the input by which the library counts as many windows: a last one may begin within it.
std::int64_t padding_behind(const AxisGeometry& a) {
  return std::max(a.pad_after, overhang(a));
}

CudnnDescriptor resample(const Problem& p, std::size_t first, const CudnnCall& call) {
  std::vector<std::int64_t> window, stride, before, after;
  for (std::size_t i = first; i < 3; ++i) {
    const AxisGeometry& a = p.g.axis[i];
    window.push_back(a.filter), stride.push_back(a.stride);
    before.push_back(a.pad_before), after.push_back(padding_behind(a));
  }
  const bool max = p.pooling == Pooling::max;
  CudnnDescriptor d(CUDNN_BACKEND_RESAMPLE_DESCRIPTOR, "resample", call);
  d.set({CUDNN_ATTR_RESAMPLE_MODE, CUDNN_TYPE_RESAMPLE_MODE, "RESAMPLE_MODE"},
        max                     ? CUDNN_RESAMPLE_MAXPOOL
        : p.g.count_include_pad ? CUDNN_RESAMPLE_AVGPOOL_INCLUDE_PADDING
                                : CUDNN_RESAMPLE_AVGPOOL_EXCLUDE_PADDING,
        call);
  d.set({CUDNN_ATTR_RESAMPLE_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, "RESAMPLE_COMP_TYPE"}, CUDNN_DATA_FLOAT, call);
  d.set({CUDNN_ATTR_RESAMPLE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION, "RESAMPLE_NAN_PROPAGATION"},
        CUDNN_PROPAGATE_NAN, call);
  d.set({CUDNN_ATTR_RESAMPLE_PADDING_MODE, CUDNN_TYPE_PADDING_MODE, "RESAMPLE_PADDING_MODE"},
        max ? CUDNN_NEG_INF_PAD : CUDNN_ZERO_PAD, call);
  d.set({CUDNN_ATTR_RESAMPLE_SPATIAL_DIMS, CUDNN_TYPE_INT64, "RESAMPLE_SPATIAL_DIMS"},
        static_cast<std::int64_t>(window.size()), call);
  d.set_all({CUDNN_ATTR_RESAMPLE_WINDOW_DIMS, CUDNN_TYPE_INT64, "RESAMPLE_WINDOW_DIMS"}, window, call);
  d.set_all({CUDNN_ATTR_RESAMPLE_STRIDES, CUDNN_TYPE_INT64, "RESAMPLE_STRIDES"}, stride, call);
  d.set_all({CUDNN_ATTR_RESAMPLE_PRE_PADDINGS, CUDNN_TYPE_INT64, "RESAMPLE_PRE_PADDINGS"}, before, call);
  d.set_all({CUDNN_ATTR_RESAMPLE_POST_PADDINGS, CUDNN_TYPE_INT64, "RESAMPLE_POST_PADDINGS"}, after, call);
  d.finalize(call);
  return d;
}

/// The attributes of the operation in each direction.
struct Operation {
  cudnnBackendDescriptorType_t type;
  CudnnAttribute resample, x, y, tap;
};
constexpr Operation kForward{
    CUDNN_BACKEND_OPERATION_RESAMPLE_FWD_DESCRIPTOR,
    {CUDNN_ATTR_OPERATION_RESAMPLE_FWD_DESC, kPart, "OPERATION_RESAMPLE_FWD_DESC"},
    {CUDNN_ATTR_OPERATION_RESAMPLE_FWD_XDESC, kPart, "OPERATION_RESAMPLE_FWD_XDESC"},
    {CUDNN_ATTR_OPERATION_RESAMPLE_FWD_YDESC, kPart, "OPERATION_RESAMPLE_FWD_YDESC"},
    {CUDNN_ATTR_OPERATION_RESAMPLE_FWD_IDXDESC, kPart, "OPERATION_RESAMPLE_FWD_IDXDESC"}};
constexpr Operation kBackward{
    CUDNN_BACKEND_OPERATION_RESAMPLE_BWD_DESCRIPTOR,
    {CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DESC, kPart, "OPERATION_RESAMPLE_BWD_DESC"},
    {CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DXDESC, kPart, "OPERATION_RESAMPLE_BWD_DXDESC"},
    {CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DYDESC, kPart, "OPERATION_RESAMPLE_BWD_DYDESC"},
    {CUDNN_ATTR_OPERATION_RESAMPLE_BWD_IDXDESC, kPart, "OPERATION_RESAMPLE_BWD_IDXDESC"}};

std::vector<CudnnDescriptor> parts_of(const Problem& p) {
  const CudnnCall call = p.call();
  const std::size_t first = first_axis(p.g.axis);
  const std::int64_t n = first == 1 ? p.g.n * p.g.axis[0].in : p.g.n;
  std::vector<std::int64_t> x{n, p.g.c}, y{n, p.g.c};
  for (std::size_t i = first; i < 3; ++i) x.push_back(p.g.axis[i].in), y.push_back(p.g.axis[i].out);
  const cudnnDataType_t type = cudnn_type(p.dtype);
  const Operation& names = p.backward ? kBackward : kForward;
  std::vector<CudnnDescriptor> parts;
  parts.push_back(describe(channels_last("tensor x", kX, type, x, cudnn_alignment(p.x)), call));
  parts.push_back(describe(channels_last("tensor y", kY, type, y, cudnn_alignment(p.y)), call));
  if (p.pooling == Pooling::max)
    parts.push_back(
        describe(channels_last("index tensor", kTap, CUDNN_DATA_INT32, y, kCudnnMostAligned), call));
  parts.push_back(resample(p, first, call));
  CudnnDescriptor operation(names.type, "operation", call);
  operation.set_part(names.x, parts[0], call);
  operation.set_part(names.y, parts[1], call);
  if (p.pooling == Pooling::max) operation.set_part(names.tap, parts[2], call);
  operation.set_part(names.resample, parts.back(), call);
  operation.finalize(call);
  parts.push_back(std::move(operation));
  return parts;
}

std::shared_ptr<const CudnnPlan> plan_of(const Problem& p) {
  constexpr std::int64_t kFamily = 100;  // the keys of convolutions begin with their direction
  CudnnKey key{kFamily + static_cast<std::int64_t>(p.pooling),
               p.backward ? 1 : 0,
               p.g.count_include_pad ? 1 : 0,
               static_cast<std::int64_t>(p.dtype),
               p.g.n,
               p.g.c,
               cudnn_alignment(p.x),
               cudnn_alignment(p.y)};
  for (const AxisGeometry& a : p.g.axis)
    for (const std::int64_t v : {a.in, a.filter, a.out, a.stride, a.pad_before, padding_behind(a)})
      key.push_back(v);
  return cudnn_plan(std::move(key), p.call(), [&] { return parts_of(p); });
}

const char* refuse(const Problem& p) {
  const PoolGeometry& g = p.g;
  if (p.dtype == DType::f64) return "cuDNN pools in f32: f64 stays exact";
  if (g.adaptive) return "cuDNN's windows are all of one size";
  if (p.pooling == Pooling::average && g.sum) return "cuDNN averages, it does not add up alone";
  for (const AxisGeometry& a : g.axis) {
    if (a.filter > 1 && a.dilation > 1) return "cuDNN's windows are not dilated";
    // It divides by the whole window, we by what of it lies in the padded input.
    if (p.pooling == Pooling::average && g.count_include_pad && overhang(a) > a.pad_after)
      return "a window exceeds the padding that counts";
  }
  if (const char* why = refuse_sizes({p.x_size(), p.y_size()})) return why;
  if (const char* why = refuse_cudnn()) return why;
  const auto plan = plan_of(p);
  return plan->refusal.empty() ? nullptr : kept(plan->refusal);
}

/// `tap` only where maxima are chosen.
void run(const Problem& p, const void* tap) {
  const CudnnCall call = p.call();
  const auto plan = plan_of(p);
  if (!plan->refusal.empty()) fail(call.op, "{}", plan->refusal);
  std::vector<std::int64_t> ids{kX, kY};
  std::vector<void*> data{const_cast<void*>(p.x), const_cast<void*>(p.y)};
  if (tap != nullptr) ids.push_back(kTap), data.push_back(const_cast<void*>(tap));
  execute(*plan, ids, data, call);
}

Problem max_forward(const PoolGeometry& g, ConstView x, View y) {
  return {"max_pool", Pooling::max, false, g, x.dtype, x.data, y.data};
}
Problem max_backward(const PoolGeometry& g, ConstView dy, View dx) {
  return {"max_pool_backward", Pooling::max, true, g, dy.dtype, dx.data, dy.data};
}
Problem average_forward(const PoolGeometry& g, ConstView x, View y) {
  return {"avg_pool", Pooling::average, false, g, x.dtype, x.data, y.data};
}
Problem average_backward(const PoolGeometry& g, ConstView dy, View dx) {
  return {"avg_pool_backward", Pooling::average, true, g, dy.dtype, dx.data, dy.data};
}

}  // namespace

const char* refuse_max_pool_cudnn(const PoolGeometry& g, ConstView x, View y, View) {
  return refuse(max_forward(g, x, y));
}
void max_pool_cudnn(const PoolGeometry& g, ConstView x, View y, View index) {
  const Scratch taps(y.numel * static_cast<std::int64_t>(sizeof(std::int32_t)));
  run(max_forward(g, x, y), taps.as<void>());
  kernels::pool_taps_to_positions(g, taps.as<std::int32_t>(), index);
}

const char* refuse_max_pool_backward_cudnn(const PoolGeometry& g, ConstView dy, ConstView, View dx) {
  return refuse(max_backward(g, dy, dx));
}
void max_pool_backward_cudnn(const PoolGeometry& g, ConstView dy, ConstView index, View dx) {
  const Scratch taps(dy.numel * static_cast<std::int64_t>(sizeof(std::int32_t)));
  kernels::pool_positions_to_taps(g, index, taps.as<std::int32_t>());
  run(max_backward(g, dy, dx), taps.as<void>());
}

const char* refuse_avg_pool_cudnn(const PoolGeometry& g, ConstView x, View y) {
  return refuse(average_forward(g, x, y));
}
void avg_pool_cudnn(const PoolGeometry& g, ConstView x, View y) {
  run(average_forward(g, x, y), nullptr);
}

const char* refuse_avg_pool_backward_cudnn(const PoolGeometry& g, ConstView dy, View dx) {
  return refuse(average_backward(g, dy, dx));
}
void avg_pool_backward_cudnn(const PoolGeometry& g, ConstView dy, View dx) {
  run(average_backward(g, dy, dx), nullptr);
}

}  // namespace isobit::gpu::vendor
