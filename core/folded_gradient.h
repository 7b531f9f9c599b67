// conv_backward_input where axes fold (PadMode), made of kernels that know nothing of it: boxes of the padded
// gradient, each an ordinary problem with zero padding, in a bounded workspace, and pad_backward. For a
// device's algorithm lists; it launches what it is given and touches no element.
#pragma once
#include <functional>

#include "core/backend.h"

namespace isobit {

struct FoldedGradientKernels {
  /// conv_backward_input of a problem that does not fold.
  std::function<void(const ConvGeometry& g, ConstView dy, ConstView w, View dx)> backward_input;
  /// Backend::pad_backward.
  std::function<void(const PadGeometry& g, ConstView dy, View dx)> pad_backward;
};

/// The most that a workspace has in bytes, unless a few rows of one sample take more (docs/border.md).
inline constexpr std::int64_t kFoldedWorkspace = std::int64_t{16} << 20;

/// How many bytes of workspace folded_backward_input wants; g.folds().
std::int64_t folded_workspace(const ConvGeometry& g, DType dtype, std::int64_t limit = kFoldedWorkspace);

/// dx of a problem with g.folds(), by core/backend.h's contract of conv_backward_input.
void folded_backward_input(const FoldedGradientKernels& kernels, const ConvGeometry& g, ConstView dy,
                           ConstView w, void* workspace, View dx, std::int64_t limit = kFoldedWorkspace);

}  // namespace isobit
