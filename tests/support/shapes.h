// The shape files (core/verify/shapes.h) under the names that tests use.
#pragma once
#include <string>
#include <vector>

#include "core/verify/shapes.h"
#include "tests/support/paths.h"

namespace isobit::test {

using verify::ConvShape;
using verify::parse_conv_shape;

/// All lines of tests/shapes/<file>.
inline std::vector<ConvShape> read_conv_shapes(const std::string& file) {
  return verify::read_conv_shapes(tests_directory() + "/shapes/" + file);
}

/// The lines of every file there.
inline std::vector<ConvShape> all_conv_shapes() {
  return verify::builtin_conv_shapes();
}

}  // namespace isobit::test
