#include "tests/fuzz/onnx_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count) {
  isobit::fuzz::onnx_model({bytes, count});
  return 0;
}
