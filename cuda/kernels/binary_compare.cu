// The comparisons and the logic of binary, whose output is bool. Ownership as in binary.cu; bool operands
// count as 0 or 1, whatever their byte. Twins: cpu/kernels/binary.cpp and integers.cpp.
#include "cuda/kernels/binary.cuh"
#include "cuda/kernels/walk.cuh"

namespace isobit::gpu::kernels {
namespace {

template <class T>
__device__ bool compare(BinaryOp op, T a, T b) {
  switch (op) {
    case BinaryOp::eq:
      return a == b;
    case BinaryOp::ne:
    case BinaryOp::logical_xor:
      return a != b;
    case BinaryOp::lt:
      return a < b;
    case BinaryOp::le:
      return a <= b;
    case BinaryOp::gt:
      return a > b;
    case BinaryOp::ge:
      return a >= b;
    case BinaryOp::logical_and:
      return a != 0 && b != 0;
    default:
      return a != 0 || b != 0;
  }
}

template <class S, int N>
__global__ void __launch_bounds__(kMapThreads)
    binary_truth(BinaryOp op, Walk walk, const S* a, const S* b, Truth* out) {
  for (std::int64_t i = N * grid_thread(); i < walk.numel; i += N * grid_threads()) {
    std::int64_t element[2];
    locate(walk, i, element);
    Value<S> x[N], y[N];
    std::uint8_t truth[N];
    read_operand<N>(a, element[0], walk.inner[0], i, walk.numel, x);
    read_operand<N>(b, element[1], walk.inner[1], i, walk.numel, y);
    for (int k = 0; k < N; ++k) truth[k] = compare(op, x[k], y[k]) ? 1 : 0;
    write<N>(out, i, walk.numel, true, truth);
  }
}

}  // namespace

void binary_compare(BinaryOp op, const StridedGeometry& g, ConstView a, ConstView b, View out) {
  if (is_logical(op) && a.dtype != DType::boolean)
    fail("binary", "{} is not defined for {}", name_of(op), a.dtype);
  const Walk walk = make_walk(g);
  with_dtype(a.dtype, [&](auto type) {
    using S = Stored<decltype(type)>;
    constexpr int N = kPack<S>;
    if (packs_operand<S, N>(g, 0, a.data) && packs_operand<S, N>(g, 1, b.data) &&
        fits_packs<Truth, N>(out.data)) {
      launch(binary_truth<S, N>, grid_stride_blocks(blocks_for(walk.numel, N), kMapThreads), kMapThreads, 0,
             op, walk, a.as<S>(), b.as<S>(), out.as<Truth>());
    } else {
      launch(binary_truth<S, 1>, grid_stride_blocks(walk.numel, kMapThreads), kMapThreads, 0, op, walk,
             a.as<S>(), b.as<S>(), out.as<Truth>());
    }
  });
}

}  // namespace isobit::gpu::kernels
