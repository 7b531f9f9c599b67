// unary: one function of each element. A thread owns up to 8 neighbouring elements, 128 bits of them where x
// and out are aligned, else it takes them one by one; it reads before it writes, so out may be x. The
// function is chosen inside the kernel, outside of the loop over the thread's elements. Elementary functions:
// unary_elementary.cu.
#include "cuda/kernels/unary.cuh"

#include "core/numerics/pointwise.h"
#include "cuda/kernels/elements.cuh"
#include "cuda/kernels/integers.cuh"
#include "cuda/kernels/kernels.h"

namespace isobit::gpu::kernels {
namespace {

namespace pointwise = numerics::pointwise;

template <class Function, int N, class T>
__device__ void map(Function function, T (&v)[N], T a) {
  for (int k = 0; k < N; ++k) v[k] = function(v[k], a);
}

template <int N, class T>
__device__ void apply(UnaryOp op, T (&v)[N], T a) {
  if constexpr (std::is_floating_point_v<T>) {
    switch (op) {
      case UnaryOp::neg:
        return map(pointwise::Neg(), v, a);
      case UnaryOp::abs:
        return map(pointwise::Abs(), v, a);
      case UnaryOp::sign:
        return map(pointwise::Sign(), v, a);
      case UnaryOp::square:
        return map(pointwise::Square(), v, a);
      case UnaryOp::sqrt:
        return map(pointwise::Sqrt(), v, a);
      case UnaryOp::reciprocal:
        return map(pointwise::Reciprocal(), v, a);
      case UnaryOp::relu:
        return map(pointwise::Relu(), v, a);
      case UnaryOp::leaky_relu:
        return map(pointwise::LeakyRelu(), v, a);
      case UnaryOp::add_scalar:
        return map(pointwise::AddScalar(), v, a);
      case UnaryOp::mul_scalar:
        return map(pointwise::MulScalar(), v, a);
      case UnaryOp::div_scalar:
        return map(pointwise::DivScalar(), v, a);
      default:
        return map(pointwise::RsubScalar(), v, a);
    }
  } else {
    switch (op) {
      case UnaryOp::neg:
        return map([](T x, T) { return integers::sub(T{0}, x); }, v, a);
      case UnaryOp::abs:
        return map([](T x, T) { return integers::negative(x) ? integers::sub(T{0}, x) : x; }, v, a);
      case UnaryOp::sign:
        return map([](T x, T) { return static_cast<T>(integers::negative(x) ? -1 : x != 0 ? 1 : 0); }, v, a);
      case UnaryOp::square:
        return map([](T x, T) { return integers::mul(x, x); }, v, a);
      case UnaryOp::relu:
        return map([](T x, T) { return integers::negative(x) ? T{0} : x; }, v, a);
      case UnaryOp::add_scalar:
        return map([](T x, T s) { return integers::add(x, s); }, v, a);
      case UnaryOp::mul_scalar:
        return map([](T x, T s) { return integers::mul(x, s); }, v, a);
      case UnaryOp::div_scalar:
        return map([](T x, T s) { return integers::div(x, s); }, v, a);
      default:
        return map([](T x, T s) { return integers::sub(s, x); }, v, a);
    }
  }
}

template <class S>
__global__ void __launch_bounds__(kMapThreads)
    unary_short(UnaryOp op, Value<S> a, const S* x, S* out, std::int64_t n, bool aligned) {
  constexpr int N = kPack<S>;
  for (std::int64_t i = N * grid_thread(); i < n; i += N * grid_threads()) {
    Value<S> v[N];
    read<N>(x, i, n, aligned, v);
    apply(op, v, a);
    write<N>(out, i, n, aligned, v);
  }
}

/// logical_not of bool, is_nan of floating elements.
template <class S>
__global__ void __launch_bounds__(kMapThreads)
    unary_test(const S* x, Truth* out, std::int64_t n, bool aligned) {
  constexpr int N = kPack<S>;
  for (std::int64_t i = N * grid_thread(); i < n; i += N * grid_threads()) {
    Value<S> v[N];
    std::uint8_t truth[N];
    read<N>(x, i, n, aligned, v);
    for (int k = 0; k < N; ++k) {
      if constexpr (std::is_same_v<S, Truth>) {
        truth[k] = v[k] ^ 1;
      } else {
        truth[k] = v[k] != v[k] ? 1 : 0;
      }
    }
    write<N>(out, i, n, aligned, truth);
  }
}

}  // namespace

void unary(UnaryOp op, Scalar a, ConstView x, View out) {
  if (is_elementary(op)) return unary_elementary(op, a, x, out);
  const std::int64_t n = out.numel;
  const bool test = op == UnaryOp::logical_not || op == UnaryOp::is_nan;
  with_dtype(x.dtype, [&](auto type) {
    using S = Stored<decltype(type)>;
    using T = Value<S>;
    constexpr int N = kPack<S>;
    constexpr bool kFloating = std::is_floating_point_v<T>;
    const Grid grid = grid_stride_blocks(blocks_for(n, N), kMapThreads);
    const bool aligned_x = fits_packs<S, N>(x.data);
    if constexpr (kFloating || std::is_same_v<S, Truth>) {
      if (test) {
        const bool aligned = aligned_x && fits_packs<Truth, N>(out.data);
        return launch(unary_test<S>, grid, kMapThreads, 0, x.as<S>(), out.as<Truth>(), n, aligned);
      }
    }
    if constexpr (std::is_same_v<S, Truth>) {
      fail("unary", "{} is not defined for bool", name_of(op));
    } else {
      const bool aligned = aligned_x && fits_packs<S, N>(out.data);
      launch(unary_short<S>, grid, kMapThreads, 0, op, scalar_as<T>(a), x.as<S>(), out.as<S>(), n, aligned);
    }
  });
}

}  // namespace isobit::gpu::kernels
