// The code of the register tiles (gemm_tile.h), compiled once per instruction set by gemm_tile.cpp and
// gemm_depthwise.cpp. Every array below is indexed by constants only (the recursion on template arguments),
// so that all of it lives in registers.
#if defined(ISOBIT_CPU_KERNELS_GEMM_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_GEMM_TILE_INL_H_
#undef ISOBIT_CPU_KERNELS_GEMM_TILE_INL_H_
#else
#define ISOBIT_CPU_KERNELS_GEMM_TILE_INL_H_
#endif

#include <algorithm>
#include <utility>

#include "cpu/kernels/gemm_tile.h"
#include "cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

using gemm::Fetch;
using gemm::Run;
using gemm::Tile;

template <class D>
HWY_INLINE hn::Vec<D> load_part(const hn::TFromD<D>* p, std::int64_t count) {
  if (count >= std::int64_t{hn::MaxLanes(D())}) return hn::LoadU(D(), p);
  return hn::MaskedLoad(hn::FirstN(D(), static_cast<std::size_t>(count)), D(), p);
}

// The next lines of a fetch: addresses, for the last line may end behind what it belongs to. Whether more is
// left.
template <class T>
HWY_INLINE bool ask(Fetch<T>& fetch, std::int64_t lines) {
  constexpr std::uintptr_t kLine = 64;
  std::uintptr_t from = reinterpret_cast<std::uintptr_t>(fetch.rows[fetch.row] + fetch.shift) +
                        static_cast<std::uintptr_t>(fetch.line) * kLine;
  const std::int64_t count = std::min(lines, fetch.lines - fetch.line);
  for (std::int64_t i = 0; i < count; ++i, from += kLine)
    __builtin_prefetch(reinterpret_cast<const void*>(from), 0, 2);
  fetch.line += count;
  if (fetch.line < fetch.lines) return true;
  fetch.line = 0;
  return ++fetch.row < fetch.count;
}

// What lies in out, in tile order.
template <class D, class T>
HWY_NOINLINE void load_totals(const Tile<T>& tile, T* totals, std::int64_t rows, std::int64_t vectors) {
  constexpr std::int64_t lanes = hn::MaxLanes(D());
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t j = 0; j < vectors; ++j)
      hn::Store(load_part<D>(tile.out[row] + tile.out_shift + j * lanes, tile.columns - j * lanes), D(),
                totals + (row * vectors + j) * lanes);
}

// What follows the sums of a tile, given in tile order: bias, relu, partial vectors.
template <class D, class T>
HWY_NOINLINE void finish(const Tile<T>& tile, const T* sums, std::int64_t rows, std::int64_t vectors) {
  constexpr std::int64_t lanes = hn::MaxLanes(D());
  const D d;
  const auto zero = hn::Zero(d);
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t j = 0; j < vectors; ++j) {
      const std::int64_t count = tile.columns - j * lanes;
      T* out = tile.out[row] + tile.out_shift + j * lanes;
      auto v = hn::Load(d, sums + (row * vectors + j) * lanes);
      if (tile.bias != nullptr) v = hn::Add(v, load_part<D>(tile.bias + j * lanes, count));
      if (tile.relu) v = hn::IfThenElse(hn::Lt(v, zero), zero, v);
      if (tile.stream) {
        hn::Stream(v, d, out);
      } else if (count >= lanes) {
        hn::StoreU(v, d, out);
      } else {
        hn::BlendedStore(v, hn::FirstN(d, static_cast<std::size_t>(count)), d, out);
      }
    }
  }
}

// D is the vector: the widest of the target, or half of it where there are fewer columns.
// What a row gives to a term. A number, for all columns. Depthwise, where a column has a source of its own: a
// vector beside each of B's. Turned round: one vector, for all of B's numbers (the `vectors` of the tile).
enum class Row { number, vectors, vector };

template <class D, int kRows, int kVectors, Row kOperand = Row::number>
struct RegisterTile {
  using T = hn::TFromD<D>;
  using V = hn::Vec<D>;
  using Accumulators = V[kRows * kVectors];
  static constexpr std::int64_t kLanes = hn::MaxLanes(D()), kPiece = 8;

