// The sums of group and layer norm: over the rows of a sample the blocked chain, for every group of channels,
// of lanes trees over the group's terms of a row (docs/numerics.md). Some rows at a time: their terms, then
// of all groups at once the tree, by halving all runs of d terms to d / 2, d / 4 ... 1 (d a power of two up
// to 64; else one lanes tree after the other), then the chains, a lane for a group. The chains begin with +0,
// so the sign that a tree of zeros has is lost as it is where every lane begins with +0.
#if defined(ISOBIT_CPU_KERNELS_NORM_GROUPS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_NORM_GROUPS_INL_H_
#undef ISOBIT_CPU_KERNELS_NORM_GROUPS_INL_H_
#else
#define ISOBIT_CPU_KERNELS_NORM_GROUPS_INL_H_
#endif

#include "cpu/kernels/norm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

/// Halves runs of 2 kHalf terms to runs of kHalf, the first half of a run plus its second; two registers to
/// one. For kHalf below the size of a register.
template <class T, int kHalf>
struct Halving {
  HWY_INLINE Vec<T> operator()(Vec<T> a, Vec<T> b) const {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
    constexpr Tag<T> d;
    constexpr std::size_t size = Vec<T>::size;
    if constexpr (kHalf == 1) {
      return Vec<T>(hn::ConcatEven(d, b.raw, a.raw)) + Vec<T>(hn::ConcatOdd(d, b.raw, a.raw));
    } else if constexpr (kHalf == size / 2) {
      return Vec<T>(hn::ConcatLowerLower(d, b.raw, a.raw)) + Vec<T>(hn::ConcatUpperUpper(d, b.raw, a.raw));
    } else if constexpr (sizeof(T) == 4 && kHalf == 2) {
      constexpr Tag<double> pair;
      const auto first = hn::BitCast(pair, a.raw), second = hn::BitCast(pair, b.raw);
      return Vec<T>(hn::BitCast(d, hn::ConcatEven(pair, second, first))) +
             Vec<T>(hn::BitCast(d, hn::ConcatOdd(pair, second, first)));
    } else {
      // Runs of one block of four: blocks 0, 1 and 2, 3 of each register are added, then put in order.
      const Vec<T> mixed(hn::OddEvenBlocks(b.raw, a.raw));
      const Vec<T> others(hn::SwapAdjacentBlocks(hn::OddEvenBlocks(a.raw, b.raw)));
      constexpr std::size_t kBlock = size / 4;
      HWY_ALIGN hn::TFromD<hn::RebindToSigned<Tag<T>>> order[size];
      for (std::size_t i = 0; i < size; ++i) {
        constexpr std::size_t kFrom[4] = {0, 2, 1, 3};
        order[i] =
            static_cast<hn::TFromD<hn::RebindToSigned<Tag<T>>>>(kFrom[i / kBlock] * kBlock + i % kBlock);
      }
      return Vec<T>(hn::TableLookupLanes((mixed + others).raw, hn::SetTableIndices(d, order)));
    }
#else
    return a + b;  // a register is one lane: kHalf is never smaller
#endif
  }
};

/// Calls body(Halving<T, half>()) for half < Vec<T>::size, a power of two.
template <class T, int kHalf = 1, class Body>
HWY_INLINE void with_halving(std::int64_t half, const Body& body) {
  if constexpr (kHalf < Vec<T>::size) {
    if (half == kHalf) return body(Halving<T, kHalf>());
    with_halving<T, kHalf * 2>(half, body);
  }
}

/// What the sums of a sample need: terms of some rows, sums of a block.
template <class T, int kSums>
class GroupSums {
 public:
  static constexpr std::int64_t kSize = Vec<T>::size;

  explicit GroupSums(const NormGeometry& g)
      : g_(g),
        halves_(g.d >= 2 && g.d <= numerics::kLanes && (g.d & (g.d - 1)) == 0),
        rows_(std::clamp<std::int64_t>(kTerms / g.channels(), 1, std::min(g.b, numerics::kBlock))),
        pitch_(rows_ * (halves_ ? g.channels() : g.g) + 2 * kSize),
        terms_(kSums * pitch_),
        block_(kSums * lanes()) {
    std::fill(terms_.begin(), terms_.end(), T{0});  // what lies between the runs' ends and a register's
  }

  /// Elements of the sums of one kind: a number a group, filled up to whole registers.
  std::int64_t lanes() const { return (g_.g + kSize - 1) / kSize * kSize; }

  /// sums[k * lanes() + group] = block `index` of the chains. terms(tail, row, column, lanes, Vec<T>* t)
  /// gives the terms of a row's columns.
  template <class Terms>
  void block(const Terms& terms, std::int64_t index, T* sums) {
    const std::int64_t first = index * numerics::kBlock, last = std::min(first + numerics::kBlock, g_.b);
    std::fill_n(sums, kSums * lanes(), T{0});
    for (std::int64_t row = first; row < last; row += rows_) {
      const std::int64_t rows = std::min(rows_, last - row);
      if (halves_) {
        trees_by_halves(terms, row, rows);
      } else {
        trees(terms, row, rows);
      }
      for (int k = 0; k < kSums; ++k) chain(terms_.data() + k * pitch_, rows, sums + k * lanes());
    }
  }

