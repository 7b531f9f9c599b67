// See gemm_row_tile.h. Twin: cuda/kernels/gemm_tile.cuh, whose tiles of few terms are the same as all others.
#include "cpu/kernels/gemm_row_tile.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/gemm_row_tile.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/gemm_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

using gemm::RowTileSet;

#if HWY_TARGET == HWY_AVX3
using gemm::RowTiles;

// `steps` holds the odd multiples of the distance between two positions, in bytes, from which an address
// scales the others: position i lies odd * 2^k behind the first.
template <class D, int kRows, int kVectors>
struct RowTile : RegisterTile<D, kRows, kVectors> {
  using Base = RegisterTile<D, kRows, kVectors>;
  using T = typename Base::T;
  using V = typename Base::V;
  using Accumulators = typename Base::Accumulators;
  static constexpr std::int64_t kLanes = Base::kLanes;
  static constexpr int kOdd = kRows / 2;
  using Steps = std::int64_t[kOdd];

  template <int kRow, class P>
  static HWY_INLINE P* at(P* first, const Steps& steps) {
    if constexpr (kRow == 0) return first;
    constexpr int power = kRow % 8 == 0 ? 8 : kRow % 4 == 0 ? 4 : kRow % 2 == 0 ? 2 : 1;
    using Byte = std::conditional_t<std::is_const_v<P>, const char, char>;
    return reinterpret_cast<P*>(reinterpret_cast<Byte*>(first) + steps[kRow / power / 2] * power);
  }
  template <int kIndex>
  static HWY_INLINE void set_steps(std::int64_t step, Steps& steps) {
    if constexpr (kIndex < kOdd) {
      steps[kIndex] = (2 * kIndex + 1) * step;
      set_steps<kIndex + 1>(step, steps);
    }
  }
  // g++ would keep every multiple in a register of its own, of which there are too few.
  template <int kIndex>
  static HWY_INLINE void keep_odd(Steps& steps) {
    if constexpr (kIndex < kOdd) {
      asm("" : "+r"(steps[kIndex]));
      keep_odd<kIndex + 1>(steps);
    }
  }

  template <int kRow>
  static HWY_INLINE void multiply(const T* a, const Steps& steps, const V (&b)[kVectors], Accumulators& acc) {
    if constexpr (kRow < kRows) {
      Base::template multiply_row<kRow, 0>(hn::Set(D(), *at<kRow>(a, steps)), b, acc);
      multiply<kRow + 1>(a, steps, b, acc);
    }
  }
  enum class Store { part, whole, past };
  template <int kIndex, Store kStore>
  static HWY_INLINE void store(T* out, const Steps& steps, hn::Mask<D> last, const Accumulators& acc) {
    if constexpr (kIndex < kRows * kVectors) {
      constexpr int kVector = kIndex % kVectors;
      T* const to = at<kIndex / kVectors>(out, steps) + kVector * kLanes;
      if constexpr (kStore == Store::past) {
        hn::Stream(acc[kIndex], D(), to);
      } else if constexpr (kStore == Store::whole || kVector + 1 < kVectors) {
        hn::StoreU(acc[kIndex], D(), to);
      } else {
        hn::BlendedStore(acc[kIndex], last, D(), to);
      }
      store<kIndex + 1, kStore>(out, steps, last, acc);
    }
  }

  static HWY_NOINLINE void run(const RowTiles<T>& tiles) {
    const std::int64_t ldb = tiles.ldb;
    const bool whole = tiles.columns >= kVectors * kLanes;
    const hn::Mask<D> last =
        hn::FirstN(D(), static_cast<std::size_t>(std::min(kLanes, tiles.columns - (kVectors - 1) * kLanes)));
    Steps steps, out_steps;
    set_steps<0>(tiles.source_step * std::int64_t{sizeof(T)}, steps);
    set_steps<0>(tiles.out_step * std::int64_t{sizeof(T)}, out_steps);
    const T* row = tiles.source;
    T* out_row = tiles.out;
    for (std::int64_t rows = tiles.rows; rows > 0; --rows) {
      const T* source = row;
      T* out = out_row;
      for (std::int64_t left = tiles.count; left > 0; --left) {
        Accumulators acc;
        Base::template clear<0>(acc);
        const T* b = tiles.b;
        for (const std::int64_t *term = tiles.terms, *const end = term + tiles.term_count; term != end;
             ++term) {
          V vectors[kVectors];
          Base::template load_b<0>(b, vectors);
          keep_odd<0>(steps);
          multiply<0>(source + *term, steps, vectors, acc);
          b += ldb;
        }
        if (tiles.bias != nullptr) {
          V bias[kVectors];
          Base::template load_bias<0>(tiles.bias, last, bias);
          Base::template add_bias<0>(bias, acc);
        }
        if (tiles.relu) Base::template rectify<0>(hn::Zero(D()), acc);
        if (!whole) {
          store<0, Store::part>(out, out_steps, last, acc);
        } else if (tiles.stream) {
          store<0, Store::past>(out, out_steps, last, acc);
        } else {
          store<0, Store::whole>(out, out_steps, last, acc);
        }
        source += kRows * tiles.source_step;
        out += kRows * tiles.out_step;
      }
      row += tiles.source_pitch;
      out_row += tiles.out_pitch;
    }
  }
};

template <class D, int... kIndex>
constexpr RowTileSet<hn::TFromD<D>> make_row_set(std::integer_sequence<int, kIndex...>) {
  constexpr int least = RowTileSet<hn::TFromD<D>>::kLeast;
  return {{{RowTile<D, kIndex + least, 1>::run, RowTile<D, kIndex + least, 2>::run}...}};
}
#endif

template <class T>
const RowTileSet<T>* row_tiles_of([[maybe_unused]] std::int64_t columns) {
#if HWY_TARGET == HWY_AVX3
  static constexpr auto set = make_row_set<Tag<T>>(
      std::make_integer_sequence<int, RowTileSet<T>::kMost - RowTileSet<T>::kLeast + 1>());
  return columns <= 32 / std::int64_t{sizeof(T)} ? nullptr : &set;
#else
  return nullptr;
#endif
}

const RowTileSet<float>* row_tiles_f32(std::int64_t columns) {
  return row_tiles_of<float>(columns);
}
const RowTileSet<double>* row_tiles_f64(std::int64_t columns) {
  return row_tiles_of<double>(columns);
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(row_tiles_f32);
HWY_EXPORT(row_tiles_f64);
}  // namespace isobit::cpu

namespace isobit::cpu::gemm {

template <>
const RowTileSet<float>* row_tiles<float>(std::int64_t columns) {
  return HWY_DYNAMIC_DISPATCH(row_tiles_f32)(columns);
}
template <>
const RowTileSet<double>* row_tiles<double>(std::int64_t columns) {
  return HWY_DYNAMIC_DISPATCH(row_tiles_f64)(columns);
}

}  // namespace isobit::cpu::gemm
#endif
