// The trees of docs/numerics.md, in their plainest form. T is float or double. An empty reduction is +0.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>

#include "core/numerics/fma.h"
#include "core/numerics/order.h"

namespace isobit::cpu::reference {

/// Blocked chain: terms arrive in order; every numerics::kBlock of them make one chain from +0; the sum is
/// the first chain's, to which the others are added left to right.
template <class T>
class BlockedChain {
 public:
  /// The next term is the product a * b.
  void fma(T a, T b) {
    begin_term();
    chain_ = numerics::fma(a, b, chain_);
  }
  /// The next term is v.
  void add(T v) {
    begin_term();
    chain_ = chain_ + v;
  }
  T sum() const { return blocks_ == 0 ? chain_ : total_ + chain_; }

 private:
  void begin_term() {
    if (terms_ == numerics::kBlock) {
      total_ = blocks_ == 0 ? chain_ : total_ + chain_;
      ++blocks_;
      chain_ = 0;
      terms_ = 0;
    }
    ++terms_;
  }

  T chain_ = 0, total_ = 0;
  std::int64_t terms_ = 0;   // in the open block
  std::int64_t blocks_ = 0;  // closed ones
};

/// Lanes: term t goes to chain t mod 64; chains are joined by halving, those without a term are skipped.
template <class T>
class Lanes {
 public:
  void fma(T a, T b) {
    T& chain = chain_[static_cast<std::size_t>(terms_ % numerics::kLanes)];
    chain = numerics::fma(a, b, chain);
    ++terms_;
  }
  void add(T v) {
    T& chain = chain_[static_cast<std::size_t>(terms_ % numerics::kLanes)];
    chain = chain + v;
    ++terms_;
  }
  T sum() const {
    std::array<T, numerics::kLanes> lane = chain_;
    auto used = static_cast<std::size_t>(std::min(terms_, numerics::kLanes));
    for (std::size_t half = numerics::kLanes / 2; half > 0; half /= 2) {
      for (std::size_t i = 0; i < half && i + half < used; ++i) lane[i] = lane[i] + lane[i + half];
      used = std::min(used, half);
    }
    return lane[0];
  }

 private:
  std::array<T, numerics::kLanes> chain_{};
  std::int64_t terms_ = 0;
};

/// The binary tree over leaves [first, first + count), aligned to powers of two: the left part is the largest
/// power of two below count. leaf(i) gives the sum of leaf i.
template <class T, class Leaf>
T leaf_tree(std::int64_t first, std::int64_t count, const Leaf& leaf) {
  if (count == 1) return leaf(first);
  std::int64_t left = 1;
  while (2 * left < count) left *= 2;
  const T a = leaf_tree<T>(first, left, leaf);
  const T b = leaf_tree<T>(first + left, count - left, leaf);
  return a + b;
}

/// Batch tree over `samples` samples of `positions` terms each. sample(chain, n) hands the terms of
/// sample n, in order, to a BlockedChain<T>; the chain runs through all samples of a leaf.
template <class T, class Sample>
T batch_tree(std::int64_t samples, std::int64_t positions, const Sample& sample) {
  if (samples == 0) return T{0};
  const std::int64_t m = numerics::leaf_samples(positions);
  const std::int64_t leaves = (samples - 1) / m + 1;
  return leaf_tree<T>(0, leaves, [&](std::int64_t leaf) {
    BlockedChain<T> chain;
    for (std::int64_t n = leaf * m; n < std::min((leaf + 1) * m, samples); ++n) sample(chain, n);
    return chain.sum();
  });
}

}  // namespace isobit::cpu::reference