  static HWY_INLINE V multiply_add(V a, V b, V c) {
#if HWY_NATIVE_FMA
    return hn::MulAdd(a, b, c);
#else
    return fma(Vec<T>(a), Vec<T>(b), Vec<T>(c)).raw;
#endif
  }

  template <int kRow>
  static HWY_INLINE void load_rows(const T* const* from, const T* (&rows)[kRows]) {
    if constexpr (kRow < kRows) {
      rows[kRow] = from[kRow];
      load_rows<kRow + 1>(from, rows);
    }
  }

  template <int kIndex>
  static HWY_INLINE void clear(Accumulators& acc) {
    if constexpr (kIndex < kRows * kVectors) {
      acc[kIndex] = hn::Zero(D());
      clear<kIndex + 1>(acc);
    }
  }

  // What is used several times: g++ would load it for each of them.
  static HWY_INLINE V loaded_once(V v) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
    asm("" : "+v"(v.raw));
#endif
    return v;
  }

  template <int kVector>
  static HWY_INLINE void load_b(const T* b, V (&vectors)[kVectors]) {
    if constexpr (kVector < kVectors) {
      if constexpr (kOperand == Row::vector) {
        vectors[kVector] = loaded_once(hn::Set(D(), b[kVector]));
      } else {
        vectors[kVector] = hn::LoadU(D(), b + kVector * kLanes);
      }
      load_b<kVector + 1>(b, vectors);
    }
  }

  template <int kRow, int kVector>
  static HWY_INLINE void multiply_columns(const T* a, hn::Mask<D> last, const V (&b)[kVectors],
                                          Accumulators& acc) {
    if constexpr (kVector < kVectors) {
      V& sum = acc[kRow * kVectors + kVector];
      const T* from = a + kVector * kLanes;
      sum = multiply_add(kVector + 1 < kVectors ? hn::LoadU(D(), from) : hn::MaskedLoad(last, D(), from),
                         b[kVector], sum);
      multiply_columns<kRow, kVector + 1>(a, last, b, acc);
    }
  }

  template <int kRow, int kVector>
  static HWY_INLINE void multiply_row(V a, const V (&b)[kVectors], Accumulators& acc) {
    if constexpr (kVector < kVectors) {
      V& sum = acc[kRow * kVectors + kVector];
      sum = multiply_add(a, b[kVector], sum);
      multiply_row<kRow, kVector + 1>(a, b, acc);
    }
  }

  template <int kRow>
  static HWY_INLINE void multiply(const T* const (&rows)[kRows], std::int64_t at, hn::Mask<D> last,
                                  const V (&b)[kVectors], Accumulators& acc) {
    if constexpr (kRow < kRows) {
      if constexpr (kOperand == Row::vectors) {
        multiply_columns<kRow, 0>(rows[kRow] + at, last, b, acc);
      } else if constexpr (kOperand == Row::vector) {
        const V a = hn::MaskedLoad(last, D(), rows[kRow] + at);
        multiply_row<kRow, 0>(kVectors > 1 ? loaded_once(a) : a, b, acc);
      } else {
        multiply_row<kRow, 0>(hn::Set(D(), rows[kRow][at]), b, acc);
      }
      multiply<kRow + 1>(rows, at, last, b, acc);
    }
  }

  template <int kIndex>
  static HWY_INLINE void add(const T* source, Accumulators& acc) {
    if constexpr (kIndex < kRows * kVectors) {
      acc[kIndex] = hn::Add(hn::LoadU(D(), source + kIndex * kLanes), acc[kIndex]);
      add<kIndex + 1>(source, acc);
    }
  }

  template <int kIndex, bool kStream>
  static HWY_INLINE void store(T* const* out, std::int64_t shift, const Accumulators& acc) {
    if constexpr (kIndex < kRows * kVectors) {
      T* const to = out[kIndex / kVectors] + shift + kIndex % kVectors * kLanes;
      if constexpr (kStream) {
        hn::Stream(acc[kIndex], D(), to);
      } else {
        hn::StoreU(acc[kIndex], D(), to);
      }
      store<kIndex + 1, kStream>(out, shift, acc);
    }
  }

  template <int kIndex>
  static HWY_INLINE void add_out(T* const* out, std::int64_t shift, Accumulators& acc) {
    if constexpr (kIndex < kRows * kVectors) {
      const T* from = out[kIndex / kVectors] + shift + kIndex % kVectors * kLanes;
      acc[kIndex] = hn::Add(hn::LoadU(D(), from), acc[kIndex]);
      add_out<kIndex + 1>(out, shift, acc);
    }
  }

  template <int kIndex>
  static HWY_INLINE void spill(const Accumulators& acc, T* to) {
    if constexpr (kIndex < kRows * kVectors) {
      hn::Store(acc[kIndex], D(), to + kIndex * kLanes);
      spill<kIndex + 1>(acc, to);
    }
  }

  // -0 is the lowest of all integers.
  template <int kIndex, class I>
  static HWY_INLINE I lowest(const Accumulators& acc, I so_far) {
    if constexpr (kIndex < kRows * kVectors) {
      return lowest<kIndex + 1>(acc, hn::Min(so_far, hn::BitCast(hn::RebindToSigned<D>(), acc[kIndex])));
    } else {
      return so_far;
    }
  }
  static HWY_INLINE bool has_minus_zero(const Accumulators& acc) {
    const hn::RebindToSigned<D> integers;
    const auto minus_zero = hn::Set(integers, hwy::LimitsMin<hn::TFromD<decltype(integers)>>());
    const auto least = lowest<1>(acc, hn::BitCast(integers, acc[0]));
    return !hn::AllFalse(integers, hn::Eq(least, minus_zero));
  }

  template <int kVector>
  static HWY_INLINE void load_bias(const T* from, hn::Mask<D> last, V (&bias)[kVectors]) {
    if constexpr (kVector < kVectors) {
      const T* const at = from + kVector * kLanes;
      bias[kVector] = kVector + 1 < kVectors ? hn::LoadU(D(), at) : hn::MaskedLoad(last, D(), at);
      load_bias<kVector + 1>(from, last, bias);
    }
  }
  template <int kIndex>
  static HWY_INLINE void add_bias(const V (&bias)[kVectors], Accumulators& acc) {
    if constexpr (kIndex < kRows * kVectors) {
      acc[kIndex] = hn::Add(acc[kIndex], bias[kIndex % kVectors]);
      add_bias<kIndex + 1>(bias, acc);
    }
  }
  template <int kIndex>
  static HWY_INLINE void rectify(V zero, Accumulators& acc) {
    if constexpr (kIndex < kRows * kVectors) {
      acc[kIndex] = hn::IfThenElse(hn::Lt(acc[kIndex], zero), zero, acc[kIndex]);
      rectify<kIndex + 1>(zero, acc);
    }
  }

  // The sums that the terms will be added to, and the lines that the results go to, arrive from memory while
  // the terms are multiplied.
  static HWY_INLINE void prefetch(const Tile<T>& tile) {
    constexpr std::int64_t kLine = 64 / sizeof(T), kSize = kRows * kVectors * kLanes;
    for (std::int64_t i = 0; i < tile.source_count; ++i)
      for (std::int64_t at = 0; at < kSize; at += kLine) __builtin_prefetch(tile.sources[i] + at);
    if (tile.stream) return;
    for (std::int64_t row = 0; row < kRows; ++row)
      for (std::int64_t at = 0; at < kVectors * kLanes; at += kLine)
        __builtin_prefetch(tile.out[row] + tile.out_shift + at, 1);
  }

  static HWY_NOINLINE bool run(const Tile<T>& tile) {
    const T* rows[kRows];
    load_rows<0>(tile.rows, rows);
    alignas(64) T totals[kRows * kVectors * kLanes];
    const bool whole = tile.columns >= kVectors * kLanes;
    const std::int64_t readable = tile.readable > 0 ? tile.readable : tile.columns;
    const std::int64_t before_last = kOperand == Row::vector ? 0 : (kVectors - 1) * kLanes;
    const hn::Mask<D> last =
        hn::FirstN(D(), static_cast<std::size_t>(std::min<std::int64_t>(kLanes, readable - before_last)));
    const T* before = tile.initial;  // what the next block's sum is added to: this, or what lies in out
    bool add_to_out = tile.accumulate;
    if (add_to_out && !whole) {
      load_totals<D>(tile, totals, kRows, kVectors);
      before = totals;
      add_to_out = false;
    }
    prefetch(tile);
    const std::int64_t ldb = tile.ldb, step = tile.step, shift = tile.shift;
    const Run* run = tile.runs + tile.block_runs[0];
    // Narrow tiles have short runs, and what they read is small. Under a sanitizer, which would compile the
    // loop twice for minutes, nothing is asked for.
    constexpr bool kAsks = kVectors > 1 && kOperand != Row::vector && HWY_IS_ASAN == 0 && HWY_IS_TSAN == 0;
    bool asks = kAsks && tile.fetch != nullptr && tile.fetch->row < tile.fetch->count;
    Accumulators acc;
    for (std::int64_t block = 1;; ++block) {
      clear<0>(acc);
      const T* b = tile.b + (block - 1) * tile.block_terms * ldb;
      for (const Run* const end = tile.runs + tile.block_runs[block]; run != end; ++run) {
        std::int64_t at = run->offset + shift;
        b += run->skipped * ldb;
        std::int64_t left = run->length;
        if constexpr (kAsks) {
          for (; asks && left >= kPiece; left -= kPiece) {
            asks = ask(*tile.fetch, kPiece);
            for (std::int64_t i = kPiece; i > 0; --i) {
              V vectors[kVectors];
              load_b<0>(b, vectors);
              multiply<0>(rows, at, last, vectors, acc);
              b += ldb;
              at += step;
            }
          }
        }
        for (; left > 0; --left) {
          V vectors[kVectors];
          load_b<0>(b, vectors);
          multiply<0>(rows, at, last, vectors, acc);
          b += ldb;
          at += step;
        }
      }
      if (tile.skips && has_minus_zero(acc)) return false;
      if (tile.levels != nullptr) {
        T* level = tile.levels;
        for (std::int64_t leaf = block - 1; (leaf & 1) != 0 || (leaf != 0 && block == tile.blocks);
             leaf >>= 1) {
          if ((leaf & 1) != 0) add<0>(level, acc);
          level += kRows * kVectors * kLanes;
        }
        if (block == tile.blocks) break;
        spill<0>(acc, level);
        continue;
      }
      if (before != nullptr) add<0>(before, acc);
      if (add_to_out) add_out<0>(tile.out, tile.out_shift, acc);
      if (block >= tile.blocks) break;
      spill<0>(acc, totals);
      before = totals;
      add_to_out = false;
    }
    for (std::int64_t i = 0; i < tile.source_count; ++i) add<0>(tile.sources[i], acc);
    if (tile.bias == nullptr && !tile.relu && whole) {
      if (tile.stream) {
        store<0, true>(tile.out, tile.out_shift, acc);
      } else {
        store<0, false>(tile.out, tile.out_shift, acc);
      }
    } else {
      spill<0>(acc, totals);
      finish<D>(tile, totals, kRows, kVectors);
    }
    return true;
  }
};

template <class D, int kVectors, Row kRow = Row::number, int... kIndex>
constexpr gemm::TileSet<hn::TFromD<D>> make_set(std::integer_sequence<int, kIndex...>) {
  return {std::int64_t{hn::MaxLanes(D())},
          kVectors,
          sizeof...(kIndex),
          {{RegisterTile < D, kIndex + 1, kRow == Row::vector ? kVectors : 1, kRow > ::run,
            RegisterTile<D, kIndex + 1, kVectors, kRow>::run}...}};
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
