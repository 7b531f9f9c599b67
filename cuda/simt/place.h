// Where in the source something was called.
#pragma once

namespace isobit::emulator {

struct Place {
  const char* file = "";
  int line = 0;
};

}  // namespace isobit::emulator
