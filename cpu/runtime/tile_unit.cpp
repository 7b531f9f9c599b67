#include "cpu/runtime/tile_unit.h"

#include <cstdlib>
#include <string_view>

#include "isobit/error.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace isobit::cpu {
namespace {

#if defined(__x86_64__) && defined(__linux__)

struct Leaf {
  std::uint32_t a = 0, b = 0, c = 0, d = 0;
  bool known = false;
};
Leaf cpuid(std::uint32_t leaf, std::uint32_t part) {
  Leaf r;
  r.known = __get_cpuid_count(leaf, part, &r.a, &r.b, &r.c, &r.d) != 0;
  return r;
}

/// Which registers the system saves (XCR0).
std::uint64_t saved_state() {
  if ((cpuid(1, 0).c >> 27 & 1) == 0) return 0;  // OSXSAVE
  std::uint32_t low = 0, high = 0;
  __asm__ __volatile__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return std::uint64_t{high} << 32 | low;
}

const char* ask() {
  constexpr std::uint32_t kBf16 = 1u << 22, kTiles = 1u << 24;
  const Leaf features = cpuid(7, 0);
  if (!features.known || (features.d & kTiles) == 0) return "this processor has no AMX";
  if ((features.d & kBf16) == 0) return "this processor's AMX has no bf16";
  constexpr std::uint64_t kTileState = std::uint64_t{3} << 17;  // their configuration and their data
  if ((saved_state() & kTileState) != kTileState) return "the system does not save AMX's tiles";
  // Palette 1, and how long a product may be: the kernels are written for tiles of 16 rows of 64 bytes.
  const Leaf palette = cpuid(0x1d, 1), product = cpuid(0x1e, 0);
  if (!palette.known || (palette.b & 0xffff) != 64 || palette.b >> 16 < 8 || (palette.c & 0xffff) < 16 ||
      (product.b & 0xff) < 16 || (product.b >> 8 & 0xffff) < 64)
    return "this processor's tiles are smaller than 8 of 16 rows of 64 bytes";
  constexpr long kAskForState = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  if (syscall(SYS_arch_prctl, kAskForState, kTileData) != 0)
    return "the system gives this process no leave to use AMX's tiles";
  return nullptr;
}

#else

const char* ask() {
  return "AMX is known on x86-64 Linux alone";
}

#endif

struct Choice {
  TileUnit unit = TileUnit::none;
  const char* why = nullptr;
};
const Choice& choice() {
  static const Choice chosen = []() -> Choice {
    const char* name = std::getenv("ISOBIT_AMX");
    const std::string_view asked = name == nullptr || *name == '\0' ? "on" : name;
    if (asked == "off") return {TileUnit::none, "ISOBIT_AMX=off"};
    if (asked == "emulated") return {TileUnit::emulated, nullptr};
    if (asked != "on") fail("ISOBIT_AMX", "'{}' is unknown; expected on, off or emulated", asked);
    const char* const why = ask();
    return {why == nullptr ? TileUnit::amx : TileUnit::none, why};
  }();
  return chosen;
}

}  // namespace

TileUnit tile_unit() {
  return choice().unit;
}

const char* why_no_tile_unit() {
  return choice().why;
}

}  // namespace isobit::cpu
