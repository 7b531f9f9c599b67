#include "cpu/runtime/processor.h"

namespace isobit::cpu {

bool reads_lines_apart() {
#if defined(__x86_64__)
  static const bool apart = [] {
    __builtin_cpu_init();
    return __builtin_cpu_is("amd") != 0;
  }();
  return apart;
#else
  return false;
#endif
}

}  // namespace isobit::cpu
