// Operands and results of amx_product.h that lie in memory as matrices.
#pragma once
#include <cstring>

#include "core/backend.h"
#include "cpu/kernels/amx_product.h"
#include "cpu/kernels/gemm_pack.h"

namespace isobit::cpu::amx {

/// `count` elements of a source, in f32.
inline const float* in_f32(gemm::Source from, std::int64_t count, float* room) {
  if (from.dtype == DType::f32) return from.as<float>();
  gemm::widen(from, room, count);
  return room;
}

/// Lines (along_terms) or terms that lie `pitch` elements apart.
class Matrix final : public Operand {
 public:
  Matrix(gemm::Source source, bool along_terms) : Operand(along_terms), source_(source) {}
  std::int64_t pitch = 0, batch = 0;
  const float* segment(std::int64_t of, std::int64_t at, std::int64_t first, std::int64_t count,
                       float* room) const override {
    return in_f32(source_.at(of * batch + at * pitch + first), count, room);
  }

 private:
  gemm::Source source_;
};

/// Rows that lie `pitch` elements apart, rounded to their type.
class Rows final : public Result {
 public:
  View to;
  std::int64_t pitch = 0, batch = 0;
  void store(std::int64_t of, std::int64_t row, std::int64_t first, std::int64_t count,
             float* sums) const override {
    void* const at = static_cast<char*>(to.data) + (of * batch + row * pitch + first) * size_of(to.dtype);
    if (to.dtype == DType::f32)
      std::memcpy(at, sums, static_cast<std::size_t>(count) * sizeof(float));
    else
      gemm::narrow(sums, at, to.dtype, count);
  }
};

}  // namespace isobit::cpu::amx
