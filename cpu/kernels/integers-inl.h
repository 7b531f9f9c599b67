// Element-wise functions of integers and bool (integers.cpp), and comparisons of any type: plain loops, which
// compilers vectorise for each target.
#if defined(ISOBIT_CPU_KERNELS_INTEGERS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_INTEGERS_INL_H_
#undef ISOBIT_CPU_KERNELS_INTEGERS_INL_H_
#else
#define ISOBIT_CPU_KERNELS_INTEGERS_INL_H_
#endif

#include "cpu/kernels/elementwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

void integer_unary(UnaryOp op, Scalar a, ConstView x, View out);
void integer_binary(BinaryOp op, const StridedGeometry& g, ConstView a, ConstView b, View out);

struct Equal {
  template <class T>
  HWY_INLINE bool operator()(T x, T y) const {
    return x == y;
  }
};
struct NotEqual {
  template <class T>
  HWY_INLINE bool operator()(T x, T y) const {
    return x != y;
  }
};
struct Less {
  template <class T>
  HWY_INLINE bool operator()(T x, T y) const {
    return x < y;
  }
};
struct LessEqual {
  template <class T>
  HWY_INLINE bool operator()(T x, T y) const {
    return x <= y;
  }
};

template <class Function, bool kSwap, class T, class O>
void plain_tile(T, const T* a, const T* b, O* out, std::int64_t n, bool) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = kSwap ? Function()(b[i], a[i]) : Function()(a[i], b[i]);
}

template <class T>
BinaryTile<T, bool> comparison_tile(BinaryOp op) {
  switch (op) {
    case BinaryOp::eq:
      return plain_tile<Equal, false, T, bool>;
    case BinaryOp::ne:
      return plain_tile<NotEqual, false, T, bool>;
    case BinaryOp::lt:
      return plain_tile<Less, false, T, bool>;
    case BinaryOp::le:
      return plain_tile<LessEqual, false, T, bool>;
    case BinaryOp::gt:
      return plain_tile<Less, true, T, bool>;
    default:
      return plain_tile<LessEqual, true, T, bool>;
  }
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
