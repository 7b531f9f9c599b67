// Fast mode's convolutions by cuDNN's graph interface. x and y lie as its channels-last tensors do. Its
// filters want [k, t, r, s, c], ours are [t, r, s, c, k]: a copy is transposed, of w before the sum, of dw
// after it. f32 that is to be multiplied as f16 or bf16 is rounded into a copy.
#include <isobit/arithmetic.h>
#include <isobit/error.h>

#include <algorithm>
#include <optional>

#include "core/activation.h"
#include "cuda/kernels/conv.cuh"
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/tensor_product.cuh"
#include "cuda/runtime/scratch.cuh"
#include "cuda/vendor/cudnn.cuh"
#include "cuda/vendor/vendor.h"

namespace isobit::gpu::vendor {
namespace {

enum class Direction : std::int64_t { forward, backward_input, backward_filter };

/// The attributes of the operation of each direction.
struct Operation {
  const char* op;
  cudnnBackendDescriptorType_t type;
  CudnnAttribute convolution, x, w, y, alpha, beta;
};
const Operation& operation_of(Direction direction) {
  constexpr auto part = CUDNN_TYPE_BACKEND_DESCRIPTOR, real = CUDNN_TYPE_FLOAT;
  static const Operation all[] = {
      {"conv_forward",
       CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
       {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, part, "OPERATION_CONVOLUTION_FORWARD_CONV_DESC"},
       {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, part, "OPERATION_CONVOLUTION_FORWARD_X"},
       {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, part, "OPERATION_CONVOLUTION_FORWARD_W"},
       {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, part, "OPERATION_CONVOLUTION_FORWARD_Y"},
       {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, real, "OPERATION_CONVOLUTION_FORWARD_ALPHA"},
       {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, real, "OPERATION_CONVOLUTION_FORWARD_BETA"}},
      {"conv_backward_input",
       CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
       {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, part,
        "OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC"},
       {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, part, "OPERATION_CONVOLUTION_BWD_DATA_DX"},
       {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, part, "OPERATION_CONVOLUTION_BWD_DATA_W"},
       {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, part, "OPERATION_CONVOLUTION_BWD_DATA_DY"},
       {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, real, "OPERATION_CONVOLUTION_BWD_DATA_ALPHA"},
       {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, real, "OPERATION_CONVOLUTION_BWD_DATA_BETA"}},
      {"conv_backward_filter",
       CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
       {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, part,
        "OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC"},
       {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, part, "OPERATION_CONVOLUTION_BWD_FILTER_X"},
       {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, part, "OPERATION_CONVOLUTION_BWD_FILTER_DW"},
       {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, part, "OPERATION_CONVOLUTION_BWD_FILTER_DY"},
       {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, real, "OPERATION_CONVOLUTION_BWD_FILTER_ALPHA"},
       {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, real, "OPERATION_CONVOLUTION_BWD_FILTER_BETA"}}};
  return all[static_cast<std::size_t>(direction)];
}

constexpr std::int64_t kX = 1, kW = 2, kY = 3;  // the tensors' ids

/// A convolution as cuDNN is asked for it.
struct Problem {
  Direction direction;
  const ConvGeometry& g;
  DType stored;       ///< of the seam's tensors
  DType multiplied;   ///< of the operands
  const void *x, *y;  ///< for their alignment; that of copies is known

