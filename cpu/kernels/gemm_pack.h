// Moving operands of a matrix product to where the register tiles can read them: f16 and bf16 widened to f32
// (exact) and rounded back once, panels of B made contiguous, padded with +0 columns, transposed where
// needed.
#pragma once
#include <isobit/dtype.h>

#include <cstdint>
#include <cstring>

namespace isobit::cpu::gemm {

/// A dense operand in storage, by element.
struct Source {
  const void* data = nullptr;
  DType dtype = DType::f32;

  /// An operand without elements may have no address: then nothing is read, and nothing is added to it.
  Source at(std::int64_t element) const {
    if (data == nullptr) return *this;
    return {static_cast<const char*>(data) + element * size_of(dtype), dtype};
  }
  /// The elements themselves; dtype is T's.
  template <class T>
  const T* as() const {
    return static_cast<const T*>(data);
  }
};

/// Copies a few elements, a short row of channels or filters, without a call.
template <class T>
inline void copy_few(const T* from, T* to, std::int64_t count) {
  constexpr std::int64_t kLine = 64 / sizeof(T), kHalf = 32 / sizeof(T), kQuarter = 16 / sizeof(T);
  std::int64_t i = 0;
  for (; i + kLine <= count; i += kLine) std::memcpy(to + i, from + i, 64);
  if (i + kHalf <= count) {
    std::memcpy(to + i, from + i, 32);
    i += kHalf;
  }
  if (i + kQuarter <= count) {
    std::memcpy(to + i, from + i, 16);
    i += kQuarter;
  }
  for (; i < count; ++i) to[i] = from[i];
}

/// The same of one value.
template <class T>
inline void fill_few(T value, T* to, std::int64_t count) {
  constexpr std::int64_t kQuarter = 16 / sizeof(T);
  T quarter[kQuarter];
  for (T& element : quarter) element = value;
  std::int64_t i = 0;
  for (; i + kQuarter <= count; i += kQuarter) std::memcpy(to + i, quarter, 16);
  for (; i < count; ++i) to[i] = value;
}

/// T is the type computed in: f64 for f64, else f32.
template <class T>
void widen(Source from, T* to, std::int64_t count);
template <class T>
void narrow(const T* from, void* to, DType dtype, std::int64_t count);
/// The same past the caches: whole lines of f16 or bf16, `to` on a line; hwy::FlushStream() when all is
/// stored.
template <class T>
void narrow_past(const T* from, void* to, DType dtype, std::int64_t count);
/// Rows of f16 or bf16, `pitch` elements apart: to[row * width + column], widened, for `columns` columns.
void widen_rows(Source from, std::int64_t pitch, std::int64_t rows, std::int64_t columns, float* to,
                std::int64_t width);

/// Whether none of `count` elements is infinite or NaN.
bool all_finite(Source from, std::int64_t count);
/// The same on this thread.
bool is_finite(const float* from, std::int64_t count);
bool is_finite(const double* from, std::int64_t count);

/// to[row * width + column] = from[row * row_stride + column * column_stride] for `columns` columns, +0
/// beyond.
template <class T>
void pack_panel(Source from, std::int64_t row_stride, std::int64_t column_stride, std::int64_t rows,
                std::int64_t columns, std::int64_t width, T* to);

/// The groups of some pixels, each by itself: to[group * group_pitch + pixel * to_pitch + c] =
/// from[pixel * pitch + group * channels + c], widened, for c < channels.
template <class T>
void split_groups(Source from, std::int64_t pitch, std::int64_t pixels, std::int64_t groups,
                  std::int64_t channels, T* to, std::int64_t to_pitch, std::int64_t group_pitch);

/// to[i] = first + i * step for i < count, as addresses: of what lies evenly apart.
void put_addresses(std::uintptr_t first, std::uintptr_t step, std::int64_t count, std::uintptr_t* to);
template <class T>
void put_pointers(T* first, std::int64_t step, std::int64_t count, T** to) {
  static_assert(sizeof(T*) == sizeof(std::uintptr_t));
  put_addresses(reinterpret_cast<std::uintptr_t>(first), static_cast<std::uintptr_t>(step) * sizeof(T), count,
                reinterpret_cast<std::uintptr_t*>(to));
}

/// to[i * to_stride + j] = from[j * from_stride + i] for i < rows, j < columns.
void transpose(const float* from, std::int64_t from_stride, std::int64_t rows, std::int64_t columns,
               float* to, std::int64_t to_stride);
void transpose(const double* from, std::int64_t from_stride, std::int64_t rows, std::int64_t columns,
               double* to, std::int64_t to_stride);

}  // namespace isobit::cpu::gemm
