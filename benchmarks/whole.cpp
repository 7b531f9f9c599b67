#include "benchmarks/whole.h"

#include <isobit/algorithms.h>
#include <isobit/arithmetic.h>
#include <isobit/autograd.h>
#include <isobit/ops.h>
#include <isobit/random.h>
#include <isobit/verify_fast.h>

#include <algorithm>
#include <map>
#include <set>

namespace isobit::bench {

Tensor numbers(const Shape& shape, DType dtype, const char* stream) {
  return random_uniform(shape, random_key(Seed{7}, stream), -1, 1).to(dtype);
}

Tensor by_definition(const std::function<Tensor()>& body) {
  std::set<std::string> kernels;
  {
    const ServedCalls served;
    body();
    for (const auto& [key, calls] : served.counts()) kernels.insert(key.first);
  }
  std::vector<std::unique_ptr<ForcedAlgorithm>> forced;
  for (const std::string& kernel : kernels)
    forced.push_back(std::make_unique<ForcedAlgorithm>(Device::cpu(), kernel, "reference"));
  return body();
}

Problem whole_problem(const std::vector<Tensor>& inputs, const Prepare& prepare, const Settings& settings) {
  Problem p;
  std::vector<Tensor> there;
  for (const Tensor& input : inputs) {
    p.inputs.push_back(std::make_shared<Operand>(input.to(settings.device)));
    there.push_back(p.inputs.back()->tensor());
  }
  p.dtype = inputs.at(0).dtype();
  p.call = prepare(there);
  p.verify = [inputs, prepare](const Tensor& result) {
    const Tensor expected = by_definition([&] { return prepare(inputs)(); });
    return Verdict{equal_bits(result, expected), result.numel()};
  };
  return p;
}

Prepare forward_of(Op op) {
  return
      [op = std::move(op)](const std::vector<Tensor>& inputs) { return [op, inputs] { return op(inputs); }; };
}

Prepare backward_of(Op op) {
  return [op = std::move(op)](std::vector<Tensor> inputs) {
    const Tensor dy = inputs.back();
    inputs.pop_back();
    inputs[0] = inputs[0].detach();
    inputs[0].set_requires_grad();
    const auto forward = [op, inputs] {
      const EnableGrad on;
      return op(inputs);
    };
    // A gradient is computed in the arithmetic of its forward pass: one for each that is asked for.
    std::map<Math, Tensor> results{{current_math(), forward()}};
    return [forward, x = inputs[0], dy, results = std::move(results)]() mutable {
      auto y = results.find(current_math());
      if (y == results.end()) y = results.emplace(current_math(), forward()).first;
      return grad(y->second, {x}, dy, {.keep_graph = true})[0];
    };
  };
}

double share_of_sums(const Prepare& prepare, const std::vector<Tensor>& inputs, double terms,
                     const Tensor& result) {
  const MathScope exact(Math::exact);
  std::vector<Tensor> wide;
  for (const Tensor& input : inputs) wide.push_back(input.to(DType::f64));
  const Tensor value = prepare(wide)();
  wide.back() = abs(wide.back());
  const Tensor magnitudes = prepare(wide)();
  const verify::FastSums sums{value, zeros_like(value), magnitudes,
                              full(value.shape(), terms, {.dtype = DType::f64})};
  return verify::share_of_bound(result, sums, Math::exact);
}

}  // namespace isobit::bench
