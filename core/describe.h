// One line of text for the arguments of a kernel, for traces and errors.
#pragma once
#include <fmt/format.h>

#include <string>

#include "core/backend.h"

namespace isobit {

inline std::string describe(const ConstView& v) {
  return fmt::format("{}[{}]", name_of(v.dtype), v.numel);
}
inline std::string describe(const View& v) {
  return describe(ConstView(v));
}
inline std::string describe(const Scalar& s) {
  return s.is_integer ? fmt::format("{}", s.integer) : fmt::format("{}", s.real);
}
inline std::string describe(const Epilogue& e) {
  return fmt::format("{}{}{}{}", e.bias.data != nullptr ? "bias" : "plain", e.norm.wanted() ? "+norm" : "",
                     e.activation == Activation::none ? "" : "+", name_of(e.activation));
}
inline std::string describe(const StridedGeometry& g) {
  return fmt::format("[{}]", fmt::join(g.extent.begin(), g.extent.begin() + g.rank, ","));
}
inline std::string describe(const NormGeometry& g) {
  return fmt::format("a{}b{}g{}d{}{}", g.a, g.b, g.g, g.d, g.over_batch ? " over batch" : "");
}
inline std::string describe(const PadGeometry& g) {
  std::string modes;
  for (int i = 0; i < g.rank; ++i)
    if (g.mode[i] != PadMode::constant) modes += fmt::format(" {}:{}", i, name_of(g.mode[i]));
  return fmt::format("[{}]->[{}]{}", fmt::join(g.in.begin(), g.in.begin() + g.rank, ","),
                     fmt::join(g.out.begin(), g.out.begin() + g.rank, ","), modes);
}
inline std::string describe(const ResampleGeometry& g) {
  return fmt::format("[{},{},{}]->{}", g.outer, g.in, g.inner, g.out);
}
inline std::string describe(const LocalResponseGeometry& g) {
  return fmt::format("[{},{}] {}+1+{} scale {} beta {} bias {}", g.rows, g.c, g.before, g.after, g.scale,
                     g.beta, g.bias);
}
inline std::string describe(const ConvGeometry& g) {
  return g.to_string();
}
inline std::string describe(const PoolGeometry& g) {
  return g.to_string();
}
inline std::string describe(const ReduceGeometry& g) {
  return g.to_string();
}
inline std::string describe(const MatmulGeometry& g) {
  return g.to_string();
}
inline std::string describe(UnaryOp op) {
  return name_of(op);
}
inline std::string describe(BinaryOp op) {
  return name_of(op);
}
inline std::string describe(ReduceOp op) {
  return name_of(op);
}
inline std::string describe(const RandomKey& key) {
  return fmt::format("key {:x}:{:x}", key.seed, key.stream);
}
inline std::string describe(const OptimizerHyper& hyper) {
  constexpr const char* names[] = {"sgd", "adam", "adamw", "rmsprop"};
  return names[static_cast<int>(hyper.kind)];
}
inline std::string describe(std::span<const OptimizerSlot> slots) {
  return fmt::format("{} parameters", slots.size());
}
inline std::string describe(double v) {
  return fmt::format("{}", v);
}
inline std::string describe(std::int64_t v) {
  return fmt::format("{}", v);
}
inline std::string describe(std::uint64_t v) {
  return fmt::format("{}", v);
}

/// All of them, separated by blanks.
template <class... Args>
std::string describe_all(const Args&... args) {
  std::string text;
  ((text += (text.empty() ? "" : " ") + describe(args)), ...);
  return text;
}

}  // namespace isobit
