// The problems of fast mode, as one kind: a bilinear kernel, what it multiplies, and what its sums are in
// f64.
#pragma once
#include <isobit/arithmetic.h>

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/verify/array.h"
#include "core/verify/shapes.h"

namespace isobit::verify {

struct FastProblem {
  std::string kernel, name;
  std::int64_t a = 0, b = 0, out = 0;  ///< elements
  double multiply_adds = 0;
  double pad_value = 0;
  bool stored_between = false;  ///< sums are stored in parts, which are added: where an axis folds
  /// Calls the kernel in an arithmetic; `pad` takes pad_value's place.
  std::function<void(Backend&, Math, double pad, ConstView a, ConstView b, View out)> call;
  /// Sets terms of every sum (or of most) to zero in b: what a kernel that forgets them would compute.
  std::function<void(std::vector<double>& b)> forget;
};

/// What the definition says of a problem, in f64; `lacking` without the terms that `forget` takes.
struct FastOracle {
  std::vector<double> value, squares, magnitudes, terms, lacking;
};
/// a, b and pad are what the kernel reads, exactly.
FastOracle fast_oracle(const FastProblem& problem, double pad, const HostArray& a, const HostArray& b);

/// The three convolutions of each shape, and matrix products.
std::vector<FastProblem> fast_problems(std::span<const ConvShape> shapes, bool with_matmul);

}  // namespace isobit::verify