  const Operation& operation() const { return operation_of(direction); }
  CudnnCall call() const {
    return {operation().op,
            [this] { return fmt::format("{}, {}, {}", g.to_string(), stored, name_of(current_math())); }};
  }
  bool copies() const { return multiplied != stored; }
};

DType multiplied(DType stored) {
  if (stored != DType::f32) return stored;
  return current_math() == Math::fast_f16    ? DType::f16
         : current_math() == Math::fast_bf16 ? DType::bf16
                                             : DType::f32;
}

std::vector<CudnnDescriptor> parts_of(const Problem& p) {
  const CudnnCall call = p.call();
  const ConvGeometry& g = p.g;
  const std::size_t first = first_axis(g.axis);
  const std::int64_t n = first == 1 ? g.n * g.axis[0].in : g.n;
  std::vector<std::int64_t> x{n, g.c}, w{g.k, g.c_per_group()}, y{n, g.k};
  std::vector<std::int64_t> before, after, stride, dilation;
  for (std::size_t i = first; i < 3; ++i) {
    const AxisGeometry& a = g.axis[i];
    x.push_back(a.in), w.push_back(a.filter), y.push_back(a.out);
    before.push_back(a.pad_before), after.push_back(a.pad_after);
    stride.push_back(a.stride), dilation.push_back(a.dilation);
  }
  const bool sum_is_x = p.direction == Direction::backward_input,
             sum_is_w = p.direction == Direction::backward_filter;
  const auto alignment = [&](const void* data, bool is_sum) {
    return p.copies() && !is_sum ? kCudnnMostAligned : cudnn_alignment(data);
  };
  std::vector<CudnnDescriptor> parts;
  parts.push_back(describe(channels_last("tensor x", kX, cudnn_type(sum_is_x ? p.stored : p.multiplied),
                                         std::move(x), alignment(p.x, sum_is_x)),
                           call));
  parts.push_back(describe(channels_last("tensor w", kW, cudnn_type(sum_is_w ? p.stored : p.multiplied),
                                         std::move(w), kCudnnMostAligned),
                           call));
  const bool sum_is_y = p.direction == Direction::forward;
  parts.push_back(describe(channels_last("tensor y", kY, cudnn_type(sum_is_y ? p.stored : p.multiplied),
                                         std::move(y), alignment(p.y, sum_is_y)),
                           call));

  CudnnDescriptor convolution(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, "convolution", call);
  convolution.set({CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, "CONVOLUTION_SPATIAL_DIMS"},
                  static_cast<std::int64_t>(before.size()), call);
  convolution.set({CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, "CONVOLUTION_COMP_TYPE"},
                  CUDNN_DATA_FLOAT, call);
  convolution.set({CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, "CONVOLUTION_CONV_MODE"},
                  CUDNN_CROSS_CORRELATION, call);
  convolution.set_all({CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, "CONVOLUTION_PRE_PADDINGS"},
                      before, call);
  convolution.set_all({CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, "CONVOLUTION_POST_PADDINGS"},
                      after, call);
  convolution.set_all({CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, "CONVOLUTION_FILTER_STRIDES"},
                      stride, call);
  convolution.set_all({CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, "CONVOLUTION_DILATIONS"}, dilation,
                      call);
  convolution.finalize(call);
  parts.push_back(std::move(convolution));

  const Operation& names = p.operation();
  CudnnDescriptor operation(names.type, "operation", call);
  operation.set_part(names.x, parts[0], call);
  operation.set_part(names.w, parts[1], call);
  operation.set_part(names.y, parts[2], call);
  operation.set_part(names.convolution, parts[3], call);
  operation.set(names.alpha, 1.0F, call);
  operation.set(names.beta, 0.0F, call);
  operation.finalize(call);
  parts.push_back(std::move(operation));
  return parts;
}

std::shared_ptr<const CudnnPlan> plan_of(const Problem& p) {
  const ConvGeometry& g = p.g;
  CudnnKey key{static_cast<std::int64_t>(p.direction),
               static_cast<std::int64_t>(p.stored),
               g.n,
               g.c,
               g.k,
               g.groups,
               cudnn_alignment(p.x),
               cudnn_alignment(p.y)};
  for (const AxisGeometry& a : g.axis)
    for (const std::int64_t v : {a.in, a.filter, a.out, a.stride, a.dilation, a.pad_before, a.pad_after})
      key.push_back(v);
  return cudnn_plan(std::move(key), p.call(), [&] { return parts_of(p); });
}

/// What tensor_cores refuse is refused here too: no build and no installed library changes what is chosen.
const char* refuse(const Problem& p) {
  const ConvGeometry& g = p.g;
  if (const char* why = kernels::refuse_tensor_product(p.stored)) return why;
  if (g.groups > 1 && (g.c_per_group() == 1 || g.k_per_group() == 1))
    return "groups of one channel fill no matrix unit";
  if (const char* why = kernels::refuse_gemm(g)) return why;
  for (const AxisGeometry& a : g.axis) {
    if (a.pad_before < 0 || a.pad_after < 0) return "cuDNN does not crop";
    if ((a.pad_before > 0 || a.pad_after > 0) && (a.mode != PadMode::constant || g.pad_value != 0))
      return "cuDNN pads with zeros";
  }
  if (const char* why = refuse_sizes({g.x_size(), g.w_size(), g.y_size()})) return why;
  if (const char* why = refuse_cudnn()) return why;
  const auto plan = plan_of(p);
  return plan->refusal.empty() ? nullptr : kept(plan->refusal);
}

/// A dense matrix of `rows` and `columns`, in columns.
void transpose(ConstView from, std::int64_t rows, std::int64_t columns, View to) {
  StridedGeometry s;
  s.rank = 2;
  s.extent = {columns, rows};
  s.stride[0] = {1, columns};
  kernels::strided_copy(s, from, to);
}

/// A copy of an operand in another type or order, while the sum is computed.
class Copy {
 public:
  Copy(DType dtype, std::int64_t numel)
      : room_(numel * static_cast<std::int64_t>(size_of(dtype))), view_{room_.as<void>(), dtype, numel} {}
  View view() const { return view_; }

