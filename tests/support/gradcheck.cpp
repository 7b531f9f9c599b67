#include "tests/support/gradcheck.h"

#include <gtest/gtest.h>
#include <isobit/error.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace isobit::test {
namespace {

constexpr double kStep = 2e-4;  // two steps to each side stay within 1e-3 of the point

std::vector<double> values(const Tensor& t) {
  return t.detach().to(DType::f64).to_vector<double>();
}

Tensor leaf(const Tensor& t) {
  Tensor fresh = t.detach().clone();
  return fresh.set_requires_grad();
}

std::vector<Tensor> leaves(const std::vector<Tensor>& inputs) {
  std::vector<Tensor> result;
  for (const Tensor& t : inputs) result.push_back(leaf(t));
  return result;
}

/// What flows into y: fixed numbers away from 0.
Tensor seed_for(const Tensor& y, std::uint64_t salt) {
  return random_values(y.shape(), 977 + salt, -1, 1, {0}).to(y.dtype());
}

/// All gradients of <f, seed> with respect to the first `count` inputs, flat in a row; zeros where f does not
/// depend on an input. The last input is the seed.
Tensor gradient_row(const Function& f, const std::vector<Tensor>& inputs, bool create_graph) {
  const std::vector<Tensor> arguments(inputs.begin(), inputs.end() - 1);
  const Tensor y = f(arguments);
  std::vector<Tensor> gradients(arguments.size());
  if (y.requires_grad()) {
    GradOptions options;
    options.create_graph = create_graph;
    options.allow_unused = true;
    gradients = grad(y, arguments, inputs.back(), options);
  }
  std::vector<Tensor> flat;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (gradients[i].defined()) {
      EXPECT_EQ(gradients[i].shape(), arguments[i].shape());
      EXPECT_EQ(gradients[i].dtype(), arguments[i].dtype());
    }
    flat.push_back((gradients[i].defined() ? gradients[i] : zeros_like(arguments[i])).reshape({-1}));
  }
  return concat(flat);
}

/// The gradient as a function of (inputs, seed): its gradients are the second derivatives.
Function gradient_of(const Function& f) {
  return [f](const std::vector<Tensor>& inputs) { return gradient_row(f, inputs, true); };
}

/// d<f(inputs), seed>/d(element of inputs[which]) by five-point central differences: error about h^4.
double difference(const Function& f, const std::vector<Tensor>& inputs, const std::vector<double>& seed,
                  std::size_t which, std::size_t element) {
  const auto at = [&](double shift) {
    std::vector<Tensor> moved = inputs;
    std::vector<double> v = values(inputs[which]);
    v[element] += shift;
    moved[which] = from_vector(v, inputs[which].shape());
    return values(f(leaves(moved)));
  };
  const auto p1 = at(kStep), m1 = at(-kStep), p2 = at(2 * kStep), m2 = at(-2 * kStep);
  double total = 0;
  for (std::size_t i = 0; i < seed.size(); ++i)
    total += seed[i] * (8 * (p1[i] - m1[i]) - (p2[i] - m2[i])) / (12 * kStep);
  return total;
}

void compare_with_differences(const std::string& name, int order, const Function& f,
                              const std::vector<Tensor>& inputs, double tolerance) {
  const std::vector<Tensor> at = leaves(inputs);
  const Tensor y = f(at);
  if (!y.requires_grad()) return;
  const Tensor seed = seed_for(y, static_cast<std::uint64_t>(order));
  GradOptions unused;
  unused.allow_unused = true;
  const std::vector<Tensor> gradients = grad(y, at, seed, unused);
  const std::vector<double> seed_values = values(seed);
  for (std::size_t i = 0; i < at.size(); ++i) {
    const std::size_t count = static_cast<std::size_t>(at[i].numel());
    const std::vector<double> got =
        gradients[i].defined() ? values(gradients[i]) : std::vector<double>(count);
    for (std::size_t e = 0; e < count; ++e) {
      const double expected = difference(f, inputs, seed_values, i, e);
      if (!(std::abs(got[e] - expected) <= tolerance * std::max(1.0, std::abs(expected)))) {
        ADD_FAILURE() << name << ": derivative " << order << " of input " << i << " "
                      << fmt::format("{}", at[i].shape()) << " at element " << e << " is " << got[e]
                      << ", differences give " << expected;
        return;
      }
    }
  }
}

/// Gradients with and without create_graph, bit by bit.
void compare_recording(const std::string& name, const Function& f, std::vector<Tensor> inputs, DType dtype) {
  for (Tensor& t : inputs) t = leaf(t.to(dtype));
  const Tensor y = f(inputs);
  if (!y.requires_grad()) return;
  inputs.push_back(seed_for(y, 5));
  const Tensor plain = gradient_row(f, inputs, false).detach();
  const Tensor recorded = gradient_row(f, inputs, true).detach();
  EXPECT_TRUE(equal_bits(plain, recorded)) << name << ": create_graph changes bits in " << name_of(dtype);
}

