// Where the tests' data files and the program are.
#pragma once
#include <string>

namespace isobit::test {

/// The folder tests/ of the source tree.
std::string tests_directory();

/// The isobit program of this build.
std::string isobit_program();

/// The same program with a device "broken" that errs.
std::string broken_program();

}  // namespace isobit::test
