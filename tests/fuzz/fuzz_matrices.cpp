#include "tests/fuzz/matrix_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count) {
  isobit::fuzz::matrices({bytes, count});
  return 0;
}
