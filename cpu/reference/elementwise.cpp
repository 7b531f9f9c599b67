// The definition of the element-wise functions: one switch over the formulas of core/op_codes.h, for floating
// and for integer elements. T is the type that is computed in. Integers wrap.
#include <cmath>
#include <limits>

#include "core/numerics/elementary.h"
#include "cpu/reference/reference.h"
#include "cpu/reference/strides.h"
#include "cpu/reference/types.h"

namespace isobit::cpu::reference {
namespace {

template <class T>
T float_unary(UnaryOp op, T a, T x) {
  switch (op) {
    case UnaryOp::neg:
      return -x;
    case UnaryOp::abs:
      return std::fabs(x);
    case UnaryOp::sign:
      return x > 0 ? T{1} : x < 0 ? T{-1} : x;
    case UnaryOp::square:
      return x * x;
    case UnaryOp::sqrt:
      return std::sqrt(x);
    case UnaryOp::reciprocal:
      return T{1} / x;
    case UnaryOp::exp:
      return numerics::exp(x);
    case UnaryOp::expm1:
      return numerics::expm1(x);
    case UnaryOp::log:
      return numerics::log(x);
    case UnaryOp::log1p:
      return numerics::log1p(x);
    case UnaryOp::sin:
      return numerics::sin(x);
    case UnaryOp::cos:
      return numerics::cos(x);
    case UnaryOp::erf:
      return numerics::erf(x);
    case UnaryOp::tanh:
      return numerics::tanh(x);
    case UnaryOp::sigmoid:
      return numerics::sigmoid(x);
    case UnaryOp::softplus:
      return numerics::softplus(x);
    case UnaryOp::silu:
      return numerics::silu(x);
    case UnaryOp::gelu:
      return numerics::gelu(x);
    case UnaryOp::relu:
      return x < 0 ? T{0} : x;
    case UnaryOp::leaky_relu:
      return x < 0 ? a * x : x;
    case UnaryOp::elu:
      return x < 0 ? a * numerics::expm1(x) : x;
    case UnaryOp::add_scalar:
      return x + a;
    case UnaryOp::mul_scalar:
      return x * a;
    case UnaryOp::div_scalar:
      return x / a;
    case UnaryOp::rsub_scalar:
      return a - x;
    default:
      fail("unary", "{} has no floating result", name_of(op));
  }
}

// Wrapping arithmetic: by way of 64 unsigned bits, of which the low ones are kept.
template <class T>
T wrap(std::uint64_t v) {
  return static_cast<T>(v);
}
std::uint64_t bits(std::int64_t v) {
  return static_cast<std::uint64_t>(v);
}

template <class T>
T divide(T a, T b) {
  if (b == 0) return 0;
  if constexpr (std::is_signed_v<T>)
    if (b == -1) return wrap<T>(0 - bits(a));  // the lowest value stays
  return static_cast<T>(a / b);
}

template <class T>
T integer_unary(UnaryOp op, T a, T x) {
  switch (op) {
    case UnaryOp::neg:
      return wrap<T>(0 - bits(x));
    case UnaryOp::abs:
      return x < 0 ? wrap<T>(0 - bits(x)) : x;
    case UnaryOp::sign:
      return static_cast<T>((x > 0) - (x < 0));
    case UnaryOp::square:
      return wrap<T>(bits(x) * bits(x));
    case UnaryOp::relu:
      return x < 0 ? T{0} : x;
    case UnaryOp::add_scalar:
      return wrap<T>(bits(x) + bits(a));
    case UnaryOp::mul_scalar:
      return wrap<T>(bits(x) * bits(a));
    case UnaryOp::div_scalar:
      return divide(x, a);
    case UnaryOp::rsub_scalar:
      return wrap<T>(bits(a) - bits(x));
    default:
      fail("unary", "{} is not defined for {}", name_of(op), dtype_of<T>);
  }
}

template <class T>
T float_binary(BinaryOp op, T p, T a, T b) {
  switch (op) {
    case BinaryOp::add:
      return a + b;
    case BinaryOp::sub:
      return a - b;
    case BinaryOp::mul:
      return a * b;
    case BinaryOp::div:
      return a / b;
    case BinaryOp::maximum:
      return a != a ? a : b != b ? b : b > a ? b : a;
    case BinaryOp::minimum:
      return a != a ? a : b != b ? b : b < a ? b : a;
    case BinaryOp::relu_grad:
      return b <= 0 ? T{0} : a;
    case BinaryOp::leaky_relu_grad:
      return b < 0 ? p * a : a;
    case BinaryOp::elu_grad:
      return b < 0 ? a * (p * numerics::exp(b)) : a;
    case BinaryOp::sigmoid_grad:
      return (a * b) * (T{1} - b);
    case BinaryOp::tanh_grad:
      return a * numerics::fma(-b, b, T{1});
    case BinaryOp::softplus_grad:
      return a * numerics::sigmoid(b);
    case BinaryOp::silu_grad: {
      const T s = numerics::sigmoid(b);
      return a * (s * numerics::fma(b, T{1} - s, T{1}));
    }
    case BinaryOp::gelu_grad:
      return a * numerics::fma(b, numerics::normal_density(b), numerics::normal_cdf(b));
    case BinaryOp::abs_grad:
      return b > 0 ? a : b < 0 ? -a : T{0};
    default:
      fail("binary", "{} has no floating result", name_of(op));
  }
}

template <class T>
T integer_binary(BinaryOp op, T a, T b) {
  switch (op) {
    case BinaryOp::add:
      return wrap<T>(bits(a) + bits(b));
    case BinaryOp::sub:
      return wrap<T>(bits(a) - bits(b));
    case BinaryOp::mul:
      return wrap<T>(bits(a) * bits(b));
    case BinaryOp::div:
      return divide(a, b);
    case BinaryOp::maximum:
      return b > a ? b : a;
    case BinaryOp::minimum:
      return b < a ? b : a;
    default:
      fail("binary", "{} is not defined for {}", name_of(op), dtype_of<T>);
  }
}

template <class T>
bool compare(BinaryOp op, T a, T b) {
  switch (op) {
    case BinaryOp::eq:
      return a == b;
    case BinaryOp::ne:
      return a != b;
    case BinaryOp::lt:
      return a < b;
    case BinaryOp::le:
      return a <= b;
    case BinaryOp::gt:
      return a > b;
    default:
      return a >= b;
  }
}

bool logical(BinaryOp op, bool a, bool b) {
  switch (op) {
    case BinaryOp::logical_and:
      return a && b;
    case BinaryOp::logical_or:
      return a || b;
    default:
      return a != b;
  }
}

}  // namespace

void unary(UnaryOp op, Scalar a, ConstView x, View out) {
  if (op == UnaryOp::logical_not) {
    for (std::int64_t i = 0; i < out.numel; ++i) store<bool>(out, i, !load<bool>(x, i));
    return;
  }
  if (op == UnaryOp::is_nan) {
    with_floating("unary", x.dtype, [&](auto tag) {
      using S = typename decltype(tag)::type;
      for (std::int64_t i = 0; i < out.numel; ++i) store<bool>(out, i, load<S>(x, i) != load<S>(x, i));
    });
    return;
  }
  with_numeric("unary", x.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    using T = Compute<S>;
    const T parameter = scalar_as<T>(a);
    for (std::int64_t i = 0; i < out.numel; ++i) {
      if constexpr (std::is_floating_point_v<T>)
        store<S>(out, i, float_unary<T>(op, parameter, load<S>(x, i)));
      else
        store<S>(out, i, integer_unary<T>(op, parameter, load<S>(x, i)));
    }
  });
}

