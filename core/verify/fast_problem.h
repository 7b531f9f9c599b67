// The problems of fast mode, as one kind: a bilinear kernel, what it multiplies, and what its sums are in
// f64. Pooling is linear: its only operand is b. Norms say
// their own bound.
#pragma once
#include <isobit/arithmetic.h>

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/verify/array.h"
#include "core/verify/shapes.h"

namespace isobit::verify {

/// What the definition says of a problem, in f64; `lacking` without the terms that `forget` takes.
struct FastOracle {
  std::vector<double> value, squares, magnitudes, terms, lacking;
  std::vector<double> bound;  ///< in place of the bound of sums: all but the rounding of what is stored
};

struct FastProblem {
  std::string kernel, name;
  std::int64_t a = 0, b = 0, out = 0;  ///< elements
  double multiply_adds = 0;
  double pad_value = 0;
  bool stored_between = false;  ///< sums are stored in parts, which are added: where an axis folds
  bool rounds_operands = true;  ///< f32 is multiplied in fewer bits, as the arithmetic says
  bool exact = false;           ///< nothing is rounded: the tolerance is 0
  bool integers = true;         ///< sums of small integers are exact
  /// Calls the kernel in an arithmetic; `pad` takes pad_value's place.
  std::function<void(Backend&, Math, double pad, ConstView a, ConstView b, View out)> call;
  /// Of kernels that are no sums of products; then `forget` and `count` are not asked.
  std::function<FastOracle(const HostArray& a, const HostArray& b)> oracle;
  /// How many terms a sum of ones has, where that is not what `call` makes of them.
  std::function<void(Backend&, ConstView b, View out)> count;
  /// Sets terms of every sum (or of most) to zero in b: what a kernel that forgets them would compute.
  std::function<void(std::vector<double>& b)> forget;
};

/// a, b and pad are what the kernel reads, exactly.
FastOracle fast_oracle(const FastProblem& problem, double pad, const HostArray& a, const HostArray& b);

/// The three convolutions of each shape; with `all`, matrix products, pooling and norms too.
std::vector<FastProblem> fast_problems(std::span<const ConvShape> shapes, bool all);
void add_fast_pools(std::vector<FastProblem>& problems);
void add_fast_norms(std::vector<FastProblem>& problems);

}  // namespace isobit::verify
