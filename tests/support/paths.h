// Where the tests' data files are.
#pragma once
#include <string>

namespace isobit::test {

/// The folder tests/ of the source tree.
std::string tests_directory();

}  // namespace isobit::test
