// unary: one function of one tensor. A lane owns an element, a task a range of elements. f16 and bf16 pass
// through a tile of f32; results larger than the caches go past them; functions of integers and bool are in
// integers.cpp.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/unary.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/integers-inl.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/pointwise_simd-inl.h"
#include "cpu/kernels/stream-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

template <class T>
UnaryTile<T> tile_of(UnaryOp op) {
  switch (op) {
    case UnaryOp::neg:
      return unary_tile<Neg, T>;
    case UnaryOp::abs:
      return unary_tile<Abs, T>;
    case UnaryOp::sign:
      return unary_tile<Sign, T>;
    case UnaryOp::square:
      return unary_tile<Square, T>;
    case UnaryOp::sqrt:
      return unary_tile<Sqrt, T>;
    case UnaryOp::reciprocal:
      return unary_tile<Reciprocal, T>;
    case UnaryOp::relu:
      return unary_tile<Relu, T>;
    case UnaryOp::leaky_relu:
      return unary_tile<LeakyRelu, T>;
    case UnaryOp::add_scalar:
      return unary_tile<AddScalar, T>;
    case UnaryOp::mul_scalar:
      return unary_tile<MulScalar, T>;
    case UnaryOp::div_scalar:
      return unary_tile<DivScalar, T>;
    case UnaryOp::rsub_scalar:
      return unary_tile<RsubScalar, T>;
    default:
      if constexpr (std::is_same_v<T, float>) return elementary_tile_f32(op);
      if constexpr (std::is_same_v<T, double>) return elementary_tile_f64(op);
  }
}

/// About what an element costs beside its traffic, in bytes of traffic.
std::int64_t cost_of(UnaryOp op) {
  return op >= UnaryOp::exp && op <= UnaryOp::gelu ? 32 : 0;
}

template <class T>
void is_nan_tile(const T* x, bool* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = x[i] != x[i];
}

/// tile(begin, n, x as T, out) on tiles of half precision, widened.
template <class S, class Tile>
void in_tiles(const S* x, std::int64_t begin, std::int64_t end, const Tile& tile) {
  HWY_ALIGN float wide[kTile];
  for (std::int64_t i = begin; i < end; i += kTile) {
    const std::int64_t n = std::min(kTile, end - i);
    convert_tile(x + i, wide, n);
    tile(i, n, wide);
  }
}

/// The tile function on n elements that go past the caches; of half precision a tile at a time lies in the
/// first-level cache before.
template <class S, class T>
void apply_past_caches(UnaryTile<T> tile, T parameter, const S* x, S* to, std::int64_t n) {
  if constexpr (std::is_same_v<S, T>) {
    tile(parameter, x, to, n, true);
  } else {
    in_tiles(x, 0, n, [&](std::int64_t i, std::int64_t count, float* wide) {
      HWY_ALIGN S narrow[kTile];
      tile(parameter, wide, wide, count, false);
      convert_tile(wide, narrow, count);
      stream_tile(narrow, to + i, count);
    });
  }
  hwy::FlushStream();
}

template <class S>
void apply(UnaryOp op, Scalar a, const S* x, View out) {
  using T = Compute<S>;
  const std::int64_t n = out.numel, bytes = 2 * sizeof(S);
  if (op == UnaryOp::is_nan) {
    bool* to = out.as<bool>();
    return for_ranges(n, bytes, [&](std::int64_t begin, std::int64_t end) {
      if constexpr (std::is_same_v<S, T>) {
        is_nan_tile(x + begin, to + begin, end - begin);
      } else {
        in_tiles(x, begin, end, [&](std::int64_t i, std::int64_t count, const float* wide) {
          is_nan_tile(wide, to + i, count);
        });
      }
    });
  }
  const UnaryTile<T> tile = tile_of<T>(op);
  const T parameter = static_cast<T>(a.is_integer ? static_cast<T>(a.integer) : static_cast<T>(a.real));
  S* to = out.as<S>();
  const bool stream = x != to && past_caches(to, n * static_cast<std::int64_t>(sizeof(S)));
  for_ranges(n, bytes + cost_of(op), [&](std::int64_t begin, std::int64_t end) {
    if (stream) return apply_past_caches(tile, parameter, x + begin, to + begin, end - begin);
    if constexpr (std::is_same_v<S, T>) {
      tile(parameter, x + begin, to + begin, end - begin, false);
    } else {
      in_tiles(x, begin, end, [&](std::int64_t i, std::int64_t count, float* wide) {
        tile(parameter, wide, wide, count, false);
        convert_tile(wide, to + i, count);
      });
    }
  });
}

}  // namespace

void run_unary(UnaryOp op, Scalar a, ConstView x, View out) {
  if (!is_floating(x.dtype)) return integer_unary(op, a, x, out);
  with_floating(x.dtype, [&](auto type) {
    using S = decltype(type);
    apply(op, a, x.as<S>(), out);
  });
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(run_unary);

namespace kernels {
const char* refuse_unary(UnaryOp op, Scalar, ConstView x, View) {
  if (is_floating(x.dtype)) return op == UnaryOp::logical_not ? "logical_not is for bool" : nullptr;
  if (x.dtype == DType::boolean) return op == UnaryOp::logical_not ? nullptr : "bool has logical_not alone";
  switch (op) {
    case UnaryOp::neg:
    case UnaryOp::abs:
    case UnaryOp::sign:
    case UnaryOp::square:
    case UnaryOp::relu:
    case UnaryOp::add_scalar:
    case UnaryOp::mul_scalar:
    case UnaryOp::div_scalar:
    case UnaryOp::rsub_scalar:
      return nullptr;
    default:
      return "not a function of integers";
  }
}
void unary(UnaryOp op, Scalar a, ConstView x, View out) {
  HWY_DYNAMIC_DISPATCH(run_unary)(op, a, x, out);
}
}  // namespace kernels
}  // namespace isobit::cpu
#endif