/// Gradients in a narrow type against f64 at the same (representable) inputs and seed. Each element is the
/// result of few ops, each rounding once: the error is a small number of roundings of the largest magnitude
/// that takes part, for which the largest gradient or value stands.
void compare_precision(const std::string& name, const Function& f, const std::vector<Tensor>& inputs,
                       DType dtype, double unit, double roundings) {
  std::vector<Tensor> narrow, wide;
  for (const Tensor& t : inputs) {
    narrow.push_back(leaf(t.to(dtype)));
    wide.push_back(leaf(narrow.back().detach().to(DType::f64)));
  }
  const Tensor y = f(narrow), y64 = f(wide);
  if (!y.requires_grad()) return;
  const Tensor seed = seed_for(y64, 5).to(y.dtype());
  narrow.push_back(seed);
  wide.push_back(seed.to(DType::f64));
  const auto got = values(gradient_row(f, narrow, false)), expected = values(gradient_row(f, wide, false));
  double scale = 1;
  for (double v : expected) scale = std::max(scale, std::abs(v));
  for (const Tensor& t : wide)
    for (double v : values(t)) scale = std::max(scale, std::abs(v));
  for (std::size_t i = 0; i < got.size(); ++i)
    if (!(std::abs(got[i] - expected[i]) <= roundings * unit * scale)) {
      ADD_FAILURE() << name << ": gradient " << i << " in " << name_of(dtype) << " is " << got[i]
                    << ", f64 gives " << expected[i] << " (allowed " << roundings * unit * scale << ")";
      return;
    }
}

}  // namespace

Tensor random_values(const Shape& shape, std::uint64_t seed, double low, double high,
                     const std::vector<double>& kinks) {
  const Tensor drawn =
      random_uniform(shape, random_key(Seed{seed}, "test"), low, high, {.dtype = DType::f64});
  std::vector<double> v = drawn.to_vector<double>();
  for (double& x : v)
    for (double kink : kinks)
      if (std::abs(x - kink) < 1e-2) x = kink + (x < kink ? -1e-2 : 1e-2);
  return from_vector(v, shape);
}

Tensor distinct_values(const Shape& shape, std::uint64_t seed) {
  std::vector<double> v(static_cast<std::size_t>(shape.numel()));
  const std::vector<double> order = random_values(shape, seed).to_vector<double>();
  std::vector<std::size_t> rank(v.size());
  std::iota(rank.begin(), rank.end(), std::size_t{0});
  std::sort(rank.begin(), rank.end(), [&](std::size_t a, std::size_t b) { return order[a] < order[b]; });
  for (std::size_t i = 0; i < v.size(); ++i)
    v[rank[i]] = 0.03125 * (static_cast<double>(i) - static_cast<double>(v.size()) / 2);
  return from_vector(v, shape);
}

Tensor random_integers(const Shape& shape, std::uint64_t seed, int range, DType dtype) {
  std::vector<double> v = random_values(shape, seed, -range, range + 1).to_vector<double>();
  for (double& x : v) x = std::floor(x);
  return from_vector(v, shape).to(dtype);
}

void check_gradients(const std::string& name, const Function& f, const std::vector<Tensor>& inputs,
                     const GradcheckOptions& options) {
  SCOPED_TRACE(name);
  try {
    Function at_order = f;
    std::vector<Tensor> arguments = inputs;
    for (int order = 1; order <= options.order; ++order) {
      compare_with_differences(name, order, at_order, arguments, options.tolerance);
      if (order == options.order) break;
      const Tensor y = at_order(leaves(arguments));
      if (!y.requires_grad()) break;
      arguments.push_back(seed_for(y, 31 + static_cast<std::uint64_t>(order)));
      at_order = gradient_of(at_order);
    }
    compare_recording(name, f, inputs, DType::f64);
    compare_recording(name, f, inputs, DType::f32);
    if (!options.halves) return;
    compare_recording(name, f, inputs, DType::bf16);
    compare_precision(name, f, inputs, DType::f32, 0x1p-24, options.roundings);
    compare_precision(name, f, inputs, DType::f16, 0x1p-11, options.roundings);
    compare_precision(name, f, inputs, DType::bf16, 0x1p-8, options.roundings);
  } catch (const Error& e) {
    ADD_FAILURE() << name << ": " << e.what();
  }
}

double inner_product(const Tensor& a, const Tensor& b) {
  const auto va = values(a), vb = values(b);
  EXPECT_EQ(va.size(), vb.size());
  double total = 0;
  for (std::size_t i = 0; i < std::min(va.size(), vb.size()); ++i) total += va[i] * vb[i];
  return total;
}

void check_adjoint(const std::string& name, const Tensor& x, const std::function<Tensor(const Tensor&)>& f,
                   int range) {
  try {
    const Tensor at = leaf(x);
    const Tensor y = f(at);
    const Tensor g = random_integers(y.shape(), 4711, range, y.dtype());
    EXPECT_EQ(inner_product(y, g), inner_product(x, grad(y, {at}, g)[0])) << name;
  } catch (const Error& e) {
    ADD_FAILURE() << name << ": " << e.what();
  }
}

}  // namespace isobit::test
