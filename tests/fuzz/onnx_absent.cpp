// Of a build that does not read ONNX's files.
#include "tests/fuzz/targets.h"

namespace isobit::fuzz {

std::span<const Target> onnx_targets() {
  return {};
}

}  // namespace isobit::fuzz
