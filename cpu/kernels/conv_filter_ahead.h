// What the tiles of conv_backward_filter ask for while they multiply: the parts of dy and x that come next.
// Where few rows of dw meet dy it is not copied, and a tile's terms lie as far apart as dy's positions: from
// memory, in an order that the processor does not foresee, a tile would wait for half of its time.
#pragma once
#include <algorithm>
#include <cstdint>

#include "core/geometry.h"
#include "cpu/kernels/gemm_pack.h"
#include "cpu/kernels/gemm_tile.h"
#include "cpu/runtime/scratch.h"

namespace isobit::cpu::kernels {

/// Pieces of some lines, of what is too large for the caches.
template <class T>
class FilterAhead {
 public:
  /// Of `columns` of dy from `column` on, at most `most` positions at a time; 0: never any.
  FilterAhead(const ConvGeometry& g, gemm::Source x, gemm::Source dy, std::int64_t column,
              std::int64_t columns, std::int64_t most)
      : x_(static_cast<const char*>(x.data)),
        dy_(static_cast<const char*>(dy.at(column).data)),
        size_(size_of(x.dtype)),
        positions_(g.n * g.positions()),
        pixel_(g.c * size_ * (g.x_size() / std::max<std::int64_t>(1, g.c * positions_))),
        pitch_(g.k * size_),
        row_(columns * size_),
        pieces_(static_cast<double>(positions_) * static_cast<double>(row_ + pixel_) >= kCached
                    ? std::min(most, positions_) * (pieces_in(row_) + pieces_in(pixel_))
                    : 0) {}

  /// Of `count` positions of the batch from `first` on, those that there are; null where there are none.
  gemm::Fetch<T>* at(std::int64_t first, std::int64_t count) {
    count = std::min(count, positions_ - first);
    fetch_ = {pieces_.data(), 0, kPiece / kLine};
    if (pieces_.size() == 0 || count <= 0) return nullptr;
    if (row_ == pitch_) {
      add(dy_ + first * pitch_, count * pitch_);
    } else {
      for (std::int64_t i = 0; i < count; ++i) add(dy_ + (first + i) * pitch_, row_);
    }
    add(x_ + first * pixel_, count * pixel_);
    return &fetch_;
  }

 private:
  static constexpr std::int64_t kLine = 64, kPiece = 8 * kLine;  ///< bytes
  static constexpr double kCached = 8 << 20;

  static std::int64_t pieces_in(std::int64_t bytes) { return (bytes + kPiece - 1) / kPiece; }
  void add(const char* from, std::int64_t bytes) {
    for (; bytes > 0; bytes -= kPiece, from += kPiece)
      pieces_[fetch_.count++] = reinterpret_cast<const T*>(from);
  }

  const char* const x_;
  const char* const dy_;
  const std::int64_t size_, positions_;
  const std::int64_t pixel_;  ///< bytes of x that a position is the first to read, about
  const std::int64_t pitch_, row_;
  Scratch<const T*> pieces_;
  gemm::Fetch<T> fetch_;
};

}  // namespace isobit::cpu::kernels
