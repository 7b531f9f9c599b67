// The unary functions that are made of elementary functions, in f64.
// Twin: cuda/kernels/unary_elementary.cu, for all types.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/unary_elementary_f64.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/pointwise_simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

UnaryTile<double> elementary_tile_f64(UnaryOp op) {
  switch (op) {
    case UnaryOp::exp:
      return unary_tile<Exp, double>;
    case UnaryOp::expm1:
      return unary_tile<Expm1, double>;
    case UnaryOp::log:
      return unary_tile<Log, double>;
    case UnaryOp::log1p:
      return unary_tile<Log1p, double>;
    case UnaryOp::sin:
      return unary_tile<Sin, double>;
    case UnaryOp::cos:
      return unary_tile<Cos, double>;
    case UnaryOp::erf:
      return unary_tile<Erf, double>;
    case UnaryOp::tanh:
      return unary_tile<Tanh, double>;
    case UnaryOp::sigmoid:
      return unary_tile<Sigmoid, double>;
    case UnaryOp::softplus:
      return unary_tile<Softplus, double>;
    case UnaryOp::silu:
      return unary_tile<Silu, double>;
    case UnaryOp::gelu:
      return unary_tile<Gelu, double>;
    case UnaryOp::elu:
      return unary_tile<Elu, double>;
    default:
      return nullptr;
  }
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
