// isobit verify --math fast: whether fast mode keeps its bound.
#pragma once
#include <isobit/verify.h>

#include <functional>
#include <string_view>

namespace isobit::cli {

/// Runs, prints and gives the exit code. `math`: "fast" for all arithmetics, or "fast-tf32", "fast-f16",
/// "fast-bf16"; done() is called before anything is printed.
int verify_fast(const verify::Options& options, std::string_view math, bool json,
                const std::function<void()>& done);

}  // namespace isobit::cli