 private:
  Scratch room_;
  View view_;
};

/// The operand in the type in which it is multiplied; `copy` keeps what had to be rounded.
ConstView rounded(const Problem& p, ConstView operand, std::optional<Copy>& copy) {
  if (!p.copies()) return operand;
  copy.emplace(p.multiplied, operand.numel);
  kernels::cast(operand, copy->view());
  return copy->view();
}

/// x, w and y are what the problem's operation has in their places; one of them is the sum.
void run(const Problem& p, const void* x, const void* w, const void* y) {
  const CudnnCall call = p.call();
  const auto plan = plan_of(p);
  if (!plan->refusal.empty()) fail(call.op, "{}", plan->refusal);
  execute(*plan, {kX, kW, kY}, {const_cast<void*>(x), const_cast<void*>(w), const_cast<void*>(y)}, call);
}

/// w [t, r, s, c, k] as [k, t, r, s, c], rounded; `copy` keeps it.
ConstView filters(const Problem& p, ConstView w, std::optional<Copy>& copy) {
  std::optional<Copy> narrow;
  const ConstView from = rounded(p, w, narrow);
  copy.emplace(from.dtype, from.numel);
  transpose(from, p.g.terms(), p.g.k, copy->view());
  return copy->view();
}

Problem problem(Direction direction, const ConvGeometry& g, ConstView x, ConstView y) {
  return {direction, g, x.dtype, multiplied(x.dtype), x.data, y.data};
}

}  // namespace

const char* refuse_conv_forward_cudnn(const ConvGeometry& g, ConstView x, ConstView, const Epilogue& e,
                                      View y) {
  if (e.bias.data != nullptr && x.dtype != DType::f32)
    return "the sum would be rounded before and after the bias is added";
  return refuse(problem(Direction::forward, g, x, y));
}
void conv_forward_cudnn(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& e, View y) {
  const Problem p = problem(Direction::forward, g, x, y);
  {
    std::optional<Copy> narrow, turned;
    const ConstView filter = filters(p, w, turned);
    run(p, rounded(p, x, narrow).data, filter.data, y.data);
  }
  if (e.bias.data != nullptr) {
    StridedGeometry s;
    s.rank = 2;
    s.extent = {y.numel / g.k, g.k};
    s.stride[0] = {g.k, 1};
    s.stride[1] = {0, 1};
    kernels::binary(BinaryOp::add, {}, s, y, e.bias, y);
  }
  if (relu_by_tiles(e, y.dtype)) kernels::unary(UnaryOp::relu, {}, y, y);
  kernels::activate(e, y);
}

const char* refuse_conv_backward_input_cudnn(const ConvGeometry& g, ConstView dy, ConstView, View dx) {
  return refuse(problem(Direction::backward_input, g, dx, dy));
}
void conv_backward_input_cudnn(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  const Problem p = problem(Direction::backward_input, g, dx, dy);
  std::optional<Copy> narrow, turned;
  const ConstView filter = filters(p, w, turned);
  run(p, dx.data, filter.data, rounded(p, dy, narrow).data);
}

const char* refuse_conv_backward_filter_cudnn(const ConvGeometry& g, ConstView x, ConstView dy, View) {
  return refuse(problem(Direction::backward_filter, g, x, dy));
}
void conv_backward_filter_cudnn(const ConvGeometry& g, ConstView x, ConstView dy, View dw) {
  const Problem p = problem(Direction::backward_filter, g, x, dy);
  std::optional<Copy> narrow_x, narrow_dy;
  const Copy turned(dw.dtype, dw.numel);
  run(p, rounded(p, x, narrow_x).data, turned.view().data, rounded(p, dy, narrow_dy).data);
  transpose(turned.view(), g.k, g.terms(), dw);
}

}  // namespace isobit::gpu::vendor
