// Fast mode's norms by cuDNN's graph interface: statistics and what is made of them in one operation, and the
// gradient to the input. cuDNN's variance is ours, biased; it keeps 1 / sqrt(variance + eps) in its place,
// which kernels/norm_deviation.cu turns into the variance and back.
#include <fmt/format.h>
#include <isobit/arithmetic.h>
#include <isobit/error.h>

#include "core/describe.h"
#include "cuda/kernels/kernels.h"
#include "cuda/runtime/scratch.cuh"
#include "cuda/vendor/cudnn.cuh"
#include "cuda/vendor/vendor.h"

namespace isobit::gpu::vendor {
namespace {

constexpr auto kPart = CUDNN_TYPE_BACKEND_DESCRIPTOR;
/// The tensors' ids: y is the result, or of the gradient dy; dx its result.
enum Id : std::int64_t { kX = 1, kY, kMean, kInverse, kGamma, kBeta, kEps, kDx, kDgamma };

/// A norm as cuDNN is asked for it. Addresses count for their alignment.
struct Problem {
  const char* op;
  bool backward;
  const NormGeometry& g;
  DType dtype;
  const void *x, *y, *dx, *mean, *gamma, *beta;  ///< null: it has none

  CudnnCall call() const {
    return {op, [this] { return fmt::format("{}, {}, {}", describe(g), dtype, name_of(current_math())); }};
  }
  cudnnBackendNormMode_t mode() const {
    return g.over_batch ? CUDNN_BATCH_NORM : g.b == 1 && g.g == 1 ? CUDNN_LAYER_NORM : CUDNN_INSTANCE_NORM;
  }
};

using Extents = std::vector<std::int64_t>;

std::vector<CudnnDescriptor> parts_of(const Problem& p) {
  const CudnnCall call = p.call();
  const NormGeometry& g = p.g;
  const cudnnBackendNormMode_t mode = p.mode();
  const Extents all{g.a, g.channels(), g.b, 1}, affine{1, g.channels(), 1, 1};
  const Extents statistic = mode == CUDNN_BATCH_NORM   ? affine
                            : mode == CUDNN_LAYER_NORM ? Extents{g.a, 1, 1, 1}
                                                       : Extents{g.a, g.channels(), 1, 1};
  const cudnnDataType_t type = cudnn_type(p.dtype);
  std::vector<CudnnDescriptor> parts;
  CudnnDescriptor operation(p.backward ? CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR
                                       : CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR,
                            "operation", call);
  const auto add = [&](cudnnBackendAttributeName_t number, const char* name, CudnnTensor tensor) {
    parts.push_back(describe(tensor, call));
    operation.set_part({number, kPart, name}, parts.back(), call);
  };
  const auto of = [&](const char* name, Id id, const Extents& extent, cudnnDataType_t stored,
                      const void* data) {
    return channels_last(name, id, stored, extent,
                         data == nullptr ? kCudnnMostAligned : cudnn_alignment(data));
  };
  constexpr auto kF32 = CUDNN_DATA_FLOAT;
  if (p.backward) {
    operation.set({CUDNN_ATTR_OPERATION_NORM_BWD_MODE, CUDNN_TYPE_NORM_MODE, "OPERATION_NORM_BWD_MODE"}, mode,
                  call);
    add(CUDNN_ATTR_OPERATION_NORM_BWD_XDESC, "OPERATION_NORM_BWD_XDESC", of("tensor x", kX, all, type, p.x));
    add(CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC, "OPERATION_NORM_BWD_MEAN_DESC",
        of("means", kMean, statistic, kF32, p.mean));
    add(CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC, "OPERATION_NORM_BWD_INV_VARIANCE_DESC",
        of("inverse deviations", kInverse, statistic, kF32, nullptr));
    add(CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC, "OPERATION_NORM_BWD_DYDESC",
        of("tensor dy", kY, all, type, p.y));
    if (p.gamma != nullptr) {
      add(CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC, "OPERATION_NORM_BWD_SCALE_DESC",
          of("gamma", kGamma, affine, kF32, p.gamma));
      add(CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC, "OPERATION_NORM_BWD_DSCALE_DESC",
          of("dgamma", kDgamma, affine, kF32, nullptr));
    }
    add(CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC, "OPERATION_NORM_BWD_DXDESC",
        of("tensor dx", kDx, all, type, p.dx));
  } else {
    operation.set({CUDNN_ATTR_OPERATION_NORM_FWD_MODE, CUDNN_TYPE_NORM_MODE, "OPERATION_NORM_FWD_MODE"}, mode,
                  call);
    operation.set(
        {CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, CUDNN_TYPE_NORM_FWD_PHASE, "OPERATION_NORM_FWD_PHASE"},
        CUDNN_NORM_FWD_TRAINING, call);
    add(CUDNN_ATTR_OPERATION_NORM_FWD_XDESC, "OPERATION_NORM_FWD_XDESC", of("tensor x", kX, all, type, p.x));
    add(CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC, "OPERATION_NORM_FWD_MEAN_DESC",
        of("means", kMean, statistic, kF32, p.mean));
    add(CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, "OPERATION_NORM_FWD_INV_VARIANCE_DESC",
        of("inverse deviations", kInverse, statistic, kF32, nullptr));
    if (p.gamma != nullptr) {
      add(CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, "OPERATION_NORM_FWD_SCALE_DESC",
          of("gamma", kGamma, affine, kF32, p.gamma));
      add(CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC, "OPERATION_NORM_FWD_BIAS_DESC",
          of("beta", kBeta, affine, kF32, p.beta));
    }
    CudnnTensor eps = of("eps", kEps, {1, 1, 1, 1}, kF32, nullptr);
    eps.alignment = sizeof(float);
    eps.on_host = true;
    add(CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC, "OPERATION_NORM_FWD_EPSILON_DESC", eps);
    add(CUDNN_ATTR_OPERATION_NORM_FWD_YDESC, "OPERATION_NORM_FWD_YDESC", of("tensor y", kY, all, type, p.y));
  }
  operation.finalize(call);
  parts.push_back(std::move(operation));
  return parts;
}

std::shared_ptr<const CudnnPlan> plan_of(const Problem& p) {
  constexpr std::int64_t kFamily = 200;  // beside those of convolutions and pooling
  CudnnKey key{
      kFamily + p.mode(), p.backward ? 1 : 0, static_cast<std::int64_t>(p.dtype), p.g.a, p.g.b, p.g.g, p.g.d};
  for (const void* data : {p.x, p.y, p.dx, p.mean, p.gamma, p.beta})
    key.push_back(data == nullptr ? 0 : cudnn_alignment(data));
  return cudnn_plan(std::move(key), p.call(), [&] { return parts_of(p); });
}

const char* refuse(const Problem& p) {
  const NormGeometry& g = p.g;
  if (p.dtype == DType::f64) return "cuDNN norms in f32: f64 stays exact";
  if (!g.over_batch && g.d > 1 && (g.b > 1 || g.g > 1))
    return "cuDNN has no engine for groups of several channels";
  if (!p.backward && (p.gamma == nullptr) != (p.beta == nullptr))
    return "cuDNN scales and shifts, or does neither";
  if (const char* why = refuse_sizes({g.numel()})) return why;
  if (const char* why = refuse_cudnn()) return why;
  const auto plan = plan_of(p);
  return plan->refusal.empty() ? nullptr : kept(plan->refusal);
}

/// What a plan is run with: tensors that are there.
class Given {
 public:
  void add(Id id, const void* data) {
    if (data == nullptr) return;
    ids_.push_back(id);
    data_.push_back(const_cast<void*>(data));
  }
  void run(const Problem& p) const {
    const CudnnCall call = p.call();
    const auto plan = plan_of(p);
    if (!plan->refusal.empty()) fail(call.op, "{}", plan->refusal);
    execute(*plan, ids_, data_, call);
  }

