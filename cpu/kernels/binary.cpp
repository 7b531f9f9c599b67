// binary: arithmetic, comparisons and gradients of two operands with broadcasting. A lane owns an element, a
// task a range of the output; elementwise-inl.h brings every operand into contiguous tiles. Results larger
// than the caches go past them. Integers and bool: integers.cpp.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/binary.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/integers-inl.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/pointwise_simd-inl.h"
#include "cpu/kernels/stream-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

template <class T>
BinaryTile<T, T> tile_of(BinaryOp op) {
  switch (op) {
    case BinaryOp::add:
      return binary_tile<Add, T>;
    case BinaryOp::sub:
      return binary_tile<Sub, T>;
    case BinaryOp::mul:
      return binary_tile<Mul, T>;
    case BinaryOp::div:
      return binary_tile<Div, T>;
    case BinaryOp::maximum:
      return binary_tile<Maximum, T>;
    case BinaryOp::minimum:
      return binary_tile<Minimum, T>;
    default:
      if constexpr (std::is_same_v<T, float>) return gradient_tile_f32(op);
      if constexpr (std::is_same_v<T, double>) return gradient_tile_f64(op);
  }
}

std::int64_t cost_of(BinaryOp op) {
  return op == BinaryOp::elu_grad || op >= BinaryOp::softplus_grad ? 32 : 0;
}

template <class S>
void apply(BinaryOp op, Scalar parameter, const StridedGeometry& g, const S* a, const S* b, View out) {
  using T = Compute<S>;
  if (is_comparison(op))
    return binary_loop<S, T, bool, bool>(comparison_tile<T>(op), T{0}, g, a, b, out.as<bool>(), 0);
  const T p = parameter.is_integer ? static_cast<T>(parameter.integer) : static_cast<T>(parameter.real);
  S* const to = out.as<S>();
  const bool past = to != a && to != b && past_caches(to, out.numel * static_cast<std::int64_t>(sizeof(S)));
  binary_loop<S, T, T, S>(tile_of<T>(op), p, g, a, b, to, cost_of(op), past);
}

}  // namespace

void run_binary(BinaryOp op, Scalar parameter, const StridedGeometry& g, ConstView a, ConstView b, View out) {
  if (!is_floating(a.dtype)) return integer_binary(op, g, a, b, out);
  with_floating(a.dtype, [&](auto type) {
    using S = decltype(type);
    apply(op, parameter, g, a.as<S>(), b.as<S>(), out);
  });
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(run_binary);

namespace kernels {
const char* refuse_binary(BinaryOp op, Scalar, const StridedGeometry&, ConstView a, ConstView, View) {
  if (is_floating(a.dtype)) return is_logical(op) ? "logical functions are for bool" : nullptr;
  if (a.dtype == DType::boolean)
    return is_logical(op) || is_comparison(op) ? nullptr : "bool has comparisons and logical functions alone";
  return is_gradient(op) || is_logical(op) ? "not a function of integers" : nullptr;
}
void binary(BinaryOp op, Scalar parameter, const StridedGeometry& g, ConstView a, ConstView b, View out) {
  HWY_DYNAMIC_DISPATCH(run_binary)(op, parameter, g, a, b, out);
}
}  // namespace kernels
}  // namespace isobit::cpu
#endif
