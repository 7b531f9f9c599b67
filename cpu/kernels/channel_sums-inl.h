// Sums over dense rows of channels, by the blocked chain and the batch tree: a lane owns a channel; up to
// kMostVectors registers of channels go down the rows of a block together, which stays in the second-level
// cache for the next ones. Blocks are joined left to right, leaves by the batch tree (docs/numerics.md), from
// the last leaf to the first where that is asked for: what a pass before read last may still be in a cache.
#if defined(ISOBIT_CPU_KERNELS_CHANNEL_SUMS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_CHANNEL_SUMS_INL_H_
#undef ISOBIT_CPU_KERNELS_CHANNEL_SUMS_INL_H_
#else
#define ISOBIT_CPU_KERNELS_CHANNEL_SUMS_INL_H_
#endif

#include <bit>

#include "core/numerics/order.h"
#include "cpu/kernels/ahead-inl.h"
#include "cpu/kernels/tiles-inl.h"
#include "cpu/runtime/scratch.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

/// Sums over `rows` rows of channels of x or, with kSquare, of (x - mean)^2, the square rounded. A leaf is
/// `leaf` rows, the last may be shorter.
template <bool kSquare, class S>
class ChannelSums {
 public:
  using T = Compute<S>;

  ChannelSums(const S* x, const T* mean, std::int64_t channels, std::int64_t rows, std::int64_t leaf)
      : x_(x), mean_(mean), channels_(channels), rows_(rows), leaf_(leaf) {}

  std::int64_t leaves() const { return (rows_ + leaf_ - 1) / leaf_; }
  /// Elements of room that sum_leaves() needs for so many, and sum_leaf() for one.
  std::int64_t room(std::int64_t leaves) const {
    return channels_ * (1 + std::bit_width(static_cast<std::uint64_t>(leaves)));
  }

  /// sums[channel] = leaf `index`: a blocked chain.
  void sum_leaf(std::int64_t index, T* sums, T* room) const {
    const std::int64_t end = std::min((index + 1) * leaf_, rows_);
    for (std::int64_t row = index * leaf_; row < end; row += numerics::kBlock) {
      const bool first = row == index * leaf_;
      const std::int64_t rows = std::min(end - row, numerics::kBlock);
      chains<kMostVectors>(row, rows, 0, first ? sums : room);
      if (first) continue;
      for (std::int64_t i = 0; i < channels_; ++i) sums[i] += room[i];
    }
  }

  /// sums[channel] = leaves [first, first + span) as far as there are any, joined by the tree; span is a
  /// power of two and first a multiple of it.
  void sum_leaves(std::int64_t first, std::int64_t span, bool backwards, T* sums, T* room) const {
    if (span == 1) return sum_leaf(first, sums, room);
    const std::int64_t half = span / 2;
    if (first + half >= leaves()) return sum_leaves(first, half, backwards, sums, room);
    T* const right = room;
    if (backwards) {
      sum_leaves(first + half, half, backwards, right, room + channels_);
      sum_leaves(first, half, backwards, sums, room + channels_);
    } else {
      sum_leaves(first, half, backwards, sums, room + channels_);
      sum_leaves(first + half, half, backwards, right, room + channels_);
    }
    for (std::int64_t i = 0; i < channels_; ++i) sums[i] += right[i];
  }

  /// sums[channel] = all leaves. A task owns an aligned run of them.
  void sum_all(bool backwards, T* sums) const {
    const auto all = std::int64_t(std::bit_ceil(static_cast<std::uint64_t>(leaves())));
    std::int64_t run = all;
    const std::int64_t threads = thread_count(), bytes = leaf_ * channels_ * std::int64_t{sizeof(S)};
    if (threads > 1)
      while (run > 1 && leaves() / run < 4 * threads && run / 2 >= kParallelBytes / 4 / bytes) run /= 2;
    const std::int64_t runs = (leaves() + run - 1) / run;
    const Scratch<T> partial(runs * channels_);
    parallel_for(runs, [&](std::int64_t task) {
      const std::int64_t r = backwards ? runs - 1 - task : task;
      const Scratch<T> room(this->room(run));
      sum_leaves(r * run, run, backwards, partial.data() + r * channels_, room.data());
    });
    for (std::int64_t step = 1; step < runs; step *= 2)
      for (std::int64_t i = 0; i + step < runs; i += 2 * step)
        for (std::int64_t c = 0; c < channels_; ++c)
          partial[i * channels_ + c] = partial[i * channels_ + c] + partial[(i + step) * channels_ + c];
    std::copy_n(partial.data(), channels_, sums);
  }

 private:
#if HWY_TARGET == HWY_AVX3
  static constexpr int kMostVectors = 16;
#else
  static constexpr int kMostVectors = 8;
#endif
  static constexpr std::int64_t kSize = Vec<T>::size;

  /// to[channel ...] = the chains of `rows` rows, for the channels from `channel` on.
  template <int kVectors>
  void chains(std::int64_t row, std::int64_t rows, std::int64_t channel, T* to) const {
    for (; channel + kVectors * kSize <= channels_; channel += kVectors * kSize)
      chain<kVectors, false>(row, rows, channel, kSize, to);
    if constexpr (kVectors > 1) {
      if (channel < channels_) chains<kVectors / 2>(row, rows, channel, to);
    } else {
      if (channel < channels_) chain<1, true>(row, rows, channel, channels_ - channel, to);
    }
  }

  template <int kVectors, bool kTail>
  HWY_INLINE void chain(std::int64_t row, std::int64_t rows, std::int64_t channel, std::int64_t lanes,
                        T* to) const {
    constexpr std::int64_t kAsk = kSoonBytes / sizeof(S), kLine = 64 / sizeof(S);
    const std::int64_t begin = row * channels_ + channel;
    const std::int64_t asked = std::min(rows, (rows_ * channels_ - begin - kAsk) / channels_ - kVectors);
    Vec<T> sum[kVectors];
    for (Vec<T>& s : sum) s = Vec<T>(T{0});
    for (std::int64_t r = 0; r < rows; ++r) {
      const S* const from = x_ + begin + r * channels_;
      if (r < asked)
        for (std::int64_t i = 0; i < kVectors * kSize; i += kLine) __builtin_prefetch(from + kAsk + i, 0, 3);
      for (int v = 0; v < kVectors; ++v) {
        Vec<T> t = load_some<T, kTail>(from + v * kSize, lanes);
        if constexpr (kSquare) {
          t = t - load_some<T, kTail>(mean_ + channel + v * kSize, lanes);
          t = t * t;
        }
        sum[v] += t;
      }
    }
    for (int v = 0; v < kVectors; ++v) store_some<kTail>(sum[v], to + channel + v * kSize, lanes);
  }

  const S* x_;
  const T* mean_;
  std::int64_t channels_, rows_, leaf_;
};

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
