// Layers computed by another library, in a Python process of its own.
#pragma once
#include <isobit/compare_network.h>

#include <string>
#include <utility>
#include <vector>

namespace isobit::cli {

/// The Python program, started with the library's name as its argument.
const char* compare_script();

/// The implementation "torch" or "onnx" by ISOBIT_PYTHON or python3, and what it calls itself. `refused`
/// receives a line for every layer that the library cannot do as it is. Throws Error when the library is not
/// there.
std::pair<compare::Implementation, std::string> other_library(const std::string& library,
                                                              std::vector<std::string>& refused);

}  // namespace isobit::cli
