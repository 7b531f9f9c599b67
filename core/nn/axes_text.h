// What options say of spatial axes, in words, for the descriptions and errors of layers.
#pragma once
#include <fmt/format.h>
#include <isobit/pad_mode.h>
#include <isobit/per_axis.h>

#include <string>

namespace isobit::nn {

/// {before, after} of each spatial axis, or of all.
using Sides = std::vector<std::pair<std::int64_t, std::int64_t>>;

/// What word(i) says of each of `count` axes, joined; said once where all agree.
template <class Word>
std::string axes_text(int count, const char* between, Word word) {
  if (count < 1) return "nothing";
  const std::string first = word(0);
  std::string text = first;
  bool agree = true;
  for (int i = 1; i < count; ++i) {
    const std::string next = word(i);
    agree = agree && next == first;
    text += between + next;
  }
  return agree ? first : text;
}

/// "3x5" of {3, 5}, "2" of 2 and of {2, 2}.
inline std::string axes_text(const PerAxis& v) {
  return axes_text(v.count, "x", [&](int i) { return std::to_string(v.value[static_cast<std::size_t>(i)]); });
}
/// "1x0:2" of {{1, 1}, {0, 2}}.
inline std::string axes_text(const Sides& sides) {
  return axes_text(static_cast<int>(sides.size()), "x", [&](int i) {
    const auto [before, after] = sides[static_cast<std::size_t>(i)];
    return before == after ? std::to_string(before) : fmt::format("{}:{}", before, after);
  });
}
/// "replicate/circular"; empty where all are constant.
inline std::string axes_text(const PadModes& modes) {
  bool plain = true;
  for (int i = 0; i < modes.count; ++i)
    plain = plain && modes.value[static_cast<std::size_t>(i)] == PadMode::constant;
  if (plain) return "";
  return axes_text(modes.count, "/",
                   [&](int i) { return name_of(modes.value[static_cast<std::size_t>(i)]); });
}

}  // namespace isobit::nn
