#include "cpu/runtime/processor.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

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

bool halves_long_vectors() {
#if defined(__x86_64__)
  static const bool halves = [] {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0) return false;
    const unsigned family = (eax >> 8 & 0xf) + (eax >> 20 & 0xff);
    __builtin_cpu_init();
    return __builtin_cpu_is("amd") != 0 && family == 0x19;
  }();
  return halves;
#else
  return false;
#endif
}

}  // namespace isobit::cpu
