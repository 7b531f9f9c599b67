// How the ops over spatial axes (isobit/ops.h, isobit/ops_pool.h) are told windows, strides and padding.
#pragma once
#include <array>
#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

namespace isobit {

/// One number for all spatial axes, or one per axis.
struct PerAxis {
  std::array<std::int64_t, 3> value{1, 1, 1};
  int count = 1;                                             ///< 1 = the same for all
  PerAxis(std::int64_t v) : value{v, v, v} {}                // NOLINT: implicit on purpose
  PerAxis(int v) : PerAxis(static_cast<std::int64_t>(v)) {}  // NOLINT
  PerAxis(std::int64_t a, std::int64_t b) : value{a, b, 1}, count(2) {}
  PerAxis(std::int64_t a, std::int64_t b, std::int64_t c) : value{a, b, c}, count(3) {}
};
enum class SameRule : std::uint8_t {
  valid,       ///< no padding
  same_upper,  ///< out = ceil(in / stride), the odd pixel after (TensorFlow, ONNX SAME_UPPER)
  same_lower,  ///< the odd pixel before
  full,        ///< dilation * (filter - 1) on both sides: wherever filter and input touch
  causal,      ///< dilation * (filter - 1) before, on every axis: no output sees what comes after it
};
inline constexpr SameRule Same = SameRule::same_upper;
inline constexpr SameRule Valid = SameRule::valid;
/// How much padding: a rule, a width for every side, a width per axis, or {before, after} per axis (negative
/// crops).
struct Padding {
  std::variant<SameRule, std::vector<std::pair<std::int64_t, std::int64_t>>> value = SameRule::valid;
  int count = 1;
  Padding() = default;
  Padding(SameRule rule) : value(rule) {}  // NOLINT
  Padding(std::int64_t all)
      : value(std::vector<std::pair<std::int64_t, std::int64_t>>{{all, all}}) {}                  // NOLINT
  Padding(int all) : Padding(static_cast<std::int64_t>(all)) {}                                   // NOLINT
  Padding(std::vector<std::pair<std::int64_t, std::int64_t>> sides) : value(std::move(sides)) {}  // NOLINT
};
}  // namespace isobit
