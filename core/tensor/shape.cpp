// Shapes, names of dtypes, and the derivation of random keys.
#include <isobit/dtype.h>
#include <isobit/error.h>
#include <isobit/random.h>
#include <isobit/shape.h>

#include <vector>

namespace isobit {

namespace {
std::string list_of(std::span<const std::int64_t> extents) {
  std::string text = "[";
  for (auto e : extents) text += (text.size() > 1 ? "," : "") + std::to_string(e);
  return text + "]";
}
}  // namespace

Shape::Shape(std::span<const std::int64_t> extents) {
  if (extents.size() > max_rank)
    fail("shape", "{} has {} axes, at most {} are possible", list_of(extents), extents.size(), int{max_rank});
  // Offsets are computed for shapes with an extent of 0 as well, so the product of the others must fit too.
  std::int64_t product = 8;
  bool empty = false;
  for (auto e : extents) {
    if (e < 0) fail("shape", "{} has a negative extent", list_of(extents));
    if (e == 0)
      empty = true;
    else if (__builtin_mul_overflow(product, e, &product))
      fail("shape", "{} has more elements than 63 bits can address", list_of(extents));
    extents_[rank_++] = e;
  }
  numel_ = empty ? 0 : product / 8;
}

std::int64_t Shape::operator[](int i) const {
  return extents_[normalized_axis("shape", i, rank_)];
}

Shape Shape::with(int i, std::int64_t extent) const {
  auto extents = extents_;
  extents[normalized_axis("shape", i, rank_)] = extent;
  return Shape(std::span<const std::int64_t>(extents.data(), rank_));
}

Shape Shape::without(int i) const {
  const int axis = normalized_axis("shape", i, rank_);
  std::vector<std::int64_t> extents(begin(), end());
  extents.erase(extents.begin() + axis);
  return Shape(std::span<const std::int64_t>(extents));
}

Shape Shape::inserted(int i, std::int64_t extent) const {
  const int axis = normalized_axis("shape", i, rank_ + 1);
  std::vector<std::int64_t> extents(begin(), end());
  extents.insert(extents.begin() + axis, extent);
  return Shape(std::span<const std::int64_t>(extents));
}

Shape Shape::sub(int from, int to) const {
  if (from < 0 || to < from || to > rank_)
    fail("shape", "axes [{}, {}) of a shape with {} axes", from, to, rank_);
  return Shape(std::span<const std::int64_t>(extents_.data() + from, to - from));
}

int normalized_axis(std::string_view op, int axis, int rank) {
  if (axis < -rank || axis >= rank) fail(op, "axis {} of a tensor with {} axes", axis, rank);
  return axis < 0 ? axis + rank : axis;
}

DType parse_dtype(std::string_view name) {
  for (auto t :
       {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i32, DType::i64, DType::u8, DType::boolean})
    if (name_of(t) == name) return t;
  fail("dtype", "\"{}\" is none of f32, f64, f16, bf16, i32, i64, u8, bool", name);
}

}  // namespace isobit
