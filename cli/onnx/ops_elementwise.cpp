// What stands around the operators that this is about: arithmetic, comparisons, elementary functions,
// reductions, products of matrices. Of floating types, where the table does not say otherwise.
#include "cli/onnx/layout.h"

namespace isobit::cli::onnx {
namespace {

void need_same_type(const Call& call, const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype()) call.wrong("operands are {} and {}", a.dtype(), b.dtype());
}

template <Tensor (*op)(const Tensor&)>
std::vector<Tensor> unary(Call& call) {
  return {op(floating(call, 0))};
}
/// Of integers too.
template <Tensor (*op)(const Tensor&, const Tensor&)>
std::vector<Tensor> binary(Call& call) {
  const Tensor a = call.input(0), b = call.input(1);
  need_same_type(call, a, b);
  if (a.dtype() == DType::boolean) throw Unsupported(fmt::format("isobit has no {} of bool", call.op()));
  return {op(a, b)};
}
template <Tensor (*op)(const Tensor&, const Tensor&)>
std::vector<Tensor> logical(Call& call) {
  const Tensor a = call.input(0), b = call.input(1);
  if (a.dtype() != DType::boolean || b.dtype() != DType::boolean)
    call.wrong("operands are {} and {}, expected bool", a.dtype(), b.dtype());
  return {op(a, b)};
}
/// ONNX's takes any number of operands.
template <Tensor (*op)(const Tensor&, const Tensor&)>
std::vector<Tensor> chain(Call& call) {
  Tensor result = call.input(0);
  for (std::size_t i = 1; i < call.inputs(); ++i) {
    need_same_type(call, result, call.input(i));
    result = op(result, call.input(i));
  }
  return {result};
}
std::vector<Tensor> neg_node(Call& call) {
  const Tensor x = call.input(0);
  return {is_floating(x.dtype()) ? neg(x) : sub(zeros_like(x), x)};
}
/// Of integers: the remainder has the divisor's sign, or the dividend's with fmod.
std::vector<Tensor> mod_node(Call& call) {
  const Tensor a = call.input(0), b = call.input(1);
  need_same_type(call, a, b);
  if (a.dtype() != DType::i64 && a.dtype() != DType::i32)
    throw Unsupported(fmt::format("isobit has no Mod of {}", a.dtype()));
  const Tensor rest = a - b * div(a, b);  // division truncates
  if (call.integer("fmod", 0) != 0) return {rest};
  const Tensor zero = zeros(Shape{}, {a.dtype(), call.device()});
  const Tensor other_sign = logical_and(ne(rest, zero), logical_xor(lt(rest, zero), lt(b, zero)));
  return {select(other_sign, rest + b, rest)};
}
std::vector<Tensor> mean_node(Call& call) {
  const double count = static_cast<double>(call.inputs());
  floating(call, 0);
  return {div_scalar(chain<add>(call)[0], count)};
}
std::vector<Tensor> not_node(Call& call) {
  return {logical_not(call.input(0))};
}
std::vector<Tensor> where_node(Call& call) {
  const Tensor a = call.input(1), b = call.input(2);
  need_same_type(call, a, b);
  return {select(call.input(0), a, b)};
}

std::vector<Tensor> leaky_relu_node(Call& call) {
  return {leaky_relu(floating(call, 0), call.real("alpha", 0.01))};
}
std::vector<Tensor> elu_node(Call& call) {
  return {elu(floating(call, 0), call.real("alpha", 1))};
}
std::vector<Tensor> gelu_node(Call& call) {
  if (call.text("approximate", "none") != "none") call.lacks("approximate form");
  return {gelu(floating(call, 0))};
}
std::vector<Tensor> swish_node(Call& call) {
  if (call.real("alpha", 1) != 1) call.lacks("alpha other than 1");
  return {silu(floating(call, 0))};
}
std::vector<Tensor> clip_node(Call& call) {
  Tensor x = floating(call, 0);
  const bool attributes = call.version() < 11;
  const auto bound = [&](const char* name, std::size_t i) {
    if (!attributes) return call.optional_input(i);
    return call.has(name) ? full(Shape{}, call.real(name, 0), {x.dtype(), x.device()}) : Tensor();
  };
  const Tensor low = bound("min", 1), high = bound("max", 2);
  if (low.defined()) x = maximum(x, low);
  if (high.defined()) x = minimum(x, high);
  return {x};
}

using Reduction = Tensor (*)(const Tensor&, std::span<const int>, bool);

/// Axes were an attribute at first and became an input, in operator set 13 of sums, 18 of the rest. None: all
/// of them, or none at all if the node says so.
template <Reduction reduce, int axes_are_input_from>
std::vector<Tensor> reduction(Call& call) {
  const Tensor x = floating(call, 0);
  const auto given = call.version() < axes_are_input_from ? call.integers("axes") : call.whole_numbers(1);
  const bool keep = call.integer("keepdims", 1) != 0, none = call.integer("noop_with_empty_axes", 0) != 0;
  if (given.empty() && none) return {x};
  std::vector<int> axes;
  bool empty = false;
  for (const std::int64_t axis : given) axes.push_back(axis_in(call, axis, x.rank()));
  for (int i = 0; i < x.rank(); ++i)
    if (axes.empty() || std::find(axes.begin(), axes.end(), i) != axes.end())
      empty = empty || x.shape(i) == 0;
  if (empty && reduce != Reduction(sum)) call.lacks("value for no elements");
  return {reduce(x, axes, keep)};
}
Tensor sum_of_squares(const Tensor& x, std::span<const int> axes, bool keep) {
  return sum(square(x), axes, keep);
}
Tensor sum_of_magnitudes(const Tensor& x, std::span<const int> axes, bool keep) {
  return sum(abs(x), axes, keep);
}
Tensor length(const Tensor& x, std::span<const int> axes, bool keep) {
  return sqrt(sum_of_squares(x, axes, keep));
}
Tensor log_of_sum(const Tensor& x, std::span<const int> axes, bool keep) {
  return log(sum(x, axes, keep));
}
/// The last of equals is the first of the axis reversed.
std::vector<Tensor> argmax_node(Call& call) {
  const Tensor x = floating(call, 0);
  const int axis = axis_in(call, call.integer("axis", 0), x.rank());
  const bool keep = call.integer("keepdims", 1) != 0, last = call.integer("select_last_index", 0) != 0;
  if (x.shape(axis) == 0) call.lacks("value for no elements");
  if (!last) return {argmax(x, {axis}, keep)};
  const Tensor end = full(Shape{}, x.shape(axis) - 1, {DType::i64, call.device()});
  return {end - argmax(flip(x, {axis}), {axis}, keep)};
}

std::vector<Tensor> matmul_node(Call& call) {
  const Tensor a = floating(call, 0), b = floating(call, 1);
  // A vector is a row on the left and a column on the right, and the axis goes again.
  const Tensor left = a.rank() == 1 ? a.reshape({1, -1}) : a, right = b.rank() == 1 ? b.reshape({-1, 1}) : b;
  Tensor y = matmul(left, right);
  if (b.rank() == 1) y = y.reshape(y.shape().without(-1));
  if (a.rank() == 1) y = y.reshape(y.shape().without(b.rank() == 1 ? -1 : -2));
  return {y};
}
std::vector<Tensor> gemm_node(Call& call) {
  const Tensor a = floating(call, 0), b = floating(call, 1), c = call.optional_input(2);
  const double alpha = call.real("alpha", 1), beta = call.real("beta", 1);
  call.ignore({"broadcast"});
  const Tensor y =
      mul_scalar(matmul(a, b, call.integer("transA", 0) != 0, call.integer("transB", 0) != 0), alpha);
  return {c.defined() ? y + mul_scalar(c, beta) : y};
}

}  // namespace

