// The sums of group and layer norm: over the rows of a sample the blocked chain, for every group of channels,
// of lanes trees over the group's terms of a row (docs/numerics.md). Some rows at a time: their trees, which
// for d terms, a power of two up to 64, are joined in registers, of as many groups as a register has lanes
// (else one lanes tree after the other), then the chains, a lane for a group. The chains begin with +0, so
// the sign that a tree of zeros has is lost as it is where every lane begins with +0.
#if defined(ISOBIT_CPU_KERNELS_NORM_GROUPS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_NORM_GROUPS_INL_H_
#undef ISOBIT_CPU_KERNELS_NORM_GROUPS_INL_H_
#else
#define ISOBIT_CPU_KERNELS_NORM_GROUPS_INL_H_
#endif

#include <array>
#include <numeric>

#include "cpu/kernels/norm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

/// Under a sanitizer clang takes minutes for many terms side by side: there they are a call each.
constexpr bool kSanitized = HWY_IS_ASAN != 0 || HWY_IS_TSAN != 0;

template <class Terms, class Tail, class V>
HWY_NOINLINE void call_terms(const Terms& terms, Tail tail, std::int64_t offset, std::int64_t channel,
                             std::int64_t lanes, V* t) {
  terms(tail, offset, channel, lanes, t);
}
template <class Terms, class Tail, class V>
HWY_INLINE void take_terms(const Terms& terms, Tail tail, std::int64_t offset, std::int64_t channel,
                           std::int64_t lanes, V* t) {
  if constexpr (kSanitized) {
    call_terms(terms, tail, offset, channel, lanes, t);
  } else {
    terms(tail, offset, channel, lanes, t);
  }
}

/// Two registers' runs of 2 kHalf terms halved into one register: lanes without the bit kHalf have a's halves
/// added, those with it b's.
template <int kHalf, class T>
HWY_INLINE Vec<T> fold([[maybe_unused]] Vec<T> a, [[maybe_unused]] Vec<T> b) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  constexpr Tag<T> d;
  constexpr int kBlock = 16 / sizeof(T);
  if constexpr (kHalf > kBlock) {
    return Vec<T>(hn::ConcatUpperLower(d, b.raw, a.raw)) + Vec<T>(hn::ConcatLowerUpper(d, b.raw, a.raw));
  } else if constexpr (kHalf == kBlock) {
    return Vec<T>(hn::OddEvenBlocks(b.raw, a.raw)) +
           Vec<T>(hn::SwapAdjacentBlocks(hn::OddEvenBlocks(a.raw, b.raw)));
  } else if constexpr (sizeof(T) == 8) {
    return Vec<T>(hn::OddEven(b.raw, a.raw)) + Vec<T>(hn::Shuffle01(hn::OddEven(a.raw, b.raw)));
  } else if constexpr (kHalf == 1) {
    return Vec<T>(hn::OddEven(b.raw, a.raw)) + Vec<T>(hn::Shuffle2301(hn::OddEven(a.raw, b.raw)));
  } else {
    constexpr Tag<double> pair;
    const auto first = hn::BitCast(pair, a.raw), second = hn::BitCast(pair, b.raw);
    return Vec<T>(hn::BitCast(d, hn::OddEven(second, first))) +
           Vec<T>(hn::Shuffle1032(hn::BitCast(d, hn::OddEven(first, second))));
  }
#else
  return a + b;  // a register is one lane: nothing is folded
#endif
}

/// kSums registers of a tree's terms or sums.
template <class T, int kSums>
struct Side {
  Vec<T> of[kSums];
};

/// The trees of Vec<T>::size runs of kRun terms each that follow one another, a power of two up to 64.
/// next() gives their terms' registers in order.
template <class T, int kSums, int kRun>
class RunTrees {
  static constexpr int kSize = Vec<T>::size, kRegisters = std::max(kRun / kSize, 1),
                       kFolded = std::min(kRun, kSize);

 public:
  template <class Next>
  HWY_INLINE Side<T, kSums> step(Next& next) const {
    Side<T, kSums> sums = folded<1>(next);
    if constexpr (kFolded > 1)
      for (Vec<T>& v : sums.of)
        v = Vec<T>(hn::TableLookupLanes(v.raw, hn::SetTableIndices(Tag<T>(), kOrder.data())));
    return sums;
  }

 private:
  using Index = hn::TFromD<hn::RebindToSigned<Tag<T>>>;

  /// Where fold() has put each run.
  static constexpr std::array<Index, kSize> kOrder = [] {
    std::array<Index, kSize> order{};
    constexpr int kSide = kSize / kFolded;  // runs that begin in one register
    for (int run = 0; run < kSize; ++run) {
      int lane = run % kSide * kFolded;
      for (int half = 1, bit = kFolded / 2; half < kFolded; half *= 2, bit /= 2)
        if ((run / kSide & bit) != 0) lane += half;
      order[run] = static_cast<Index>(lane);
    }
    return order;
  }();

  template <int kHalf, class Next>
  static HWY_INLINE Side<T, kSums> folded(Next& next) {
    if constexpr (kHalf < kFolded) {
      Side<T, kSums> a = folded<2 * kHalf>(next);
      const Side<T, kSums> b = folded<2 * kHalf>(next);
      for (int k = 0; k < kSums; ++k) a.of[k] = fold<kHalf>(a.of[k], b.of[k]);
      return a;
    } else {
      Side<T, kSums> t[kRegisters];
      for (Side<T, kSums>& side : t) side = next();
      for (int half = kRegisters / 2; half >= 1; half /= 2)
        for (int i = 0; i < half; ++i)
          for (int k = 0; k < kSums; ++k) t[i].of[k] += t[i + half].of[k];
      return t[0];
    }
  }
};

