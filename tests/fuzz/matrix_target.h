// The reader of isobit filters' text files: matrices of finite numbers, or an isobit::Error. (A header of its
// own: it needs a source of the program.)
#pragma once
#include <cmath>

#include "cli/filter_banks.h"
#include "tests/fuzz/targets.h"

namespace isobit::fuzz {

inline void matrices(Input input) {
  try {
    const std::string text(input.begin(), input.end());
    const std::vector<cli::NamedFilter> bank = cli::parse_matrices(text, "input");
    require(!bank.empty());
    for (const cli::NamedFilter& filter : bank) {
      require(filter.w.rank() == 3 && filter.w.numel() >= 1 && filter.w.shape(2) == 1 &&
              !filter.name.empty());
      for (const float v : filter.w.data<float>()) require(std::isfinite(v));
    }
  } catch (const Error&) {
  }
}

}  // namespace isobit::fuzz
