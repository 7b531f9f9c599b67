#include "tests/fuzz/onnx_targets.h"

namespace isobit::fuzz {

std::span<const Target> onnx_targets() {
  static constexpr Target all[] = {{"onnx_tensor", onnx_tensor}, {"onnx_model", onnx_model}};
  return all;
}

}  // namespace isobit::fuzz
