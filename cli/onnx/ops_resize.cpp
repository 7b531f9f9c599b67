// Resize, Upsample, DepthToSpace and SpaceToDepth.
#include "cli/onnx/layout.h"

namespace isobit::cli::onnx {
namespace {

std::vector<Tensor> nothing_yet(Call& call) {
  call.lacks("form yet");
}

}  // namespace

std::span<const Operator> resize_operators() {
  static constexpr Operator all[] = {{"Resize", nothing_yet},
                                     {"Upsample", nothing_yet},
                                     {"DepthToSpace", nothing_yet},
                                     {"SpaceToDepth", nothing_yet}};
  return all;
}

}  // namespace isobit::cli::onnx
