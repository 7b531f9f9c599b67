// Shape files: one convolution a line, in the compact grammar of oneDNN's benchdnn.
//
//   mb2g1ic3ih8iw9oc5kh3kw2sh2sw1ph1pw0dh0dw0@constant n"name"   # comment
//
// mb samples, g groups, ic and oc channels in all; per axis (d, h, w) the input i., output o., filter k.,
// stride s. (1), dilation d. (0 is dense), padding before p. (0) and after p.r (as before; may be negative).
// Without any w fields the width is like the height, without any h fields too like the depth; further missing
// axes have extent 1. A given output extent decides a missing padding after. Behind the fields, @ names how
// taps outside the input are read (isobit/pad_mode.h), for all axes or for each in turn: @reflect,
// @replicate@circular. @constant=2.5 reads that number; without any @ they read zeros. Blanks count for
// nothing.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/geometry.h"

namespace isobit::verify {

struct ConvShape {
  ConvGeometry geometry;
  std::string name;   ///< of the line, or the line itself
  std::string place;  ///< "basic.txt:12"
};

/// Throws Error that names the place, the text and what is wrong. Any text may come; what goes through has
/// extents whose products fit 62 bits.
ConvShape parse_conv_shape(std::string_view line, const std::string& place = "shape");

/// The lines of a file's text; places are "<file>:<line>".
std::vector<ConvShape> parse_conv_shapes(std::string_view text, const std::string& file);

/// Throws Error when the file cannot be read, has a line that is wrong or none at all.
std::vector<ConvShape> read_conv_shapes(const std::string& path);

struct ShapeFile {
  const char* name;  ///< "basic.txt"
  const char* text;
};
/// The files that come with isobit (tests/shapes when it was built), by name.
std::span<const ShapeFile> builtin_shape_files();
std::vector<ConvShape> builtin_conv_shapes();

}  // namespace isobit::verify
