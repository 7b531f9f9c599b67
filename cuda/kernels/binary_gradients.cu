// The gradients of elementary functions in binary: elu, softplus, silu, gelu. A thread owns one element at a
// time (grid-stride loop), both operands read by strides; f32, f16 and bf16 share a kernel. out may be an
// operand.
#include "core/numerics/pointwise.h"
#include "cuda/kernels/binary.cuh"
#include "cuda/kernels/walk.cuh"

namespace isobit::gpu::kernels {
namespace {

namespace pointwise = numerics::pointwise;

template <class T>
__device__ T gradient(BinaryOp op, T dy, T x, T a) {
  switch (op) {
    case BinaryOp::elu_grad:
      return pointwise::EluGrad()(dy, x, a);
    case BinaryOp::softplus_grad:
      return pointwise::SoftplusGrad()(dy, x, a);
    case BinaryOp::silu_grad:
      return pointwise::SiluGrad()(dy, x, a);
    default:
      return pointwise::GeluGrad()(dy, x, a);
  }
}

template <class T>
__global__ void __launch_bounds__(kMapThreads)
    binary_elementary(BinaryOp op, T p, Walk walk, const void* dy, const void* x, void* out, DType dtype) {
  for (std::int64_t i = grid_thread(); i < walk.numel; i += grid_threads()) {
    std::int64_t element[2];
    locate(walk, i, element);
    store_any(out, dtype, i,
              gradient(op, load_any<T>(dy, dtype, element[0]), load_any<T>(x, dtype, element[1]), p));
  }
}

template <class T>
void run(BinaryOp op, Scalar parameter, const StridedGeometry& g, ConstView a, ConstView b, View out) {
  const Walk walk = make_walk(g);
  launch(binary_elementary<T>, grid_stride_blocks(walk.numel, kMapThreads), kMapThreads, 0, op,
         scalar_as<T>(parameter), walk, a.data, b.data, out.data, out.dtype);
}

}  // namespace

void binary_gradients(BinaryOp op, Scalar parameter, const StridedGeometry& g, ConstView a, ConstView b,
                      View out) {
  if (!is_floating(a.dtype)) fail("binary", "{} is not defined for {}", name_of(op), a.dtype);
  if (a.dtype == DType::f64) return run<double>(op, parameter, g, a, b, out);
  run<float>(op, parameter, g, a, b, out);
}

}  // namespace isobit::gpu::kernels
