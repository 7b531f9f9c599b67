// Filters that people know by name, and files of them.
#pragma once
#include <isobit/tensor.h>

#include <string>
#include <string_view>
#include <vector>

namespace isobit::cli {

/// A filter over a picture: w is f32 [r, s, c], c the channels that it reads (1: gray, or each channel by
/// itself).
struct NamedFilter {
  std::string name;
  Tensor w;
};

/// The names of the banks, for help and messages.
std::string bank_names();
/// The filters of a bank by name, of a file of matrices, or of a .safetensors file; several with commas
/// between. Throws Error that says what is wrong with the name or the file.
std::vector<NamedFilter> load_bank(const std::string& names);

/// Matrices as text: a row a line, numbers (or fractions like 1/9) with blanks or commas between; an empty
/// line ends a matrix; "# words" before one is its name. `source` stands for the file in messages.
std::vector<NamedFilter> parse_matrices(std::string_view text, const std::string& source);

}  // namespace isobit::cli