/// Whether there are trees of such runs: under a sanitizer of two lengths only.
constexpr bool has_run_trees(std::int64_t run) {
  if (kSanitized) return run == 4 || run == 32;
  return run >= 2 && run <= numerics::kLanes && (run & (run - 1)) == 0;
}

/// Calls body(RunTrees()) for runs of `run` terms.
template <class T, int kSums, int kRun = 2, class Body>
HWY_INLINE void with_run_trees(std::int64_t run, const Body& body) {
  if constexpr (kRun <= numerics::kLanes) {
    if constexpr (has_run_trees(kRun))
      if (run == kRun) return body(RunTrees<T, kSums, kRun>());
    with_run_trees<T, kSums, kRun * 2>(run, body);
  }
}

/// Terms of a row from `column` on as lanes_trees() joins them.
template <int kSums, class Terms>
struct RowStep {
  Terms terms;
  std::int64_t offset = 0, column = 0;

  template <class Tail, class V>
  HWY_INLINE void operator()(Tail tail, std::int64_t i, std::int64_t lanes, V* acc) const {
    V t[kSums];
    take_terms(terms, tail, offset + i, column + i, lanes, t);
    for (int k = 0; k < kSums; ++k) acc[k] += t[k];
  }
};

/// What the sums of a sample need: terms of some rows, sums of a block.
template <class T, int kSums>
class GroupSums {
 public:
  static constexpr std::int64_t kSize = Vec<T>::size;

  explicit GroupSums(const NormGeometry& g)
      : g_(g),
        in_registers_(has_run_trees(g.d)),
        rows_(std::clamp<std::int64_t>(kTerms / g.channels(), 1, std::min(g.b, numerics::kBlock))),
        pitch_(rows_ * (in_registers_ ? g.channels() : g.g) + kSize * (in_registers_ ? g.d : 1)),
        terms_(kSums * pitch_),
        block_(kSums * lanes()) {
    std::fill(terms_.begin(), terms_.end(), T{0});  // what lies beyond the last run
  }

  /// Elements of the sums of one kind: a number a group, filled up to whole registers.
  std::int64_t lanes() const { return (g_.g + kSize - 1) / kSize * kSize; }

  /// sums[k * lanes() + group] = block `index` of the chains. terms(tail, offset, channel, lanes,
  /// Vec<T>* t) gives the terms of some channels of a row, `offset` elements into the sample.
  template <class Terms>
  void block(const Terms& terms, std::int64_t index, T* sums) {
    const std::int64_t first = index * numerics::kBlock, last = std::min(first + numerics::kBlock, g_.b);
    std::fill_n(sums, kSums * lanes(), T{0});
    for (std::int64_t row = first; row < last; row += rows_) {
      const std::int64_t rows = std::min(rows_, last - row);
      if (in_registers_) {
        trees_in_registers(terms, row, rows);
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
            g_.d, RowStep<kSums, Terms>{terms, (first + row) * g_.channels() + group * g_.d, group * g_.d},
            sums);
        for (int k = 0; k < kSums; ++k) terms_[k * pitch_ + row * g_.g + group] = sums[k];
      }
  }

  template <class Terms>
  void trees_in_registers(const Terms& terms, std::int64_t first, std::int64_t rows) {
    const std::int64_t channels = g_.channels();
    // Rows whose terms come from `terms` as they are needed: registers and trees end where these rows do.
    const std::int64_t unit = kSize / std::gcd(kSize, g_.g);
    const std::int64_t direct = channels % kSize == 0 ? rows / unit * unit : 0;
    with_run_trees<T, kSums>(g_.d, [&](auto trees) HWY_ATTR {
      const Terms own = terms;  // a copy that no store is taken to change
      std::int64_t offset = first * channels, column = 0;
      const auto from_rows = [&, channels ]() HWY_ATTR __attribute__((always_inline)) {
        Side<T, kSums> t;
        take_terms(own, std::false_type(), offset, column, kSize, t.of);
        offset += kSize;
        column = column + kSize == channels ? 0 : column + kSize;
        return t;
      };
      put_trees(trees, 0, direct * g_.g, from_rows);
      if (direct == rows) return;
      // The others' are stored first.
      for (std::int64_t row = direct; row < rows; ++row)
        for_vectors<T>(channels, [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
          Vec<T> t[kSums];
          take_terms(own, tail, (first + row) * channels + i, i, lanes, t);
          for (int k = 0; k < kSums; ++k)
            store_some<tail.value>(t[k], terms_.data() + k * pitch_ + row * channels + i, lanes);
        });
      trees_of_stored(trees, direct, rows);
    });
  }

  /// The trees of rows [row, end) whose terms lie in terms_. (A function of its own: it is the same for all
  /// terms.)
  template <class Trees>
  HWY_NOINLINE void trees_of_stored(const Trees& trees, std::int64_t row, std::int64_t end) {
    const T* at = terms_.data() + row * g_.channels();
    const auto from_memory = [&, pitch = pitch_ ]() HWY_ATTR __attribute__((always_inline)) {
      Side<T, kSums> t;
      for (int k = 0; k < kSums; ++k) t.of[k] = load<T>(at + k * pitch);
      at += kSize;
      return t;
    };
    put_trees(trees, row * g_.g, end * g_.g, from_memory);
  }

  /// The trees of runs [run, end).
  template <class Trees, class Next>
  HWY_INLINE void put_trees(const Trees& trees, std::int64_t run, std::int64_t end, Next& next) {
    T* const to = terms_.data();
    const std::int64_t pitch = pitch_;
    for (; run < end; run += kSize) {
      const Side<T, kSums> sums = trees.step(next);
      for (int k = 0; k < kSums; ++k) store(sums.of[k], to + k * pitch + run);
    }
  }

  const NormGeometry& g_;
  const bool in_registers_;
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
