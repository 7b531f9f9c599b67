// Problems whose result is held against the definition as a whole.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "benchmarks/measure.h"

namespace isobit::bench {

/// Makes from tensors what is called, and may do beforehand what is not to be timed.
using Prepare = std::function<std::function<Tensor()>(const std::vector<Tensor>&)>;

/// A problem that computes one tensor from others: prepared with `inputs` on the device; the first result is
/// verified, every element, against the first one of a preparation on the CPU where every kernel that takes
/// part runs its algorithm "reference". `inputs` live on the CPU. name, direction, batch, bytes, flops and
/// question are left to the caller.
Problem whole_problem(const std::vector<Tensor>& inputs, const Prepare& prepare, const Settings& settings);

/// An op of its inputs, and its gradient: of the first input, the last one being the gradient of the result
/// (the op itself runs beforehand, and once more where the gradient is called in another arithmetic).
using Op = std::function<Tensor(const std::vector<Tensor>&)>;
Prepare forward_of(Op op);
Prepare backward_of(Op op);

/// Of fast mode: the largest share of its bound (isobit/verify_fast.h) in a `result` of sums of at most
/// `terms` elements of the last input, which nobody rounds before: pooling and its gradients.
double share_of_sums(const Prepare& prepare, const std::vector<Tensor>& inputs, double terms,
                     const Tensor& result);

/// The result of `body` on the CPU by the definition.
Tensor by_definition(const std::function<Tensor()>& body);

/// Uniform in [-1, 1), the same in every run, on the CPU.
Tensor numbers(const Shape& shape, DType dtype, const char* stream);

}  // namespace isobit::bench
