// binary: one function of two elements, each operand read by strides. A thread owns N neighbouring elements
// of the output: 128 bits of them where both operands lie in aligned packs or repeat one element along the
// last axis (dense, scalar, row and column broadcasts), else one; grid-stride loop. It reads before it
// writes, so out may be an operand. The function is chosen inside the kernel. Here: arithmetic and the short
// gradients.
#include "cuda/kernels/binary.cuh"

#include "core/numerics/pointwise.h"
#include "cuda/kernels/integers.cuh"
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/walk.cuh"

namespace isobit::gpu::kernels {
namespace {

namespace pointwise = numerics::pointwise;

/// x = function(x, y, p), element by element.
template <class Function, int N, class T>
__device__ void map(Function function, T (&x)[N], const T (&y)[N], T p) {
  for (int k = 0; k < N; ++k) x[k] = function(x[k], y[k], p);
}

template <int N, class T>
__device__ void apply(BinaryOp op, T (&x)[N], const T (&y)[N], T p) {
  if constexpr (std::is_floating_point_v<T>) {
    switch (op) {
      case BinaryOp::add:
        return map(pointwise::Add(), x, y, p);
      case BinaryOp::sub:
        return map(pointwise::Sub(), x, y, p);
      case BinaryOp::mul:
        return map(pointwise::Mul(), x, y, p);
      case BinaryOp::div:
        return map(pointwise::Div(), x, y, p);
      case BinaryOp::maximum:
        return map(pointwise::Maximum(), x, y, p);
      case BinaryOp::minimum:
        return map(pointwise::Minimum(), x, y, p);
      case BinaryOp::relu_grad:
        return map(pointwise::ReluGrad(), x, y, p);
      case BinaryOp::leaky_relu_grad:
        return map(pointwise::LeakyReluGrad(), x, y, p);
      case BinaryOp::sigmoid_grad:
        return map(pointwise::SigmoidGrad(), x, y, p);
      case BinaryOp::tanh_grad:
        return map(pointwise::TanhGrad(), x, y, p);
      default:
        return map(pointwise::AbsGrad(), x, y, p);
    }
  } else {
    switch (op) {
      case BinaryOp::add:
        return map([](T a, T b, T) { return integers::add(a, b); }, x, y, p);
      case BinaryOp::sub:
        return map([](T a, T b, T) { return integers::sub(a, b); }, x, y, p);
      case BinaryOp::mul:
        return map([](T a, T b, T) { return integers::mul(a, b); }, x, y, p);
      case BinaryOp::div:
        return map([](T a, T b, T) { return integers::div(a, b); }, x, y, p);
      case BinaryOp::maximum:
        return map([](T a, T b, T) { return b > a ? b : a; }, x, y, p);
      default:
        return map([](T a, T b, T) { return b < a ? b : a; }, x, y, p);
    }
  }
}

template <class S, int N>
__global__ void __launch_bounds__(kMapThreads)
    binary_short(BinaryOp op, Value<S> p, Walk walk, const S* a, const S* b, S* out) {
  for (std::int64_t i = N * grid_thread(); i < walk.numel; i += N * grid_threads()) {
    std::int64_t element[2];
    locate(walk, i, element);
    Value<S> x[N], y[N];
    read_operand<N>(a, element[0], walk.inner[0], i, walk.numel, x);
    read_operand<N>(b, element[1], walk.inner[1], i, walk.numel, y);
    apply(op, x, y, p);
    write<N>(out, i, walk.numel, true, x);
  }
}

}  // namespace

void binary(BinaryOp op, Scalar parameter, const StridedGeometry& g, ConstView a, ConstView b, View out) {
  if (is_comparison(op) || is_logical(op)) return binary_compare(op, g, a, b, out);
  if (is_elementary(op)) return binary_gradients(op, parameter, g, a, b, out);
  const Walk walk = make_walk(g);
  with_dtype(a.dtype, [&](auto type) {
    using S = Stored<decltype(type)>;
    if constexpr (std::is_same_v<S, Truth>) {
      fail("binary", "{} is not defined for bool", name_of(op));
    } else {
      constexpr int N = kPack<S>;
      const auto p = scalar_as<Value<S>>(parameter);
      if (packs_operand<S, N>(g, 0, a.data) && packs_operand<S, N>(g, 1, b.data) &&
          fits_packs<S, N>(out.data)) {
        launch(binary_short<S, N>, grid_stride_blocks(blocks_for(walk.numel, N), kMapThreads), kMapThreads, 0,
               op, p, walk, a.as<S>(), b.as<S>(), out.as<S>());
      } else {
        launch(binary_short<S, 1>, grid_stride_blocks(walk.numel, kMapThreads), kMapThreads, 0, op, p, walk,
               a.as<S>(), b.as<S>(), out.as<S>());
      }
    }
  });
}

}  // namespace isobit::gpu::kernels
