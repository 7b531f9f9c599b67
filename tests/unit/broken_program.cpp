// Linked with the objects of the isobit program: the same program with a device "broken" whose
// conv_backward_input flips a bit. verify_program_test.cpp runs it.
#include "tests/support/broken.h"

namespace isobit::test {
namespace {

[[maybe_unused]] const Device kBroken = [] {
  backend(Device::cpu());  // the devices of the build come first
  return register_backend(std::make_unique<Broken>("broken", Mistake::flipped_bit));
}();

}  // namespace
}  // namespace isobit::test
