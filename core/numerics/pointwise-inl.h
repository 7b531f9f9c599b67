// The element-wise functions of the seam (core/op_codes.h states each formula and where it rounds), written
// once for plain numbers and for SIMD registers: F is float, double or a register of them. No include guard:
// included inside the namespace that has the primitives and functions of elementary-inl.h. Every function is
// an object with
//   unary:  f(x, a)          a: the scalar parameter
//   binary: f(first, second, a)
// Gradients take dy first, then x or y as the name in op_codes.h says.

// ---- unary

struct Neg {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F) const {
    return -x;
  }
};
struct Abs {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F) const {
    return magnitude(x);
  }
};
struct Sign {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F) const {
    return select(x > F(0), F(1), select(x < F(0), F(-1), x));
  }
};
struct Square {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F) const {
    return x * x;
  }
};
struct Sqrt {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F) const {
    return sqrt(x);
  }
};
struct Reciprocal {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F) const {
    return F(1) / x;
  }
};
struct Relu {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F) const {
    return select(x < F(0), F(0), x);
  }
};
struct LeakyRelu {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F a) const {
    return select(x < F(0), a * x, x);
  }
};
struct AddScalar {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F a) const {
    return x + a;
  }
};
struct MulScalar {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F a) const {
    return x * a;
  }
};
struct DivScalar {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F a) const {
    return x / a;
  }
};
struct RsubScalar {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F a) const {
    return a - x;
  }
};

struct Exp {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F) const {
    return exp(x);
  }
};
struct Expm1 {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F) const {
    return expm1(x);
  }
};
struct Log {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F) const {
    return log(x);
  }
};
struct Log1p {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F) const {
    return log1p(x);
  }
};
struct Sin {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F) const {
    return sin(x);
  }
};
struct Cos {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F) const {
    return cos(x);
  }
};
struct Erf {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F) const {
    return erf(x);
  }
};
struct Tanh {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F) const {
    return tanh(x);
  }
};
struct Sigmoid {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F) const {
    return sigmoid(x);
  }
};
struct Softplus {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F) const {
    return softplus(x);
  }
};
struct Silu {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F) const {
    return silu(x);
  }
};
struct Gelu {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F) const {
    return gelu(x);
  }
};
struct Elu {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F a) const {
    return select(x < F(0), a * expm1(x), x);
  }
};

// ---- binary

struct Add {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F y, F) const {
    return x + y;
  }
};
struct Sub {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F y, F) const {
    return x - y;
  }
};
struct Mul {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F y, F) const {
    return x * y;
  }
};
struct Div {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F y, F) const {
    return x / y;
  }
};
struct Maximum {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F y, F) const {
    return select((y > x) | (y != y), y, x);
  }
};
struct Minimum {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F x, F y, F) const {
    return select((y < x) | (y != y), y, x);
  }
};

// ---- gradients

struct ReluGrad {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F dy, F x, F) const {
    return select(x <= F(0), F(0), dy);
  }
};
struct LeakyReluGrad {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F dy, F x, F a) const {
    return select(x < F(0), a * dy, dy);
  }
};
struct EluGrad {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F dy, F x, F a) const {
    return select(x < F(0), dy * (a * exp(x)), dy);
  }
};
struct SigmoidGrad {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F dy, F y, F) const {
    return (dy * y) * (F(1) - y);
  }
};
struct TanhGrad {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F dy, F y, F) const {
    return dy * fma(-y, y, F(1));
  }
};
struct SoftplusGrad {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F dy, F x, F) const {
    return dy * sigmoid(x);
  }
};
struct SiluGrad {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F dy, F x, F) const {
    const F s = sigmoid(x);
    return dy * (s * fma(x, F(1) - s, F(1)));
  }
};
struct GeluGrad {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F dy, F x, F) const {
    return dy * fma(x, normal_density(x), normal_cdf(x));
  }
};
struct AbsGrad {
  template <typename F>
  [[gnu::always_inline]] HOST_DEVICE inline F operator()(F dy, F x, F) const {
    return select(x > F(0), dy, select(x < F(0), -dy, F(0)));
  }
};
