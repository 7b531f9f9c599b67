// Shape files (tests/shapes/*.txt): one convolution a line, in the compact grammar of oneDNN's benchdnn.
//
//   mb2g1ic3ih8iw9oc5kh3kw2sh2sw1ph1pw0dh0dw0n"name"   # comment
//
// mb samples, g groups, ic and oc channels in all; per axis (d, h, w) the input i., output o., filter k.,
// stride s. (1), dilation d. (0 is dense), padding before p. (0) and after p.r (as before; may be negative).
// Without any w fields the width is like the height, without any h fields too like the depth; further missing
// axes have extent 1. A given output extent decides a missing padding after.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/geometry.h"

namespace isobit::test {

struct ConvShape {
  ConvGeometry geometry;
  std::string name;   ///< of the line, or the line itself
  std::string place;  ///< "basic.txt:12"
};

/// Throws Error that names the place, the text and what is wrong.
ConvShape parse_conv_shape(std::string_view line, const std::string& place = "shape");

/// All lines of tests/shapes/<file>.
std::vector<ConvShape> read_conv_shapes(const std::string& file);

/// The lines of every file there, regression.txt included.
std::vector<ConvShape> all_conv_shapes();

}  // namespace isobit::test
