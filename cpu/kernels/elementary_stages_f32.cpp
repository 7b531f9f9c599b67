// The f32 functions that go in stages (elementary_stages-inl.h), in the order in which that lists their
// operations: a file of its own, which the compiler shall not reorder.
// Twins: cuda/kernels/unary_elementary.cu, cuda/kernels/binary_gradients.cu, for all types.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/elementary_stages_f32.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/elementary_stages-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

UnaryTile<float> staged_tile_f32([[maybe_unused]] UnaryOp op) {
#if HWY_TARGET == HWY_AVX3
  if (kOneByOne) return nullptr;
  if (op == UnaryOp::sigmoid) return stages::unary_tile<Sigmoid, stages::Sigmoid>;
  if (op == UnaryOp::silu) return stages::unary_tile<Silu, stages::Silu>;
#endif
  return nullptr;
}

BinaryTile<float, float> staged_gradient_tile_f32([[maybe_unused]] BinaryOp op) {
#if HWY_TARGET == HWY_AVX3
  if (kOneByOne) return nullptr;
  if (op == BinaryOp::gelu_grad) return stages::gradient_tile<WholeGeluGrad, stages::GeluSlope>;
  if (op == BinaryOp::silu_grad) return stages::gradient_tile<SiluGrad, stages::SiluSlope>;
#endif
  return nullptr;
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
