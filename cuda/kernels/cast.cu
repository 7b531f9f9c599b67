// cast: any element type to any (core/numerics/casts.h). A thread owns four neighbouring elements, which it
// reads and writes at once where both sides are aligned; one kernel for each type that is read, which tells
// the types that are written apart by itself.
#include "cuda/kernels/elements.cuh"
#include "cuda/kernels/kernels.h"

namespace isobit::gpu::kernels {
namespace {

constexpr int kFour = 4;

template <class To, class T>
__device__ void write_as(const T (&v)[kFour], void* out, std::int64_t i, std::int64_t n, bool aligned) {
  write<kFour>(static_cast<To*>(out), i, n, aligned, v);
}

template <class From>
__global__ void __launch_bounds__(kMapThreads)
    convert(const From* in, void* out, DType to, std::int64_t n, bool aligned) {
  for (std::int64_t i = kFour * grid_thread(); i < n; i += kFour * grid_threads()) {
    Value<From> v[kFour];
    read<kFour>(in, i, n, aligned, v);
    switch (to) {
      case DType::f32:
        write_as<float>(v, out, i, n, aligned);
        break;
      case DType::f64:
        write_as<double>(v, out, i, n, aligned);
        break;
      case DType::f16:
        write_as<f16>(v, out, i, n, aligned);
        break;
      case DType::bf16:
        write_as<bf16>(v, out, i, n, aligned);
        break;
      case DType::i32:
        write_as<std::int32_t>(v, out, i, n, aligned);
        break;
      case DType::i64:
        write_as<std::int64_t>(v, out, i, n, aligned);
        break;
      case DType::u8:
        write_as<std::uint8_t>(v, out, i, n, aligned);
        break;
      case DType::boolean:
        write_as<Truth>(v, out, i, n, aligned);
        break;
    }
  }
}

}  // namespace

void cast(ConstView in, View out) {
  const std::int64_t n = out.numel;
  bool aligned = false;
  with_dtype(out.dtype, [&](auto type) { aligned = fits_packs<Stored<decltype(type)>, kFour>(out.data); });
  with_dtype(in.dtype, [&](auto type) {
    using From = Stored<decltype(type)>;
    launch(convert<From>, grid_stride_blocks(blocks_for(n, kFour), kMapThreads), kMapThreads, 0,
           in.as<From>(), out.data, out.dtype, n, aligned && fits_packs<From, kFour>(in.data));
  });
}

}  // namespace isobit::gpu::kernels
