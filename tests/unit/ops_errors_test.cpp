// Bad input to every op: an Error that names the op, the offending values and what was expected.
#include <gtest/gtest.h>
#include <isobit/ops.h>
#include <isobit/parts.h>

#include <cmath>
#include <functional>

namespace isobit {
namespace {

std::string error_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

/// Every one of `parts` stands in the message of what `act` throws.
void expect_error(const std::function<void()>& act, std::initializer_list<const char*> parts) {
  const std::string message = error_of(act);
  for (const char* part : parts)
    EXPECT_NE(message.find(part), std::string::npos) << "'" << message << "' lacks '" << part << "'";
}

struct OpErrors : ::testing::Test {
  const Tensor f = ones({2, 3}), d = ones({2, 3}, {.dtype = DType::f64}),
               i = ones({2, 3}, {.dtype = DType::i64}), mask = ones({2, 3}, {.dtype = DType::boolean});
};

TEST_F(OpErrors, Arithmetic) {
  using Binary = Tensor (*)(const Tensor&, const Tensor&);
  const std::pair<const char*, Binary> ops[] = {{"add", add},         {"sub", sub}, {"mul", mul},
                                                {"div", div},         {"eq", eq},   {"maximum", maximum},
                                                {"minimum", minimum}, {"lt", lt},   {"ge", ge}};
  for (const auto& [name, op] : ops) {
    expect_error([&, &op = op] { op(f, d); }, {name, "f32", "f64", "one dtype"});
    expect_error([&, &op = op] { op(f, ones({3, 2})); }, {name, "[2,3]", "[3,2]", "do not broadcast"});
    expect_error([&, &op = op] { op(mask, mask); }, {name, "bool"});
    expect_error([&, &op = op] { op(f, Tensor()); }, {name, "undefined"});
  }
  expect_error([&] { add_scalar(i, 0.5); }, {"add_scalar", "0.5", "i64", "whole number"});
  expect_error([&] { mul_scalar(i, NAN); }, {"mul_scalar", "nan"});
  expect_error([&] { mul_scalar(i, 1e30); }, {"mul_scalar", "1e+30"});
  expect_error([&] { neg(mask); }, {"neg", "bool"});
  using Unary = Tensor (*)(const Tensor&);
  const std::pair<const char*, Unary> functions[] = {
      {"exp", exp},      {"expm1", expm1}, {"log", log},   {"log1p", log1p},       {"sqrt", sqrt},
      {"sin", sin},      {"cos", cos},     {"erf", erf},   {"tanh", tanh},         {"sigmoid", sigmoid},
      {"relu", relu},    {"gelu", gelu},   {"silu", silu}, {"softplus", softplus}, {"reciprocal", reciprocal},
      {"is_nan", is_nan}};
  for (const auto& [name, op] : functions) {
    expect_error([&, &op = op] { op(i); }, {name, "i64", "floating"});
    expect_error([&, &op = op] { op(Tensor()); }, {name, "undefined"});
  }
  expect_error([&] { leaky_relu(f, NAN); }, {"leaky_relu", "slope", "nan"});
  expect_error([&] { elu(f, INFINITY); }, {"elu", "alpha", "inf"});
  expect_error([&] { logical_and(f, f); }, {"logical_and", "f32", "bool"});
  expect_error([&] { logical_not(i); }, {"logical_not", "i64", "bool"});
  expect_error([&] { select(f, f, f); }, {"select", "f32", "bool"});
  expect_error([&] { select(mask, f, d); }, {"select", "f32", "f64"});
  expect_error([&] { select(mask, ones({4, 3}), f); }, {"select", "[2,3]", "[4,3]"});
}

TEST_F(OpErrors, Reductions) {
  expect_error([&] { sum(f, {2}); }, {"sum", "2"});
  expect_error([&] { sum(f, {-3}); }, {"sum", "-3"});
  expect_error([&] { sum(f, {1, -1}); }, {"sum", "axis 1", "twice", "[2,3]"});
  expect_error([&] { sum(mask); }, {"sum", "bool"});
  expect_error([&] { mean(i); }, {"mean", "i64", "floating"});
  expect_error([&] { mean(zeros({0, 3})); }, {"mean", "[0,3]"});
  expect_error([&] { max(zeros({2, 0})); }, {"max", "axis 1", "[2,0]"});
  expect_error([&] { min(zeros({2, 0}), {1}); }, {"min", "axis 1"});
  expect_error([&] { argmax(zeros({0}), {0}); }, {"argmax", "axis 0", "[0]"});
  expect_error([&] { argmax(mask); }, {"argmax", "bool"});
  expect_error([&] { sum_to(f, {2, 2}); }, {"sum_to", "[2,2]", "[2,3]"});
  EXPECT_EQ(max(zeros({2, 0}), {0}).shape(), (Shape{0}));  // nothing reduced is empty
  EXPECT_EQ(sum(zeros({0, 3}), {0}).to_vector<float>(), (std::vector<float>{0, 0, 0}));
}

TEST_F(OpErrors, Moves) {
  expect_error([&] { broadcast_to(f, {2, 4}); }, {"broadcast_to", "[2,3]", "[2,4]"});
  expect_error([&] { broadcast_to(f, {3}); }, {"broadcast_to", "[2,3]", "[3]"});
  expect_error([&] { permute(f, {0}); }, {"permute", "1 axes", "[2,3]", "2"});
  expect_error([&] { permute(f, {0, 0}); }, {"permute", "axis 0", "twice"});
  expect_error([&] { permute(f, {0, 5}); }, {"permute", "5"});
  expect_error([&] { transpose(ones({3})); }, {"transpose", "[3]"});
  expect_error([&] { to_nchw(ones({3})); }, {"to_nchw", "[3]"});
  expect_error([&] { from_nchw(ones({3})); }, {"from_nchw", "[3]"});
  expect_error([&] { concat(std::vector<Tensor>{}); }, {"concat", "no tensors"});
  expect_error(
      [&] {
        concat(std::vector<Tensor>{f, ones({2, 4})}, 0);
      },
      {"concat", "[2,3]", "[2,4]", "axis 0"});
  expect_error([&] { concat(std::vector<Tensor>{f, d}); }, {"concat", "f32", "f64"});
  expect_error([&] { concat(std::vector<Tensor>{f}, 2); }, {"concat", "2"});
  expect_error([&] { stack(std::vector<Tensor>{f, ones({2, 4})}); }, {"stack", "[2,3]", "[2,4]"});
  expect_error([&] { stack(std::vector<Tensor>{}); }, {"stack", "no tensors"});
  expect_error([&] { pad(f, {{1, 1}}); }, {"pad", "1 widths", "[2,3]", "2 axes"});
  expect_error([&] { pad(f, {{0, 0}, {-2, -2}}); }, {"pad", "{-2,-2}", "axis 1", "[2,3]"});
  expect_error([&] { pad(f, {{INT64_MAX, 1}, {0, 0}}); }, {"pad", "63 bits"});
  expect_error([&] { pad(f, {{INT64_MIN, INT64_MIN}, {0, 0}}); }, {"pad", "crop"});
  expect_error([&] { pad(f, {{1LL << 40, 0}, {1LL << 40, 0}}); }, {"63 bits"});
  expect_error([&] { flatten(f, 3); }, {"flatten", "3"});
}

TEST_F(OpErrors, Indices) {
  const auto index = [](std::vector<std::int64_t> v) {
    return from_vector(v, {static_cast<std::int64_t>(v.size())});
  };
  expect_error([&] { gather(f, index({0, 1, 2})); }, {"gather", "index 2", "position 2", "[0, 2)"});
  expect_error([&] { gather(f, index({0, -1})); }, {"gather", "index -1", "position 1", "[0, 2)"});
  expect_error([&] { gather(f, f); }, {"gather", "f32", "i64"});
  expect_error([&] { gather(ones({}), index({0})); }, {"gather", "scalar"});
  expect_error([&] { scatter_add(f, index({0, 7}), 5); }, {"scatter_add", "index 7", "position 1", "[0, 5)"});
  expect_error([&] { scatter_add(f, index({0}), 5); }, {"scatter_add", "[2,3]", "[1]"});
  expect_error([&] { scatter_add(f, index({0, 1}), -1); }, {"scatter_add", "-1 rows"});
  expect_error([&] { scatter_add(i, index({0, 1}), 2); }, {"scatter_add", "i64"});
  expect_error([&] { one_hot(index({3}), 3); }, {"one_hot", "label 3", "[0, 3)"});
  expect_error([&] { one_hot(index({}), 0); }, {"one_hot", "0 classes"});
}

TEST_F(OpErrors, Matrices) {
  expect_error([&] { matmul(f, f); }, {"matmul", "3 and 2", "[2,3]"});
  expect_error([&] { matmul(f, ones({3})); }, {"matmul", "[2,3]", "[3]"});
  expect_error([&] { matmul(f, d, false, true); }, {"matmul", "f32", "f64"});
  expect_error([&] { matmul(i, i, true); }, {"matmul", "i64"});
  expect_error(
      [&] {
        matmul(ones({2, 2, 3}), ones({3, 3, 2}));
      },
      {"matmul", "[2]", "[3]", "do not broadcast"});
  expect_error([&] { linear(f, ones({4, 5})); }, {"linear", "4 input features", "x has 3", "[2,3]", "[4,5]"});
  expect_error([&] { linear(f, ones({3})); }, {"linear", "[3]", "[c, k]"});
  expect_error([&] { linear(f, ones({3, 5}), ones({4})); }, {"linear", "bias", "[4]", "[5]"});
  expect_error([&] { linear(ones({}), ones({1, 5})); }, {"linear", "no axis"});
}

TEST_F(OpErrors, Losses) {
  const Tensor labels = from_vector<std::int64_t>({0, 3}, {2});
  expect_error([&] { cross_entropy(f, labels); }, {"cross_entropy", "label 3", "position 1", "[0, 3)"});
  const Tensor ok = from_vector<std::int64_t>({0, 2}, {2});
  expect_error([&] { cross_entropy(f, ok, {.label_smoothing = NAN}); },
               {"cross_entropy", "label_smoothing", "nan"});
  expect_error([&] { cross_entropy(f, ok, {.label_smoothing = 1}); },
               {"cross_entropy", "label_smoothing", "1"});
  expect_error([&] { cross_entropy(f, ok, {.label_smoothing = -0.1}); }, {"cross_entropy", "-0.1"});
  expect_error([&] { cross_entropy(f, d); }, {"cross_entropy", "f64", "i64"});
  expect_error([&] { cross_entropy(f, ones({2, 4})); }, {"cross_entropy", "[2,4]", "[2,3]"});
  expect_error([&] { cross_entropy(f, ones({3}, {.dtype = DType::i64})); }, {"cross_entropy", "[3]", "[2]"});
  expect_error([&] { cross_entropy(ones({3}), ok); }, {"cross_entropy", "[3]", "classes"});
  expect_error(
      [&] {
        cross_entropy(zeros({0, 3}), zeros({0}, {.dtype = DType::i64}));
      },
      {"cross_entropy", "[0,3]"});
  expect_error([&] { mse(f, ones({2, 4})); }, {"mse", "[2,4]", "[2,3]"});
  expect_error([&] { mse(f, d); }, {"mse", "f32", "f64"});
  expect_error([&] { mse(zeros({0}), zeros({0})); }, {"mse", "[0]"});
  const PartScope part({0, 16, 64});
  expect_error([&] { cross_entropy(f, ok); }, {"cross_entropy", "16", "2"});
}

TEST_F(OpErrors, Norms) {
  expect_error([&] { layer_norm(f, ones({4}), {}); }, {"layer_norm", "gamma", "[4]", "[3]"});
  expect_error([&] { layer_norm(f, {}, ones({3}, {.dtype = DType::f64})); },
               {"layer_norm", "beta", "f64", "f32"});
  expect_error([&] { layer_norm(f, {}, {}, {.eps = NAN}); }, {"layer_norm", "eps", "nan"});
  expect_error([&] { layer_norm(f, {}, {}, {.eps = -1}); }, {"layer_norm", "eps", "-1"});
  expect_error([&] { layer_norm(zeros({2, 0}), {}, {}); }, {"layer_norm", "[2,0]"});
  expect_error([&] { batch_norm(zeros({0, 3}), {}, {}); }, {"batch_norm", "[0,3]"});
  expect_error([&] { batch_norm(ones({3}), {}, {}); }, {"batch_norm", "[3]"});
  expect_error([&] { batch_norm(i, {}, {}); }, {"batch_norm", "i64"});
  expect_error([&] { batch_norm_inference(f, {}, {}, {}, {}); }, {"batch_norm_inference", "undefined"});
  expect_error([&] { batch_norm_inference(f, {}, {}, ones({2}), ones({3})); },
               {"batch_norm_inference", "mean", "[2]", "[3]"});
  const Tensor image = ones({1, 4, 4, 3}), filter = ones({3, 3, 3, 5});
  expect_error([&] { conv_batch_norm_inference(image, filter, {}, {}); },
               {"conv_batch_norm_inference", "undefined"});
  expect_error(
      [&] {
        conv_batch_norm_inference(image, filter, {}, {{}, {}, ones({5}), ones({3})});
      },
      {"conv_batch_norm_inference", "variance", "[3]", "[5]"});
  expect_error(
      [&] {
        conv_batch_norm_inference(image, filter, {}, {ones({4}), {}, ones({5}), ones({5})});
      },
      {"conv_batch_norm_inference", "gamma", "[4]", "[5]"});
  expect_error(
      [&] {
        conv_batch_norm_inference(image, filter, {}, {{}, {}, ones({5}), ones({5}), -1});
      },
      {"conv_batch_norm_inference", "eps", "-1"});
  expect_error(
      [&] {
        group_norm(ones({2, 6}), 4, {}, {});
      },
      {"group_norm", "6 channels", "4 groups", "[2,6]"});
  expect_error([&] { group_norm(ones({2, 6}), 0, {}, {}); }, {"group_norm", "0 groups"});
  const auto response = [&](const Tensor& x, std::int64_t size, const LocalResponseOptions& o) {
    return [&x, size, o] { local_response_norm(x, size, o); };
  };
  const Tensor scalar = ones({}), empty_rows = zeros({2, 0}), none;
  expect_error(response(none, 5, {}), {"local_response_norm", "undefined"});
  expect_error(response(i, 5, {}), {"local_response_norm", "i64"});
  expect_error(response(scalar, 5, {}), {"local_response_norm", "scalar"});
  expect_error(response(empty_rows, 5, {}), {"local_response_norm", "[2,0]"});
  expect_error(response(f, 0, {}), {"local_response_norm", "size is 0"});
  expect_error(response(f, 5, {.alpha = -1}), {"local_response_norm", "alpha is -1"});
  expect_error(response(f, 5, {.beta = INFINITY}), {"local_response_norm", "beta is inf"});
  expect_error(response(f, 5, {.bias = 0}), {"local_response_norm", "bias is 0"});
  expect_error(response(f, 5, {.bias = NAN}), {"local_response_norm", "bias is nan"});
  expect_error([&] { dropout(f, 1, {}); }, {"dropout", "p is 1"});
  expect_error([&] { dropout(f, NAN, {}); }, {"dropout", "nan"});
  expect_error([&] { dropout(i, 0.5, {}); }, {"dropout", "i64"});
  expect_error([&] { softmax(zeros({2, 0})); }, {"softmax", "[2,0]"});
  expect_error([&] { log_softmax(ones({})); }, {"log_softmax", "scalar"});
  expect_error([&] { softmax(i); }, {"softmax", "i64"});
}

}  // namespace
}  // namespace isobit