std::span<const Operator> elementwise_operators() {
  static constexpr Operator all[] = {
      {"Add", binary<add>, false},
      {"Sub", binary<sub>, false},
      {"Mul", binary<mul>, false},
      {"Div", binary<div>, false},
      {"Equal", binary<eq>, false},
      {"Less", binary<lt>, false},
      {"LessOrEqual", binary<le>, false},
      {"Greater", binary<gt>, false},
      {"GreaterOrEqual", binary<ge>, false},
      {"And", logical<logical_and>, false},
      {"Or", logical<logical_or>, false},
      {"Xor", logical<logical_xor>, false},
      {"Not", not_node, false},
      {"Where", where_node, false},
      {"Max", chain<maximum>, false},
      {"Min", chain<minimum>, false},
      {"Sum", chain<add>, false},
      {"Mean", mean_node, false},
      {"Neg", neg_node, false},
      {"Mod", mod_node, false},
      {"Abs", unary<abs>, false},
      {"Reciprocal", unary<reciprocal>, false},
      {"Exp", unary<exp>, false},
      {"Log", unary<log>, false},
      {"Sqrt", unary<sqrt>, false},
      {"Sin", unary<sin>, false},
      {"Cos", unary<cos>, false},
      {"Erf", unary<erf>, false},
      {"Tanh", unary<tanh>, false},
      {"Sigmoid", unary<sigmoid>, false},
      {"Relu", unary<relu>, false},
      {"Softplus", unary<softplus>, false},
      {"IsNaN", unary<is_nan>, false},
      {"LeakyRelu", leaky_relu_node, false},
      {"Elu", elu_node, false},
      {"Gelu", gelu_node, false},
      {"Swish", swish_node, false},
      {"Clip", clip_node, false},
      {"ReduceSum", reduction<sum, 13>, false},
      {"ReduceMean", reduction<mean, 18>, false},
      {"ReduceMax", reduction<max, 18>, false},
      {"ReduceMin", reduction<min, 18>, false},
      {"ReduceL1", reduction<sum_of_magnitudes, 18>, false},
      {"ReduceL2", reduction<length, 18>, false},
      {"ReduceSumSquare", reduction<sum_of_squares, 18>, false},
      {"ReduceLogSum", reduction<log_of_sum, 18>, false},
      {"ArgMax", argmax_node, false},
      {"MatMul", matmul_node, false},
      {"Gemm", gemm_node, false},
  };
  return all;
}

}  // namespace isobit::cli::onnx
