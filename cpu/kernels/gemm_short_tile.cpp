// See gemm_short_tile.h. The shapes of the tiles are those of gemm_tile.cpp. Twin:
// cuda/kernels/gemm_tile.cuh, whose tiles of few terms are the same as all others.
#include "cpu/kernels/gemm_short_tile.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/gemm_short_tile.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/gemm_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

using gemm::ShortTiles;

template <class D, int kRows, int kVectors>
struct ShortTile : RegisterTile<D, kRows, kVectors> {
  using Base = RegisterTile<D, kRows, kVectors>;
  using T = typename Base::T;
  using V = typename Base::V;
  using Accumulators = typename Base::Accumulators;
  static constexpr std::int64_t kLanes = Base::kLanes;

  template <int kRow>
  static HWY_INLINE void prefetch_out(T* const* out, std::int64_t shift) {
    constexpr std::int64_t kLine = 64 / sizeof(T);
    if constexpr (kRow < kRows) {
      for (std::int64_t at = 0; at < kVectors * kLanes; at += kLine)
        __builtin_prefetch(out[kRow] + shift + at, 1);
      prefetch_out<kRow + 1>(out, shift);
    }
  }

  template <int kIndex>
  static HWY_INLINE void store_part(T* const* out, std::int64_t shift, hn::Mask<D> last,
                                    const Accumulators& acc) {
    if constexpr (kIndex < kRows * kVectors) {
      T* const to = out[kIndex / kVectors] + shift + kIndex % kVectors * kLanes;
      if constexpr (kIndex % kVectors + 1 < kVectors) {
        hn::StoreU(acc[kIndex], D(), to);
      } else {
        hn::BlendedStore(acc[kIndex], last, D(), to);
      }
      store_part<kIndex + 1>(out, shift, last, acc);
    }
  }

  static HWY_INLINE void multiply_term(const T* const (&rows)[kRows], std::int64_t at, const T* b,
                                       hn::Mask<D> mask, Accumulators& acc) {
    V vectors[kVectors];
    Base::template load_b<0>(b, vectors);
    Base::template multiply<0>(rows, at, mask, vectors, acc);
  }

  static HWY_NOINLINE void run(const ShortTiles<T>& tiles) {
    const T* const* from = tiles.rows;
    T* const* out = tiles.out;
    const std::int64_t out_shift = tiles.out_shift, ldb = tiles.ldb;
    const bool whole = tiles.columns >= kVectors * kLanes;
    const hn::Mask<D> last =
        hn::FirstN(D(), static_cast<std::size_t>(std::min(kLanes, tiles.columns - (kVectors - 1) * kLanes)));
    bool asks = tiles.fetch != nullptr && tiles.fetch->row < tiles.fetch->count;
    for (std::int64_t left = tiles.count; left > 0; --left) {
      const T* rows[kRows];
      Base::template load_rows<0>(from, rows);
      for (const T*& row : rows) row += tiles.shift;
      if (!tiles.stream) prefetch_out<0>(out, out_shift);
      Accumulators acc;
      Base::template clear<0>(acc);
      const std::int64_t* term = tiles.terms;
      const std::int64_t* const end = term + tiles.term_count;
      const T* b = tiles.b;
      for (; asks && end - term >= Base::kPiece;) {
        asks = ask(*tiles.fetch, Base::kPiece);
        for (std::int64_t i = Base::kPiece; i > 0; --i, ++term, b += ldb)
          multiply_term(rows, *term, b, last, acc);
      }
      for (; term != end; ++term, b += ldb) multiply_term(rows, *term, b, last, acc);
      if (tiles.bias != nullptr) {
        V bias[kVectors];
        Base::template load_bias<0>(tiles.bias, last, bias);
        Base::template add_bias<0>(bias, acc);
      }
      if (tiles.relu) Base::template rectify<0>(hn::Zero(D()), acc);
      if (!whole) {
        store_part<0>(out, out_shift, last, acc);
      } else if (tiles.stream) {
        Base::template store<0, true>(out, out_shift, acc);
      } else {
        Base::template store<0, false>(out, out_shift, acc);
      }
      from += kRows;
      out += kRows;
    }
  }
};

template <class D, int kVectors, int... kIndex>
constexpr gemm::ShortTileSet<hn::TFromD<D>> make_short_set(std::integer_sequence<int, kIndex...>) {
  return {{{ShortTile<D, kIndex + 1, 1>::run, ShortTile<D, kIndex + 1, kVectors>::run}...}};
}

template <class T>
const gemm::ShortTileSet<T>& short_tiles_of([[maybe_unused]] std::int64_t columns) {
#if HWY_TARGET == HWY_AVX3
  using Half = hn::CappedTag<T, 32 / sizeof(T)>;
  static constexpr auto narrow = make_short_set<Half, 1>(std::make_integer_sequence<int, 10>());
  static constexpr auto wide = make_short_set<Tag<T>, 2>(std::make_integer_sequence<int, 10>());
  return columns <= 32 / std::int64_t{sizeof(T)} ? narrow : wide;
#elif HWY_TARGET == HWY_AVX2
  static constexpr auto narrow = make_short_set<Tag<T>, 1>(std::make_integer_sequence<int, 8>());
  static constexpr auto wide = make_short_set<Tag<T>, 2>(std::make_integer_sequence<int, 6>());
  return columns <= 32 / std::int64_t{sizeof(T)} ? narrow : wide;
#else
  static constexpr auto set = make_short_set<Tag<T>, 2>(std::make_integer_sequence<int, 4>());
  return set;
#endif
}

const gemm::ShortTileSet<float>& short_tiles_f32(std::int64_t columns) {
  return short_tiles_of<float>(columns);
}
const gemm::ShortTileSet<double>& short_tiles_f64(std::int64_t columns) {
  return short_tiles_of<double>(columns);
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(short_tiles_f32);
HWY_EXPORT(short_tiles_f64);
}  // namespace isobit::cpu

namespace isobit::cpu::gemm {

template <>
const ShortTileSet<float>& short_tiles<float>(std::int64_t columns) {
  return HWY_DYNAMIC_DISPATCH(short_tiles_f32)(columns);
}
template <>
const ShortTileSet<double>& short_tiles<double>(std::int64_t columns) {
  return HWY_DYNAMIC_DISPATCH(short_tiles_f64)(columns);
}

}  // namespace isobit::cpu::gemm
#endif
