#include "tests/fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count) {
  isobit::fuzz::npz({bytes, count});
  return 0;
}
