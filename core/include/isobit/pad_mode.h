// How what lies outside a tensor is read: the six ways to treat the border (docs/border.md).
#pragma once
#include <array>
#include <cstdint>

namespace isobit {

/// An axis a b c d, padded by three on each side:
enum class PadMode : std::uint8_t {
  constant,   ///< v v v|a b c d|v v v   a given value, zero unless said otherwise
  reflect,    ///< d c b|a b c d|c b a   mirrored at the middle of the edge element, which is not repeated
  symmetric,  ///< c b a|a b c d|d c b   mirrored at the edge, whose element is repeated
  replicate,  ///< a a a|a b c d|d d d   the edge element
  circular,   ///< b c d|a b c d|a b c   the other end
};
inline constexpr int kPadModes = 5;
const char* name_of(PadMode mode);

/// One mode for all axes, or one per axis: {PadMode::replicate, PadMode::circular} for panoramas.
struct PadModes {
  std::array<PadMode, 3> value{};
  int count = 1;  ///< 1 = the same for all
  PadModes() = default;
  PadModes(PadMode mode) : value{mode, mode, mode} {}  // NOLINT: implicit on purpose
  PadModes(PadMode a, PadMode b) : value{a, b, PadMode::constant}, count(2) {}
  PadModes(PadMode a, PadMode b, PadMode c) : value{a, b, c}, count(3) {}
};

}  // namespace isobit
