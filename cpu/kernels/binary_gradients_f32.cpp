// The gradients of element-wise functions, in f32. Twin: cuda/kernels/binary_gradients.cu, for all types.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/binary_gradients_f32.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/elementary_stages-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

BinaryTile<float, float> gradient_tile_f32(BinaryOp op) {
  if (const auto staged = staged_gradient_tile_f32(op)) return staged;
  switch (op) {
    case BinaryOp::relu_grad:
      return binary_tile<ReluGrad, float>;
    case BinaryOp::leaky_relu_grad:
      return binary_tile<LeakyReluGrad, float>;
    case BinaryOp::elu_grad:
      return binary_tile<EluGrad, float>;
    case BinaryOp::sigmoid_grad:
      return binary_tile<SigmoidGrad, float>;
    case BinaryOp::tanh_grad:
      return binary_tile<TanhGrad, float>;
    case BinaryOp::softplus_grad:
      return binary_tile<SoftplusGrad, float>;
    case BinaryOp::silu_grad:
      return ranged_gradient_tile<SiluGrad, ranges::SiluGrad>;
    case BinaryOp::gelu_grad:
      return ranged_gradient_tile<WholeGeluGrad, ranges::GeluGrad>;
    case BinaryOp::abs_grad:
      return binary_tile<AbsGrad, float>;
    default:
      return nullptr;
  }
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
