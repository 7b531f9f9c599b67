// The problems that every device is judged by: each family opens its problems one after another. Together
// they call every kernel of the seam with every dtype it takes, with every extent that is special: 0, 1, one
// off a vector, a warp, a tile, a block of 256, a leaf.
#pragma once
#include <span>

#include "core/verify/shapes.h"
#include "core/verify/suite.h"

namespace isobit::verify {

void add_movement(Suite& suite);
void add_elementwise(Suite& suite);
void add_reductions(Suite& suite);
void add_rows(Suite& suite);
void add_norms(Suite& suite);
void add_pools(Suite& suite);
void add_random(Suite& suite);
void add_optimizers(Suite& suite);
void add_matmul(Suite& suite);
/// Interpolation along an axis; windows out of pictures and out of some of the shapes, and back.
void add_windows(Suite& suite, std::span<const ConvShape> shapes);
/// The three directions of each shape, with and without what follows the sum.
void add_convolutions(Suite& suite, std::span<const ConvShape> shapes);
/// Products that are too small for any number but a zero of their sign, and no other: a tap, a term or a leaf
/// too many, +0, would show in the sign of the sum.
void add_vanishing_products(Suite& suite);
/// One shape, one dtype, one kind of values; full_only as Suite::open takes it.
void add_convolution(Suite& suite, const ConvShape& shape, DType dtype, Values values, bool full_only);
/// Windows of pooling: overlapping, padded, partial, dilated, adaptive, along one to three axes.
std::vector<PoolGeometry> pool_geometries();
/// All of them.
void add_everything(Suite& suite, std::span<const ConvShape> shapes);

inline constexpr DType kFloating[] = {DType::f32, DType::f64, DType::f16, DType::bf16};
inline constexpr DType kAllTypes[] = {DType::f32, DType::f64, DType::f16, DType::bf16,
                                      DType::i32, DType::i64, DType::u8,  DType::boolean};
/// What statistics and affine parameters are held in.
inline DType compute_type(DType t) {
  return t == DType::f64 ? DType::f64 : DType::f32;
}

}  // namespace isobit::verify
