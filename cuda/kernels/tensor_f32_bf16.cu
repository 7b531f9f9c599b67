// Fast mode's tiled kernel, f32 through bf16.
#include "cuda/kernels/tensor_tile.cuh"

namespace isobit::gpu::kernels {

template <>
void launch_tensor_product<float, Unit::bf16>(TensorShape shape, std::int64_t tiles, std::int64_t shares,
                                              const TensorProduct& p) {
  if (shape == TensorShape::m128n128)
    launch_tensor_tiles<float, Unit::bf16, LargeTensorTile>(tiles, shares, p);
  else
    launch_tensor_tiles<float, Unit::bf16, SmallTensorTile>(tiles, shares, p);
}

}  // namespace isobit::gpu::kernels
