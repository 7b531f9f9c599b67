// What a transposed convolution is the gradient of: asked by the op and by its layers.
#pragma once
#include "core/geometry.h"

namespace isobit {

struct ConvTransposeOptions;  // isobit/ops.h

struct ConvTransposeGeometry {
  ConvGeometry conv;  ///< of the convolution from y to x
  Shape y;
};
/// x[n, (d,) (h,) w, c] and the filters w[(t,) (r,) s, k/groups, c]. Throws Error(op) naming the shapes and
/// the numbers that clash, and where no convolution maps a y to x.
ConvTransposeGeometry make_conv_transpose_geometry(const char* op, const Shape& x, const Shape& w,
                                                   const ConvTransposeOptions& options);

}  // namespace isobit
