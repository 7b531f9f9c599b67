// The unary functions that are made of elementary functions, in f32.
// Twin: cuda/kernels/unary_elementary.cu, for all types.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/unary_elementary_f32.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/gelu_mixed-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

UnaryTile<float> elementary_tile_f32(UnaryOp op) {
  if (const auto staged = staged_tile_f32(op)) return staged;
  switch (op) {
    case UnaryOp::exp:
      return ranged_tile<Exp, ranges::Exp>;
    case UnaryOp::expm1:
      return unary_tile<Expm1, float>;
    case UnaryOp::log:
      return unary_tile<Log, float>;
    case UnaryOp::log1p:
      return unary_tile<Log1p, float>;
    case UnaryOp::sin:
      return unary_tile<Sin, float>;
    case UnaryOp::cos:
      return unary_tile<Cos, float>;
    case UnaryOp::erf:
      return unary_tile<Erf, float>;
    case UnaryOp::tanh:
      return ranged_tile<Tanh, ranges::Tanh>;
    case UnaryOp::sigmoid:
      return ranged_tile<Sigmoid, ranges::Sigmoid>;
    case UnaryOp::softplus:
      return unary_tile<Softplus, float>;
    case UnaryOp::silu:
      return ranged_tile<Silu, ranges::Silu>;
    case UnaryOp::gelu:
      return gelu_tile;
    case UnaryOp::elu:
      return unary_tile<Elu, float>;
    default:
      return nullptr;
  }
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
