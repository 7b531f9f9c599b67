// Element-wise functions of i32, i64, u8 and bool: two's complement that wraps, division that truncates and
// gives 0 for a zero divisor (lowest / -1 wraps to lowest). A task owns a range of the output.
// Twin: cuda/kernels/integers.cuh.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/integers.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/integers-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

/// Unsigned arithmetic wraps; 64 bits of it hold the low bits of every narrower result.
template <class T>
constexpr T wrap(std::uint64_t v) {
  return static_cast<T>(v);
}
template <class T>
constexpr std::uint64_t bits_of(T v) {
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(v));
}

template <class T>
constexpr T quotient(T x, T y) {
  if (y == 0) return 0;
  if constexpr (std::is_signed_v<T>) {
    if (y == -1) return wrap<T>(0 - bits_of(x));
  }
  return static_cast<T>(x / y);
}

// Functions of two integers; unary functions with a parameter are these too.
struct Plus {
  template <class T>
  HWY_INLINE T operator()(T x, T y) const {
    return static_cast<T>(std::make_unsigned_t<T>(x) + std::make_unsigned_t<T>(y));
  }
};
struct Minus {
  template <class T>
  HWY_INLINE T operator()(T x, T y) const {
    return static_cast<T>(std::make_unsigned_t<T>(x) - std::make_unsigned_t<T>(y));
  }
};
struct Times {
  template <class T>
  HWY_INLINE T operator()(T x, T y) const {
    return static_cast<T>(std::make_unsigned_t<T>(x) * std::make_unsigned_t<T>(y));
  }
};
struct Over {
  template <class T>
  HWY_INLINE T operator()(T x, T y) const {
    return quotient(x, y);
  }
};
struct Larger {
  template <class T>
  HWY_INLINE T operator()(T x, T y) const {
    return y > x ? y : x;
  }
};
struct Smaller {
  template <class T>
  HWY_INLINE T operator()(T x, T y) const {
    return y < x ? y : x;
  }
};
// bool is read as bytes, for foreign memory may hold others than 0 and 1.
struct And {
  HWY_INLINE bool operator()(std::uint8_t x, std::uint8_t y) const { return (x != 0) & (y != 0); }
};
struct Or {
  HWY_INLINE bool operator()(std::uint8_t x, std::uint8_t y) const { return (x | y) != 0; }
};
template <class Comparison>
struct OfTruth {
  HWY_INLINE bool operator()(std::uint8_t x, std::uint8_t y) const {
    return Comparison()(static_cast<std::uint8_t>(x != 0), static_cast<std::uint8_t>(y != 0));
  }
};
// Functions of one integer; the parameter is unused.
struct SignOf {
  template <class T>
  HWY_INLINE T operator()(T x, T) const {
    return static_cast<T>((x > 0) - (x < 0));
  }
};
struct Magnitude {
  template <class T>
  HWY_INLINE T operator()(T x, T) const {
    return x < 0 ? wrap<T>(0 - bits_of(x)) : x;
  }
};
struct Positive {
  template <class T>
  HWY_INLINE T operator()(T x, T) const {
    return x < 0 ? T{0} : x;
  }
};

template <class Function, bool kSwap, class T>
void map(const T* x, T a, T* out, std::int64_t n) {
  for_ranges(n, 2 * sizeof(T), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) out[i] = kSwap ? Function()(a, x[i]) : Function()(x[i], a);
  });
}

template <class T>
void unary_of(UnaryOp op, Scalar parameter, const T* x, T* out, std::int64_t n) {
  const T a = parameter.is_integer ? numerics::cast<T>(parameter.integer) : numerics::cast<T>(parameter.real);
  switch (op) {
    case UnaryOp::neg:
      return map<Minus, true>(x, T{0}, out, n);
    case UnaryOp::abs:
      return map<Magnitude, false>(x, a, out, n);
    case UnaryOp::sign:
      return map<SignOf, false>(x, a, out, n);
    case UnaryOp::square:
      return for_ranges(n, 2 * sizeof(T), [&](std::int64_t begin, std::int64_t end) {
        plain_tile<Times, false>(a, x + begin, x + begin, out + begin, end - begin, false);
      });
    case UnaryOp::relu:
      return map<Positive, false>(x, a, out, n);
    case UnaryOp::add_scalar:
      return map<Plus, false>(x, a, out, n);
    case UnaryOp::mul_scalar:
      return map<Times, false>(x, a, out, n);
    case UnaryOp::div_scalar:
      return map<Over, false>(x, a, out, n);
    default:
      return map<Minus, true>(x, a, out, n);
  }
}