  /// The same of all blocks, joined.
  template <class Terms>
  void sample(const Terms& terms, T* sums) {
    block(terms, 0, sums);
    for (std::int64_t index = 1; index < numerics::block_count(g_.b); ++index) {
      block(terms, index, block_.data());
      for (std::int64_t i = 0; i < kSums * lanes(); ++i) sums[i] += block_[i];
    }
  }

 private:
  static constexpr std::int64_t kTerms = 8192 / sizeof(T);

  void chain(const T* trees, std::int64_t rows, T* sums) const {
    for (std::int64_t group = 0; group < g_.g; group += kSize) {
      Vec<T> sum = load<T>(sums + group);
      for (std::int64_t row = 0; row < rows; ++row) sum += load<T>(trees + row * g_.g + group);
      store(sum, sums + group);
    }
  }

  template <class Terms>
  void trees(const Terms& terms, std::int64_t first, std::int64_t rows) {
    for (std::int64_t row = 0; row < rows; ++row)
      for (std::int64_t group = 0; group < g_.g; ++group) {
        T sums[kSums];
        lanes_trees<T, kSums>(
            g_.d,
            [&](auto tail, std::int64_t i, std::int64_t lanes, Vec<T>* acc) HWY_ATTR {
              Vec<T> t[kSums];
              terms(tail, first + row, group * g_.d + i, lanes, t);
              for (int k = 0; k < kSums; ++k) acc[k] += t[k];
            },
            sums);
        for (int k = 0; k < kSums; ++k) terms_[k * pitch_ + row * g_.g + group] = sums[k];
      }
  }

  template <class Terms>
  void trees_by_halves(const Terms& terms, std::int64_t first, std::int64_t rows) {
    const std::int64_t channels = g_.channels(), runs = rows * g_.g;
    std::int64_t h = g_.d / 2;
    if (channels % (2 * kSize) == 0 && h < kSize) {
      // The first halving with the terms still in registers.
      with_halving<T>(h, [&](auto halve) HWY_ATTR {
        T* to = terms_.data();
        for (std::int64_t row = 0; row < rows; ++row)
          for (std::int64_t column = 0; column < channels; column += 2 * kSize, to += kSize) {
            Vec<T> a[kSums], b[kSums];
            terms(std::false_type(), first + row, column, kSize, a);
            terms(std::false_type(), first + row, column + kSize, kSize, b);
            for (int k = 0; k < kSums; ++k) store(halve(a[k], b[k]), to + k * pitch_);
          }
      });
      h /= 2;
    } else {
      for (std::int64_t row = 0; row < rows; ++row)
        for_vectors<T>(channels, [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
          Vec<T> t[kSums];
          terms(tail, first + row, i, lanes, t);
          for (int k = 0; k < kSums; ++k)
            store_some<tail.value>(t[k], terms_.data() + k * pitch_ + row * channels + i, lanes);
        });
    }
    for (; h >= 1; h /= 2)
      for (int k = 0; k < kSums; ++k) halve_runs(terms_.data() + k * pitch_, runs, h);
  }

  static void halve_runs(T* from, std::int64_t runs, std::int64_t h) {
    if (h >= kSize) {
      for (std::int64_t run = 0; run < runs; ++run)
        for (std::int64_t i = 0; i < h; i += kSize)
          store(load<T>(from + run * 2 * h + i) + load<T>(from + run * 2 * h + h + i), from + run * h + i);
      return;
    }
    with_halving<T>(h, [=](auto halve) HWY_ATTR {
      for (std::int64_t i = 0; i < runs * h; i += kSize)
        store(halve(load<T>(from + 2 * i), load<T>(from + 2 * i + kSize)), from + i);
    });
  }

  const NormGeometry& g_;
  const bool halves_;
  const std::int64_t rows_, pitch_;
  const Scratch<T> terms_, block_;
};

/// Whether threads find work enough in whole samples.
inline bool in_samples(const NormGeometry& g) {
  return g.a >= 4 * thread_count() || thread_count() == 1 || g.b <= numerics::kBlock;
}

/// done(sample, sums) for every sample, sums as in GroupSums; terms_of(sample) are its terms. A task owns a
/// block of a sample.
template <class T, int kSums, class TermsOf, class Done>
void sums_by_blocks(const NormGeometry& g, std::int64_t bytes, const TermsOf& terms_of, const Done& done) {
  const std::int64_t blocks = numerics::block_count(g.b);
  const std::int64_t size = kSums * GroupSums<T, kSums>(g).lanes();
  const Scratch<T> sums(g.a * blocks * size);
  for_rows(g.a * blocks, numerics::kBlock * g.channels() * bytes, [&](std::int64_t begin, std::int64_t end) {
    GroupSums<T, kSums> room(g);
    for (std::int64_t i = begin; i < end; ++i)
      room.block(terms_of(i / blocks), i % blocks, sums.data() + i * size);
  });
  for (std::int64_t a = 0; a < g.a; ++a) {
    T* const total = sums.data() + a * blocks * size;
    for (std::int64_t i = size; i < blocks * size; ++i) total[i % size] += total[i];
    done(a, static_cast<const T*>(total));
  }
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
