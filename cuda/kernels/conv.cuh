// What the kernels of matrix products and convolutions share: element types, the trees of docs/numerics.md as
// one thread walks them, a convolution's numbers as kernels take them, the taps of a stride phase, what
// follows the sum.
#pragma once
#include "core/activation.h"
#include "core/numerics/pad_index.h"
#include "cuda/kernels/element.cuh"

namespace isobit::gpu::kernels {

/// A blocked chain: blocks of numerics::kBlock terms, each from +0; the sum is the first block's, to which
/// the others are added in order.
template <class V>
class BlockedChain {
 public:
  __device__ void fma(V a, V b) {
    if (terms_ == numerics::kBlock) {
      total_ = first_ ? chain_ : total_ + chain_;
      first_ = false;
      chain_ = 0;
      terms_ = 0;
    }
    chain_ = numerics::fma(a, b, chain_);
    ++terms_;
  }
  __device__ V sum() const { return first_ ? chain_ : total_ + chain_; }

 private:
  V chain_ = 0, total_ = 0;
  int terms_ = 0;      // in the open block
  bool first_ = true;  // the open block is the first
};

/// The tree over the leaves of a batch, aligned to powers of two, as a binary counter: level l holds the sum
/// of 2^l leaves while bit l of the number of leaves is set.
template <class V>
class LeafTree {
 public:
  __device__ void add(V leaf) {
    int level = 0;
    for (std::uint64_t bits = leaves_; (bits & 1) != 0; bits >>= 1) leaf = level_[level++] + leaf;
    level_[level] = leaf;
    ++leaves_;
  }
  /// +0 without leaves.
  __device__ V sum() const {
    V total = 0;
    bool first = true;
    for (int level = 0; level < kLevels; ++level)
      if ((leaves_ >> level & 1) != 0) {
        total = first ? level_[level] : level_[level] + total;
        first = false;
      }
    return total;
  }

 private:
  static constexpr int kLevels = 48;  // 2^48 leaves are more than there is memory for
  V level_[kLevels] = {};
  std::uint64_t leaves_ = 0;
};

/// The numbers of a convolution, names as in core/geometry.h.
struct Conv {
  std::int64_t n, c, k, groups, c_per_group, k_per_group;
  AxisGeometry axis[3];

  HOST_DEVICE std::int64_t positions() const { return axis[0].out * axis[1].out * axis[2].out; }
  HOST_DEVICE std::int64_t x_size() const { return n * axis[0].in * axis[1].in * axis[2].in * c; }
  HOST_DEVICE std::int64_t y_size() const { return n * positions() * k; }
  HOST_DEVICE std::int64_t taps() const { return axis[0].filter * axis[1].filter * axis[2].filter; }
  HOST_DEVICE std::int64_t w_size() const { return taps() * c_per_group * k; }
};

inline Conv make_conv(const ConvGeometry& g) {
  return {g.n, g.c, g.k, g.groups, g.c_per_group(), g.k_per_group(), {g.axis[0], g.axis[1], g.axis[2]}};
}

/// index becomes index / extent; returns the remainder. Neither is negative; divides 32 bits where that is
/// enough.
__device__ inline std::int64_t take_digit(std::int64_t& index, std::int64_t extent) {
  if ((index | extent) >> 32 == 0) {
    const std::uint32_t whole = static_cast<std::uint32_t>(index), by = static_cast<std::uint32_t>(extent);
    const std::uint32_t quotient = whole / by;
    index = quotient;
    return whole - quotient * by;
  }
  const std::int64_t quotient = index / extent, digit = index - quotient * extent;
  index = quotient;
  return digit;
}

/// The input coordinate that output `out` reads through tap `tap`.
__device__ inline std::int64_t input_of(const AxisGeometry& a, std::int64_t out, std::int64_t tap) {
  return out * a.stride + tap * a.dilation - a.pad_before;
}
__device__ inline bool inside(std::int64_t i, std::int64_t extent) {
  return 0 <= i && i < extent;
}

/// The taps of one axis that belong to the stride phase of a padded input coordinate: first, first + step,
/// ...
struct PhaseTaps {
  std::int64_t first = 0, step = 1, count = 0;
};

/// padded = coordinate + pad_before, not negative. Tap r counts when padded - r * dilation is a multiple of
/// the stride.
__device__ inline PhaseTaps phase_taps(const AxisGeometry& a, std::int64_t padded) {
  if (a.stride == 1) return {0, 1, a.filter};
  std::int64_t step = a.stride, rest = a.dilation;  // step becomes stride / gcd(stride, dilation)
  while (rest != 0) {
    const std::int64_t next = step % rest;
    step = rest;
    rest = next;
  }
  PhaseTaps taps;
  taps.step = a.stride / step;
  const std::int64_t phase = padded % a.stride;
  std::int64_t first = 0;
  while (first < a.filter && first < taps.step && first * a.dilation % a.stride != phase) ++first;
  if (first == a.filter || first == taps.step) return taps;
  taps.first = first;
  taps.count = (a.filter - 1 - first) / taps.step + 1;
  return taps;
}

/// The element of an axis that a coordinate outside of it reads. A function that is called, seldom: in line
/// it would take registers from the loops around it.
template <class I>
__device__ __attribute__((noinline)) I outside_source(PadMode mode, I coordinate, I extent) {
  return numerics::pad_source(mode, coordinate, extent);
}
/// The element of axis `a` that a coordinate reads; -1: the border's value. Twice the axis and the coordinate
/// fit I.
template <class I>
__device__ inline std::int64_t source_at(const AxisGeometry& a, std::int64_t coordinate) {
  if (inside(coordinate, a.in)) return coordinate;
  if (a.mode == PadMode::constant) return -1;
  return outside_source(a.mode, static_cast<I>(coordinate), static_cast<I>(a.in));
}

/// An element that negative padding cuts off is read by nobody.
__device__ inline bool cropped(const AxisGeometry& a, std::int64_t in) {
  const std::int64_t padded = in + a.pad_before;
  return padded < 0 || padded >= a.in + a.pad_before + a.pad_after;
}

/// What follows a convolution's sum in registers.
struct Finish {
  const void* bias = nullptr;  // of the type of x, or null
  bool relu = false;
};

/// Throws Error when the bias is not of type `dtype`: conv() demands one type of all operands.
inline Finish make_finish(const Epilogue& e, DType dtype) {
  if (e.bias.data != nullptr && e.bias.dtype != dtype)
    throw Error("conv_forward", "bias is " + std::string(name_of(e.bias.dtype)) + ", expected " +
                                    std::string(name_of(dtype)) + " as x is");
  return {e.bias.data, relu_by_tiles(e, dtype)};
}
/// What follows in memory: the activations that Finish does not hold, in place.
void activate(const Epilogue& e, View y);

/// sum, the bias of filter k added, the activation applied; the bias is of storage type S.
template <class S>
__device__ Compute<S> finished(const Finish& finish, std::int64_t k, Compute<S> sum) {
  if (finish.bias != nullptr) sum = sum + numerics::widen(static_cast<const S*>(finish.bias)[k]);
  return finish.relu && sum < 0 ? Compute<S>{0} : sum;
}

/// The thread's place in a grid-stride loop.
__device__ inline std::int64_t first_item() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ inline std::int64_t item_stride() {
  return static_cast<std::int64_t>(gridDim.x) * blockDim.x;
}

}  // namespace isobit::gpu::kernels
