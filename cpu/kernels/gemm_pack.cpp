// See gemm_pack.h. Only the conversions need vectors; the rest moves memory.
#include "cpu/kernels/gemm_pack.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/gemm_pack.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

template <class Half>
HWY_INLINE void widen_halves(const Half* from, float* to, std::size_t count) {
  constexpr std::size_t size = Vec<float>::size;
  std::size_t i = 0;
  for (; i + size <= count; i += size) store(load<float>(from + i), to + i);
  if (i < count) store_n(load_n<float>(from + i, count - i), to + i, count - i);
}

template <class Half>
HWY_INLINE void narrow_halves(const float* from, Half* to, std::size_t count) {
  constexpr std::size_t size = Vec<float>::size;
  std::size_t i = 0;
  for (; i + size <= count; i += size) store(load<float>(from + i), to + i);
  if (i < count) store_n(load_n<float>(from + i, count - i), to + i, count - i);
}

void widen_f16(const f16* from, float* to, std::size_t count) {
  widen_halves(from, to, count);
}
void widen_bf16(const bf16* from, float* to, std::size_t count) {
  widen_halves(from, to, count);
}
void narrow_f16(const float* from, f16* to, std::size_t count) {
  narrow_halves(from, to, count);
}
void narrow_bf16(const float* from, bf16* to, std::size_t count) {
  narrow_halves(from, to, count);
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(widen_f16);
HWY_EXPORT(widen_bf16);
HWY_EXPORT(narrow_f16);
HWY_EXPORT(narrow_bf16);
}  // namespace isobit::cpu

namespace isobit::cpu::gemm {

template <class T>
void widen(Source from, T* to, std::int64_t count) {
  const std::size_t n = static_cast<std::size_t>(count);
  if constexpr (sizeof(T) == sizeof(float)) {
    if (from.dtype == DType::f16) return HWY_DYNAMIC_DISPATCH(widen_f16)(from.as<f16>(), to, n);
    if (from.dtype == DType::bf16) return HWY_DYNAMIC_DISPATCH(widen_bf16)(from.as<bf16>(), to, n);
  }
  if (n != 0) std::memcpy(to, from.data, n * sizeof(T));
}

template <class T>
void narrow(const T* from, void* to, DType dtype, std::int64_t count) {
  const std::size_t n = static_cast<std::size_t>(count);
  if constexpr (sizeof(T) == sizeof(float)) {
    if (dtype == DType::f16) return HWY_DYNAMIC_DISPATCH(narrow_f16)(from, static_cast<f16*>(to), n);
    if (dtype == DType::bf16) return HWY_DYNAMIC_DISPATCH(narrow_bf16)(from, static_cast<bf16*>(to), n);
  }
  if (n != 0) std::memcpy(to, from, n * sizeof(T));
}

namespace {

// Element (row, column) at row + column * column_stride: strips of 16 columns by 64 rows, through a small
// buffer, so that both sides move by whole cache lines.
template <class T>
void pack_transposed(Source from, std::int64_t column_stride, std::int64_t rows, std::int64_t columns,
                     std::int64_t width, T* to) {
  constexpr std::int64_t kColumns = 16, kRows = 64;
  T strip[kColumns][kRows];
  for (std::int64_t column = 0; column < columns; column += kColumns) {
    const std::int64_t wide = std::min(kColumns, columns - column);
    for (std::int64_t row = 0; row < rows; row += kRows) {
      const std::int64_t high = std::min(kRows, rows - row);
      for (std::int64_t j = 0; j < wide; ++j)
        widen(from.at(row + (column + j) * column_stride), strip[j], high);
      T* out = to + row * width + column;
      if (wide == kColumns) {
        for (std::int64_t i = 0; i < high; ++i, out += width)
          for (std::int64_t j = 0; j < kColumns; ++j) out[j] = strip[j][i];
      } else {
        for (std::int64_t i = 0; i < high; ++i, out += width)
          for (std::int64_t j = 0; j < wide; ++j) out[j] = strip[j][i];
      }
    }
  }
}

}  // namespace

template <class T>
void pack_panel(Source from, std::int64_t row_stride, std::int64_t column_stride, std::int64_t rows,
                std::int64_t columns, std::int64_t width, T* to) {
  if (columns < width)
    for (std::int64_t row = 0; row < rows; ++row)
      std::fill(to + row * width + columns, to + (row + 1) * width, T(0));
  if (column_stride == 1) {
    for (std::int64_t row = 0; row < rows; ++row) widen(from.at(row * row_stride), to + row * width, columns);
  } else if (row_stride == 1) {
    pack_transposed(from, column_stride, rows, columns, width, to);
  } else {
    for (std::int64_t row = 0; row < rows; ++row)
      for (std::int64_t column = 0; column < columns; ++column)
        widen(from.at(row * row_stride + column * column_stride), to + row * width + column, 1);
  }
}

template void widen(Source, float*, std::int64_t);
template void widen(Source, double*, std::int64_t);
template void narrow(const float*, void*, DType, std::int64_t);
template void narrow(const double*, void*, DType, std::int64_t);
template void pack_panel(Source, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                         float*);
template void pack_panel(Source, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                         double*);

}  // namespace isobit::cpu::gemm
#endif