template <class T>
BinaryTile<T, T> arithmetic_tile(BinaryOp op) {
  switch (op) {
    case BinaryOp::add:
      return plain_tile<Plus, false, T, T>;
    case BinaryOp::sub:
      return plain_tile<Minus, false, T, T>;
    case BinaryOp::mul:
      return plain_tile<Times, false, T, T>;
    case BinaryOp::div:
      return plain_tile<Over, false, T, T>;
    case BinaryOp::maximum:
      return plain_tile<Larger, false, T, T>;
    default:
      return plain_tile<Smaller, false, T, T>;
  }
}

BinaryTile<std::uint8_t, bool> truth_tile(BinaryOp op) {
  using U = std::uint8_t;
  switch (op) {
    case BinaryOp::logical_and:
      return plain_tile<And, false, U, bool>;
    case BinaryOp::logical_or:
      return plain_tile<Or, false, U, bool>;
    case BinaryOp::eq:
      return plain_tile<OfTruth<Equal>, false, U, bool>;
    case BinaryOp::lt:
      return plain_tile<OfTruth<Less>, false, U, bool>;
    case BinaryOp::le:
      return plain_tile<OfTruth<LessEqual>, false, U, bool>;
    case BinaryOp::gt:
      return plain_tile<OfTruth<Less>, true, U, bool>;
    case BinaryOp::ge:
      return plain_tile<OfTruth<LessEqual>, true, U, bool>;
    default:  // ne, logical_xor
      return plain_tile<OfTruth<NotEqual>, false, U, bool>;
  }
}

template <class T>
void binary_of(BinaryOp op, const StridedGeometry& g, ConstView a, ConstView b, View out) {
  if (is_comparison(op))
    return binary_loop<T, T, bool, bool>(comparison_tile<T>(op), T{}, g, a.as<T>(), b.as<T>(), out.as<bool>(),
                                         0);
  binary_loop<T, T, T, T>(arithmetic_tile<T>(op), T{}, g, a.as<T>(), b.as<T>(), out.as<T>(), 0);
}

}  // namespace

void integer_unary(UnaryOp op, Scalar a, ConstView x, View out) {
  const std::int64_t n = out.numel;
  switch (x.dtype) {
    case DType::i32:
      return unary_of(op, a, x.as<std::int32_t>(), out.as<std::int32_t>(), n);
    case DType::i64:
      return unary_of(op, a, x.as<std::int64_t>(), out.as<std::int64_t>(), n);
    case DType::u8:
      return unary_of(op, a, x.as<std::uint8_t>(), out.as<std::uint8_t>(), n);
    default:
      for (std::int64_t i = 0; i < n; ++i) out.as<bool>()[i] = x.as<std::uint8_t>()[i] == 0;
  }
}

void integer_binary(BinaryOp op, const StridedGeometry& g, ConstView a, ConstView b, View out) {
  switch (a.dtype) {
    case DType::i32:
      return binary_of<std::int32_t>(op, g, a, b, out);
    case DType::i64:
      return binary_of<std::int64_t>(op, g, a, b, out);
    case DType::u8:
      return binary_of<std::uint8_t>(op, g, a, b, out);
    default:
      return binary_loop<std::uint8_t, std::uint8_t, bool, bool>(truth_tile(op), 0, g, a.as<std::uint8_t>(),
                                                                 b.as<std::uint8_t>(), out.as<bool>(), 0);
  }
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
