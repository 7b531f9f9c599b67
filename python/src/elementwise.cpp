// Arithmetic, comparison, elementary functions, and the operators of Tensor.
#include <isobit/ops.h>

#include "module.h"

namespace isobit::python {
namespace {

using Unary = Tensor (*)(const Tensor&);
using Binary = Tensor (*)(const Tensor&, const Tensor&);

void unary(nb::module_& m, const char* name, Unary op, const char* doc) {
  m.def(
      name, [op](const Tensor& x) { return unlocked(x.numel(), [&] { return op(x); }); }, "x"_a, doc);
}
void binary(nb::module_& m, const char* name, Binary op, const char* doc) {
  m.def(
      name,
      [op](const Tensor& a, const Tensor& b) {
        return unlocked(a.numel() + b.numel(), [&] { return op(a, b); });
      },
      "a"_a, "b"_a, doc);
}

/// Whether x OP a has to go by a tensor of rank 0: as a double, which is what the library takes, the int
/// would lose digits that integer elements have.
bool needs_tensor(const Tensor& x, const Number& a) {
  return a.beyond_double() && !is_floating(x.dtype());
}
/// a as a tensor of rank 0 like x; integers wrap, as those of sums and products do.
Tensor wrapped(const Tensor& x, const Number& a) {
  return full(Shape{}, *a.integer, {x.dtype(), x.device()});
}
/// a as a tensor of rank 0 like x, for what is not computed modulo 2^n: a ValueError when x's integers do not
/// have a.
Tensor beside(const char* op, const Tensor& x, const Number& a) {
  const TensorOptions options{x.dtype(), x.device()};
  return is_floating(x.dtype()) ? full(Shape{}, a.real, options)
                                : full(Shape{}, a.whole(op, x.dtype()), options);
}

/// op(x, a), or for a long int exact(x, a).
void scalar(nb::module_& m, const char* name, Tensor (*op)(const Tensor&, double), Binary exact,
            const char* doc) {
  m.def(
      name,
      [op, exact](const Tensor& x, Number a) {
        return unlocked(x.numel(),
                        [&] { return needs_tensor(x, a) ? exact(x, wrapped(x, a)) : op(x, a.real); });
      },
      "x"_a, "a"_a, doc);
}

Tensor divide(const Tensor& x, const Number& a) {
  return is_floating(x.dtype()) ? div_scalar(x, a.real) : div(x, beside("div", x, a));
}

/// a OP b, a OP number, number OP a.
template <class WithTensor, class WithNumber, class Reversed>
void arithmetic(nb::class_<Tensor>& tensor, const char* name, const char* reversed_name,
                WithTensor with_tensor, WithNumber with_number, Reversed reversed) {
  tensor
      .def(
          name,
          [with_tensor](const Tensor& a, const Tensor& b) {
            return unlocked(a.numel() + b.numel(), [&] { return with_tensor(a, b); });
          },
          "other"_a, nb::is_operator())
      .def(
          name,
          [with_tensor, with_number](const Tensor& a, Number b) {
            return unlocked(a.numel(), [&] {
              return needs_tensor(a, b) ? with_tensor(a, wrapped(a, b)) : with_number(a, b.real);
            });
          },
          "other"_a, nb::is_operator())
      .def(
          reversed_name,
          [with_tensor, reversed](const Tensor& a, Number b) {
            return unlocked(a.numel(), [&] {
              return needs_tensor(a, b) ? with_tensor(wrapped(a, b), a) : reversed(b.real, a);
            });
          },
          "other"_a, nb::is_operator());
}

void division(nb::class_<Tensor>& tensor) {
  tensor
      .def(
          "__truediv__",
          [](const Tensor& a, const Tensor& b) {
            return unlocked(a.numel() + b.numel(), [&] { return div(a, b); });
          },
          "other"_a, nb::is_operator())
      .def(
          "__truediv__",
          [](const Tensor& a, Number b) { return unlocked(a.numel(), [&] { return divide(a, b); }); },
          "other"_a, nb::is_operator())
      .def(
          "__rtruediv__",
          [](const Tensor& a, Number b) {
            return unlocked(a.numel(), [&] { return div(beside("div", a, b), a); });
          },
          "other"_a, nb::is_operator());
}

void comparison(nb::class_<Tensor>& tensor, const char* name, const char* op_name, Binary op) {
  tensor
      .def(
          name,
          [op](const Tensor& a, const Tensor& b) {
            return unlocked(a.numel() + b.numel(), [&] { return op(a, b); });
          },
          "other"_a, nb::is_operator())
      .def(
          name,
          [op, op_name](const Tensor& a, Number b) {
            return unlocked(a.numel(), [&] { return op(a, beside(op_name, a, b)); });
          },
          "other"_a, nb::is_operator());
}

Tensor power(const Tensor& x, double exponent) {
  if (exponent == 2) return square(x);
  if (exponent == 1) return x;
  if (exponent == 0.5) return sqrt(x);
  if (exponent == -1) return reciprocal(x);
  fail("pow", "exponent {}: a Tensor has powers 2, 1, 0.5 and -1; others are exp(p * log(x))", exponent);
}

void bind_operators(nb::class_<Tensor>& tensor) {
  arithmetic(
      tensor, "__add__", "__radd__", [](const Tensor& a, const Tensor& b) { return add(a, b); },
      [](const Tensor& a, double b) { return add_scalar(a, b); },
      [](double b, const Tensor& a) { return b + a; });
  arithmetic(
      tensor, "__sub__", "__rsub__", [](const Tensor& a, const Tensor& b) { return sub(a, b); },
      [](const Tensor& a, double b) { return a - b; }, [](double b, const Tensor& a) { return b - a; });
  arithmetic(
      tensor, "__mul__", "__rmul__", [](const Tensor& a, const Tensor& b) { return mul(a, b); },
      [](const Tensor& a, double b) { return mul_scalar(a, b); },
      [](double b, const Tensor& a) { return b * a; });
  division(tensor);
  tensor.def("__neg__", [](const Tensor& x) { return neg(x); })
      .def("__abs__", [](const Tensor& x) { return abs(x); })
      .def("__pow__", &power, "exponent"_a, nb::is_operator())
      .def(
          "__matmul__",
          [](const Tensor& a, const Tensor& b) { return unlocked([&] { return matmul(a, b); }); }, "other"_a,
          nb::is_operator())
      .def(
          "__and__", [](const Tensor& a, const Tensor& b) { return logical_and(a, b); }, "other"_a,
          nb::is_operator())
      .def(
          "__or__", [](const Tensor& a, const Tensor& b) { return logical_or(a, b); }, "other"_a,
          nb::is_operator())
      .def(
          "__xor__", [](const Tensor& a, const Tensor& b) { return logical_xor(a, b); }, "other"_a,
          nb::is_operator())
      .def("__invert__", [](const Tensor& a) { return logical_not(a); });
  comparison(tensor, "__eq__", "eq", eq);
  comparison(tensor, "__ne__", "ne", ne);
  comparison(tensor, "__lt__", "lt", lt);
  comparison(tensor, "__le__", "le", le);
  comparison(tensor, "__gt__", "gt", gt);
  comparison(tensor, "__ge__", "ge", ge);
}

void bind_arithmetic(nb::module_& m) {
  binary(m, "add", add, "a + b, broadcast. Also i32, i64, u8 without gradient: integers wrap.");
  binary(m, "sub", sub, "a - b, broadcast.");
  binary(m, "mul", mul, "a * b, broadcast.");
  binary(m, "div", div, "a / b, broadcast. Integers truncate, division by zero gives 0.");
  binary(m, "maximum", maximum,
         "NaN if either is NaN; of equal operands the first, which also gets the gradient.");
  binary(m, "minimum", minimum,
         "NaN if either is NaN; of equal operands the first, which also gets the gradient.");
  scalar(m, "add_scalar", add_scalar, add, "x + a");
  scalar(m, "mul_scalar", mul_scalar, mul, "x * a");
  m.def(
      "div_scalar",
      [](const Tensor& x, Number a) { return unlocked(x.numel(), [&] { return divide(x, a); }); }, "x"_a,
      "a"_a, "x / a");
  scalar(
      m, "rsub_scalar", rsub_scalar, [](const Tensor& x, const Tensor& a) { return sub(a, x); }, "a - x");
  unary(m, "neg", neg, "-x");
  unary(m, "abs", abs, "|x|");
  unary(m, "square", square, "x * x");
  unary(m, "reciprocal", reciprocal, "1 / x");
  binary(m, "eq", eq, "a == b as a bool tensor; bool results carry no gradient.");
  binary(m, "ne", ne, "a != b as a bool tensor.");
  binary(m, "lt", lt, "a < b as a bool tensor.");
  binary(m, "le", le, "a <= b as a bool tensor.");
  binary(m, "gt", gt, "a > b as a bool tensor.");
  binary(m, "ge", ge, "a >= b as a bool tensor.");
  binary(m, "logical_and", logical_and, "Of bool tensors.");
  binary(m, "logical_or", logical_or, "Of bool tensors.");
  binary(m, "logical_xor", logical_xor, "Of bool tensors.");
  unary(m, "logical_not", logical_not, "Of a bool tensor.");
  unary(m, "is_nan", is_nan, "Where x is NaN, as a bool tensor.");
  m.def(
      "select",
      [](const Tensor& condition, const Tensor& a, const Tensor& b) {
        return unlocked(condition.numel() + a.numel() + b.numel(), [&] { return select(condition, a, b); });
      },
      "condition"_a, "a"_a, "b"_a, "condition ? a : b, broadcast.");
}

void bind_elementary(nb::module_& m) {
  unary(m, "exp", exp,
        "At most 1 ulp off, the same bits everywhere; as all elementary functions here (at most 2).");
  unary(m, "expm1", expm1, "exp(x) - 1, exact near 0.");
  unary(m, "log", log, "The natural logarithm.");
  unary(m, "log1p", log1p, "log(1 + x), exact near 0.");
  unary(m, "sqrt", sqrt, "Correctly rounded.");
  unary(m, "sin", sin, "Of any finite angle in radians.");
  unary(m, "cos", cos, "Of any finite angle in radians.");
  unary(m, "erf", erf, "The error function.");
  unary(m, "tanh", tanh, "The hyperbolic tangent.");
  unary(m, "sigmoid", sigmoid, "1 / (1 + exp(-x))");
  unary(m, "relu", relu, "max(x, 0); gradient 0 at 0.");
  unary(m, "gelu", gelu, "x * Phi(x), exact form.");
  unary(m, "silu", silu, "x * sigmoid(x)");
  unary(m, "softplus", softplus, "log(1 + exp(x))");
  m.def(
      "leaky_relu",
      [](const Tensor& x, double slope) { return unlocked(x.numel(), [&] { return leaky_relu(x, slope); }); },
      "x"_a, "slope"_a = 0.01, "x where it is positive, else slope * x.");
  m.def(
      "elu", [](const Tensor& x, double alpha) { return unlocked(x.numel(), [&] { return elu(x, alpha); }); },
      "x"_a, "alpha"_a = 1.0, "x where it is positive, else alpha * expm1(x).");
}

}  // namespace

void bind_elementwise(nb::module_& m, nb::class_<Tensor>& tensor) {
  bind_arithmetic(m);
  bind_elementary(m);
  bind_operators(tensor);
}

}  // namespace isobit::python