 private:
  std::vector<std::int64_t> ids_;
  std::vector<void*> data_;
};

Problem forward(const NormGeometry& g, ConstView x, ConstView gamma, ConstView beta, View mean, View y) {
  return {"norm", false, g, x.dtype, x.data, y.data, nullptr, mean.data, gamma.data, beta.data};
}
Problem backward(const NormGeometry& g, ConstView dy, ConstView x, ConstView mean, ConstView gamma, View dx) {
  return {"norm_backward", true, g, dy.dtype, x.data, dy.data, dx.data, mean.data, gamma.data, nullptr};
}

std::int64_t bytes_of(std::int64_t floats) {
  return floats * static_cast<std::int64_t>(sizeof(float));
}

}  // namespace

const char* refuse_norm_cudnn(const NormGeometry& g, double, ConstView x, ConstView gamma, ConstView beta,
                              View mean, View, View y) {
  return refuse(forward(g, x, gamma, beta, mean, y));
}
void norm_cudnn(const NormGeometry& g, double eps, ConstView x, ConstView gamma, ConstView beta, View mean,
                View variance, View y) {
  const Problem p = forward(g, x, gamma, beta, mean, y);
  const Scratch inverse(bytes_of(g.statistics()));
  const auto added = static_cast<float>(eps);
  Given given;
  given.add(kX, x.data);
  given.add(kY, y.data);
  given.add(kMean, mean.data);
  given.add(kInverse, inverse.as<void>());
  given.add(kGamma, gamma.data);
  given.add(kBeta, beta.data);
  given.add(kEps, &added);
  given.run(p);
  kernels::variances(inverse.as<float>(), eps, variance);
}

const char* refuse_norm_backward_cudnn(const NormGeometry& g, double, ConstView dy, ConstView x,
                                       ConstView mean, ConstView, ConstView gamma, View dx) {
  return refuse(backward(g, dy, x, mean, gamma, dx));
}
void norm_backward_cudnn(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                         ConstView variance, ConstView gamma, View dx) {
  const Problem p = backward(g, dy, x, mean, gamma, dx);
  // gamma's gradient comes along with dx; whoever wants it asks norm_backward_affine, which has dbeta too.
  const Scratch inverse(bytes_of(g.statistics())), dgamma(bytes_of(g.channels()));
  kernels::inverse_deviations(variance, eps, inverse.as<float>());
  Given given;
  given.add(kX, x.data);
  given.add(kY, dy.data);
  given.add(kMean, mean.data);
  given.add(kInverse, inverse.as<void>());
  given.add(kGamma, gamma.data);
  given.add(kDx, dx.data);
  if (gamma.data != nullptr) given.add(kDgamma, dgamma.as<void>());
  given.run(p);
}

}  // namespace isobit::gpu::vendor
