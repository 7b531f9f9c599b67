// The elementary functions of unary: exp, log, tanh, sin and their kin. A thread owns one element at a time
// (grid-stride loop): the functions are long enough to hide the access, and one copy of each keeps the
// kernels small. f32, f16 and bf16 share a kernel, f64 has its own; sin and cos, which carry the reduction of
// large angles, have theirs. out may be x.
#include "core/numerics/pointwise.h"
#include "cuda/kernels/elements.cuh"
#include "cuda/kernels/unary.cuh"

namespace isobit::gpu::kernels {
namespace {

namespace pointwise = numerics::pointwise;

template <class T>
__device__ T elementary(UnaryOp op, T x, T a) {
  switch (op) {
    case UnaryOp::exp:
      return pointwise::Exp()(x, a);
    case UnaryOp::expm1:
      return pointwise::Expm1()(x, a);
    case UnaryOp::log:
      return pointwise::Log()(x, a);
    case UnaryOp::log1p:
      return pointwise::Log1p()(x, a);
    case UnaryOp::erf:
      return pointwise::Erf()(x, a);
    case UnaryOp::tanh:
      return pointwise::Tanh()(x, a);
    case UnaryOp::sigmoid:
      return pointwise::Sigmoid()(x, a);
    case UnaryOp::softplus:
      return pointwise::Softplus()(x, a);
    case UnaryOp::silu:
      return pointwise::Silu()(x, a);
    case UnaryOp::gelu:
      return pointwise::Gelu()(x, a);
    default:
      return pointwise::Elu()(x, a);
  }
}

template <class T>
__global__ void __launch_bounds__(kMapThreads)
    map_elementary(UnaryOp op, T a, const void* x, void* out, DType dtype, std::int64_t n) {
  for (std::int64_t i = grid_thread(); i < n; i += grid_threads())
    store_any(out, dtype, i, elementary(op, load_any<T>(x, dtype, i), a));
}

template <class T>
__global__ void __launch_bounds__(kMapThreads)
    map_circular(bool cosine, const void* x, void* out, DType dtype, std::int64_t n) {
  for (std::int64_t i = grid_thread(); i < n; i += grid_threads()) {
    const T angle = load_any<T>(x, dtype, i);
    store_any(out, dtype, i, cosine ? numerics::cos(angle) : numerics::sin(angle));
  }
}

template <class T>
void run(UnaryOp op, Scalar a, ConstView x, View out) {
  const Grid grid = grid_stride_blocks(out.numel, kMapThreads);
  if (op == UnaryOp::sin || op == UnaryOp::cos) {
    launch(map_circular<T>, grid, kMapThreads, 0, op == UnaryOp::cos, x.data, out.data, out.dtype, out.numel);
  } else {
    launch(map_elementary<T>, grid, kMapThreads, 0, op, scalar_as<T>(a), x.data, out.data, out.dtype,
           out.numel);
  }
}

}  // namespace

void unary_elementary(UnaryOp op, Scalar a, ConstView x, View out) {
  if (!is_floating(x.dtype)) fail("unary", "{} is not defined for {}", name_of(op), x.dtype);
  if (x.dtype == DType::f64) return run<double>(op, a, x, out);
  run<float>(op, a, x, out);
}

}  // namespace isobit::gpu::kernels
