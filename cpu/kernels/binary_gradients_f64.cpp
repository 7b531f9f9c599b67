// The gradients of element-wise functions, in f64. Twin: cuda/kernels/binary_gradients.cu, for all types.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/binary_gradients_f64.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/pointwise_simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

BinaryTile<double, double> gradient_tile_f64(BinaryOp op) {
  switch (op) {
    case BinaryOp::relu_grad:
      return binary_tile<ReluGrad, double>;
    case BinaryOp::leaky_relu_grad:
      return binary_tile<LeakyReluGrad, double>;
    case BinaryOp::elu_grad:
      return binary_tile<EluGrad, double>;
    case BinaryOp::sigmoid_grad:
      return binary_tile<SigmoidGrad, double>;
    case BinaryOp::tanh_grad:
      return binary_tile<TanhGrad, double>;
    case BinaryOp::softplus_grad:
      return binary_tile<SoftplusGrad, double>;
    case BinaryOp::silu_grad:
      return binary_tile<SiluGrad, double>;
    case BinaryOp::gelu_grad:
      return binary_tile<GeluGrad, double>;
    case BinaryOp::abs_grad:
      return binary_tile<AbsGrad, double>;
    default:
      return nullptr;
  }
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
