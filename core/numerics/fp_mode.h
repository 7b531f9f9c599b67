// FpMode: while one lives, this thread rounds to nearest even, keeps subnormals and traps nothing; then the
// caller's mode is back. Every seam entry and every pool thread holds one. The price is one register read
// when the mode is right already. Exception flags that were raised meanwhile stay raised.
#pragma once

#include <cfloat>
#include <cstdint>

namespace isobit::numerics {

static_assert(FLT_EVAL_METHOD == 0,
              "isobit needs arithmetic in the type of its operands (x87 code is refused)");

#if defined(__x86_64__) || defined(__i386__)

class FpMode {
 public:
  FpMode() : saved_(read()) {
    if ((saved_ & kControl) != kExact) write(kExact | (saved_ & ~kControl));
  }
  ~FpMode() {
    const std::uint32_t now = read();
    if ((now & kControl) != (saved_ & kControl)) write((saved_ & kControl) | (now & ~kControl));
  }
  FpMode(const FpMode&) = delete;
  FpMode& operator=(const FpMode&) = delete;

  /// Whether this thread's mode is the exact one.
  static bool is_exact() { return (read() & kControl) == kExact; }

 private:
  // MXCSR: bits 0-5 flags, 6 DAZ, 7-12 exception masks, 13-14 rounding, 15 FTZ.
  static constexpr std::uint32_t kControl = 0xffc0;
  static constexpr std::uint32_t kExact = 0x1f80;
  static std::uint32_t read() {
    std::uint32_t value = 0;
    __asm__ __volatile__("stmxcsr %0" : "=m"(value) : : "memory");
    return value;
  }
  static void write(std::uint32_t value) { __asm__ __volatile__("ldmxcsr %0" : : "m"(value) : "memory"); }

  std::uint32_t saved_;
};

#elif defined(__aarch64__)

class FpMode {
 public:
  FpMode() : saved_(read()) {
    if ((saved_ & kControl) != 0) write(saved_ & ~kControl);
  }
  ~FpMode() {
    if ((saved_ & kControl) != 0) write(saved_);
  }
  FpMode(const FpMode&) = delete;
  FpMode& operator=(const FpMode&) = delete;

  /// Whether this thread's mode is the exact one.
  static bool is_exact() { return (read() & kControl) == 0; }

 private:
  // FPCR: FZ16 (19), rounding (22-23), FZ (24), trap enables (8-12, 15), FIZ and AH (0, 1).
  static constexpr std::uint64_t kControl = (1u << 19) | (3u << 22) | (1u << 24) | 0x9f00u | 3u;
  static std::uint64_t read() {
    std::uint64_t value = 0;
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(value) : : "memory");
    return value;
  }
  static void write(std::uint64_t value) { __asm__ __volatile__("msr fpcr, %0" : : "r"(value) : "memory"); }

  std::uint64_t saved_;
};

#else
#error "isobit: this processor's floating-point mode is unknown; add it to core/numerics/fp_mode.h"
#endif

}  // namespace isobit::numerics
