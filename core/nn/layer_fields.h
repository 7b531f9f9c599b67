// The options of every layer, each named once: a layer writes them with an OptionWriter into its description,
// nn::from_description reads them back with an OptionReader, through the same function.
#pragma once
#include <isobit/nn_layers.h>

#include <array>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace isobit::nn {

/// In the order of the enumerations.
inline constexpr std::array<const char*, 7> kActivations = {"none",    "relu", "leaky_relu", "silu",
                                                            "sigmoid", "tanh", "gelu"};
inline constexpr std::array<const char*, 5> kPaddingRules = {"valid", "same", "same_lower", "full", "causal"};
inline constexpr std::array<const char*, 2> kInterpolations = {"nearest", "linear"};

/// A text from outside as messages show it: cut where it is long, control characters as '?'.
std::string shown(std::string_view text);

class OptionWriter {
 public:
  void operator()(const char* name, bool v) { add(name, v); }
  void operator()(const char* name, const char* v) = delete;  // it would become a bool
  void operator()(const char* name, std::int64_t v) { add(name, v); }
  void operator()(const char* name, double v);
  void operator()(const char* name, const Shape& v);
  void operator()(const char* name, const PerAxis& v);
  void operator()(const char* name, const std::optional<PerAxis>& v);
  void operator()(const char* name, const Padding& v);
  void operator()(const char* name, const PadModes& v);
  void operator()(const char* name, const Init& v);
  void operator()(const char* name, Activate v) { text(name, kActivations, v); }
  void operator()(const char* name, Interpolation v) { text(name, kInterpolations, v); }
  OptionList list() && { return std::move(list_); }

 private:
  void add(const char* name, OptionValue value) { list_.emplace_back(name, std::move(value)); }
  template <std::size_t n, class Enum>
  void text(const char* name, const std::array<const char*, n>& names, Enum v) {
    add(name, std::string(names.at(static_cast<std::size_t>(v))));
  }
  OptionList list_;
};

/// Leaves alone what the list does not have.
class OptionReader {
 public:
  /// `where` begins every message. Throws Error on a name that occurs twice.
  OptionReader(std::string where, const OptionList& list);
  void operator()(const char* name, bool& v);
  void operator()(const char* name, std::int64_t& v);
  void operator()(const char* name, double& v);
  void operator()(const char* name, std::string& v);
  void operator()(const char* name, Shape& v);
  void operator()(const char* name, PerAxis& v);
  void operator()(const char* name, std::optional<PerAxis>& v);
  void operator()(const char* name, Padding& v);
  void operator()(const char* name, PadModes& v);
  void operator()(const char* name, Init& v);
  void operator()(const char* name, Activate& v) { choose(name, kActivations, v); }
  void operator()(const char* name, Interpolation& v) { choose(name, kInterpolations, v); }
  /// An option without a default.
  template <class T>
  T required(const char* name, T v = T()) {
    need(name);
    (*this)(name, v);
    return v;
  }
  /// Throws Error that lists what nobody asked for.
  void finish() const;

 private:
  void need(const char* name) const;
  const OptionValue* find(const char* name);
  /// Its value as a T; throws Error saying what was expected.
  template <class T>
  const T* get(const char* name, const char* expected);
  const std::string* text_at(const char* name);
  std::size_t index_of(const char* name, const std::string& word, std::span<const char* const> names) const;
  template <std::size_t n, class Enum>
  void choose(const char* name, const std::array<const char*, n>& names, Enum& v) {
    if (const std::string* word = text_at(name)) v = static_cast<Enum>(index_of(name, *word, names));
  }
  [[noreturn]] void refuse(const char* name, const OptionValue& value, const std::string& expected) const;

  std::string where_;
  const OptionList& list_;
  std::set<std::string_view> known_;
};

/// Writes names with their values, then, where one is left, a struct of options.
inline void write_options(OptionWriter&) {}
template <class Options>
void write_options(OptionWriter& write, Options options) {
  fields(write, options);
}
template <class T, class... More>
void write_options(OptionWriter& write, const char* name, const T& value, const More&... more) {
  write(name, value);
  write_options(write, more...);
}
/// What a layer says of itself: option_list_of("groups", groups_, options_).
template <class... Values>
OptionList option_list_of(const Values&... values) {
  OptionWriter write;
  write_options(write, values...);
  return std::move(write).list();
}

// ---- one function for each struct of options. F is a writer or a reader.
template <class F>
void fields(F& f, ConvLayerOptions& o) {
  f("stride", o.stride);
  f("padding", o.padding);
  f("dilation", o.dilation);
  f("groups", o.groups);
  f("bias", o.bias);
  f("activation", o.activation);
  f("slope", o.slope);
  f("mode", o.mode);
  f("pad_value", o.pad_value);
  f("flip", o.flip);
  f("init", o.init);
  f("bias_init", o.bias_init);
}
template <class F>
void fields(F& f, ConvTransposeLayerOptions& o) {
  f("stride", o.stride);
  f("padding", o.padding);
  f("dilation", o.dilation);
  f("groups", o.groups);
  f("bias", o.bias);
  f("activation", o.activation);
  f("slope", o.slope);
  f("mode", o.mode);
  f("flip", o.flip);
  f("output_padding", o.output_padding);
  f("output_shape", o.output_shape);
  f("init", o.init);
  f("bias_init", o.bias_init);
}
template <class F>
void fields(F& f, InputOptions& o) {
  f("mean", o.mean);
  f("deviation", o.deviation);
}
template <class F>
void fields(F& f, LinearOptions& o) {
  f("bias", o.bias);
  f("init", o.init);
  f("bias_init", o.bias_init);
}
template <class F>
void fields(F& f, PoolOptions& o) {
  f("stride", o.stride);
  f("padding", o.padding);
  f("dilation", o.dilation);
  f("ceil_mode", o.ceil_mode);
  f("count_include_pad", o.count_include_pad);
}
template <class F>
void fields(F& f, PadOptions& o) {
  f("mode", o.mode);
  f("value", o.value);
}
template <class F>
void fields(F& f, BatchNormOptions& o) {
  f("eps", o.eps);
  f("momentum", o.momentum);
  f("affine", o.affine);
}
template <class F>
void fields(F& f, LayerNormOptions& o) {
  f("eps", o.eps);
  f("affine", o.affine);
}
template <class F>
void fields(F& f, LocalResponseOptions& o) {
  f("alpha", o.alpha);
  f("beta", o.beta);
  f("bias", o.bias);
}

}  // namespace isobit::nn
