// Shape: the extents of a tensor.
#pragma once
#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>

namespace isobit {

/// Up to 8 extents, outermost first; the last axis is contiguous in memory. Rank 0 is a scalar with one
/// element. Every constructor throws Error when an extent is negative, the rank exceeds 8, or the number of
/// elements times 8 bytes would not fit 63 bits; so numel() and every offset inside the tensor are safe in
/// int64_t ever after.
class Shape {
 public:
  static constexpr int max_rank = 8;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> extents) : Shape(std::span(extents.begin(), extents.size())) {}
  explicit Shape(std::span<const std::int64_t> extents);

  int rank() const { return rank_; }
  /// Extent of axis i; negative i counts from the end. Throws Error outside [-rank, rank).
  std::int64_t operator[](int i) const;
  std::int64_t numel() const { return numel_; }
  const std::int64_t* begin() const { return extents_.data(); }
  const std::int64_t* end() const { return extents_.data() + rank_; }
  std::span<const std::int64_t> extents() const { return {begin(), end()}; }

  /// The same shape with axis i replaced (negative i from the end).
  Shape with(int i, std::int64_t extent) const;
  Shape without(int i) const;
  Shape inserted(int i, std::int64_t extent) const;
  /// Axes [from, to).
  Shape sub(int from, int to) const;

  friend bool operator==(const Shape& a, const Shape& b) {
    if (a.rank_ != b.rank_) return false;
    for (int i = 0; i < a.rank_; ++i)
      if (a.extents_[i] != b.extents_[i]) return false;
    return true;
  }

 private:
  std::array<std::int64_t, max_rank> extents_{};
  std::int64_t numel_ = 1;
  int rank_ = 0;
};

/// Axis number in [0, rank) for a possibly negative axis; throws Error that names op, axis and rank.
int normalized_axis(std::string_view op, int axis, int rank);

}  // namespace isobit

template <>
struct fmt::formatter<isobit::Shape> : fmt::formatter<std::string_view> {
  auto format(const isobit::Shape& shape, fmt::format_context& context) const {
    std::string text = "[";
    for (auto e : shape) text += (text.size() > 1 ? "," : "") + std::to_string(e);
    return fmt::formatter<std::string_view>::format(text + "]", context);
  }
};
