// The font of Canvas::text: glyphs of five by nine, the last two rows for what hangs below the line.
#pragma once
#include <cstdint>
#include <string_view>

namespace isobit::picture {

/// Whether the glyph has ink at column x (0 to 4) and row y (0 to 8). Characters without a glyph are an empty
/// box.
bool has_ink(char character, int x, int y);

/// Characters of UTF-8 text: what is no ASCII counts once and comes as '\0'.
template <class F>
void for_each_character(std::string_view text, F&& f) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xc0U) == 0x80U) continue;  // a further byte of the character before
    f(byte < 0x80U ? c : '\0');
  }
}

}  // namespace isobit::picture
