// binary: arithmetic, comparisons and gradients of two operands with broadcasting. A lane owns an element, a
// task a range of the output; elementwise-inl.h brings every operand into contiguous tiles. Results larger
// than the caches go past them where an operand is repeated or widened. Integers and bool: integers.cpp.
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

/// binary_loop for results that go past the caches: a tile at a time lies in the first-level cache before.
template <class S, class T>
void loop_past_caches(BinaryTile<T, T> f, T parameter, const StridedGeometry& g, const S* a, const S* b,
                      S* out, std::int64_t cost) {
  for_ranges(g.numel(), static_cast<std::int64_t>(3 * sizeof(S)) + cost,
             [&](std::int64_t begin, std::int64_t end) {
               Operand<S, T> first(g, 0, a), second(g, 1, b);
               HWY_ALIGN T a_tile[2 * kTile];
               HWY_ALIGN T b_tile[2 * kTile];
               HWY_ALIGN T result[kTile];
               for (std::int64_t i = begin; i < end; i += kTile) {
                 const std::int64_t n = std::min(kTile, end - i);
                 f(parameter, first.tile(i, n, a_tile), second.tile(i, n, b_tile), result, n);
                 if constexpr (std::is_same_v<S, T>) {
                   stream_tile(result, out + i, n);
                 } else {
                   HWY_ALIGN S narrow[kTile];
                   convert_tile(result, narrow, n);
                   stream_tile(narrow, out + i, n);
                 }
               }
               hwy::FlushStream();
             });
}

template <class S>
void apply(BinaryOp op, Scalar parameter, const StridedGeometry& g, const S* a, const S* b, View out) {
  using T = Compute<S>;
  if (is_comparison(op))
    return binary_loop<S, T, bool, bool>(comparison_tile<T>(op), T{0}, g, a, b, out.as<bool>(), 0);
  const T p = parameter.is_integer ? static_cast<T>(parameter.integer) : static_cast<T>(parameter.real);
  S* const to = out.as<S>();
  // Three tensors that are walked side by side are faster through the caches (measured).
  const bool dense = Operand<S, T>(g, 0, a).direct() && Operand<S, T>(g, 1, b).direct();
  if (!dense && to != a && to != b && past_caches(to, out.numel * static_cast<std::int64_t>(sizeof(S))))
    return loop_past_caches<S, T>(tile_of<T>(op), p, g, a, b, to, cost_of(op));
  binary_loop<S, T, T, S>(tile_of<T>(op), p, g, a, b, to, cost_of(op));
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