void binary(BinaryOp op, Scalar parameter, const StridedGeometry& g, ConstView a, ConstView b, View out) {
  with_any("binary", a.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    using T = Compute<S>;
    const std::int64_t size = g.numel();
    for (std::int64_t i = 0; i < size; ++i) {
      const T left = load<S>(a, operand_element(g, 0, i)), right = load<S>(b, operand_element(g, 1, i));
      if (is_comparison(op)) {
        store<bool>(out, i, compare<T>(op, left, right));
      } else if constexpr (std::is_same_v<T, bool>) {
        if (!is_logical(op)) fail("binary", "{} is not defined for bool", name_of(op));
        store<bool>(out, i, logical(op, left, right));
      } else if constexpr (std::is_floating_point_v<T>) {
        store<S>(out, i, float_binary<T>(op, scalar_as<T>(parameter), left, right));
      } else {
        store<S>(out, i, integer_binary<T>(op, left, right));
      }
    }
  });
}

void select(const StridedGeometry& g, ConstView condition, ConstView a, ConstView b, View out) {
  with_movable("select", out.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    const std::int64_t size = g.numel();
    for (std::int64_t i = 0; i < size; ++i) {
      const bool first = load<bool>(condition, operand_element(g, 0, i));
      out.as<S>()[i] = first ? a.as<S>()[operand_element(g, 1, i)] : b.as<S>()[operand_element(g, 2, i)];
    }
  });
}

}  // namespace isobit::cpu::reference
