// Options of a case, by name.
#include "tests/differential/case.h"

#include <isobit/error.h>

namespace isobit::differential {

const Tensor& Case::tensor(const std::string& name) const {
  const auto found = tensors.find(name);
  if (found == tensors.end()) fail("differential", "{} has no tensor '{}'", options.dump(), name);
  return found->second;
}

Tensor Case::optional(const std::string& name) const {
  const auto found = tensors.find(name);
  return found == tensors.end() ? Tensor() : found->second;
}

PerAxis Case::per_axis(const char* key) const {
  const auto v = integers(key);
  if (v.empty() || v.size() > 3)
    fail("differential", "{}: '{}' has {} entries", options.dump(), key, v.size());
  return v.size() == 1 ? PerAxis(v[0]) : v.size() == 2 ? PerAxis(v[0], v[1]) : PerAxis(v[0], v[1], v[2]);
}

std::vector<std::pair<std::int64_t, std::int64_t>> Case::sides(const char* key) const {
  return options.at(key).get<std::vector<std::pair<std::int64_t, std::int64_t>>>();
}

Padding Case::padding() const {
  if (!has("rule")) return Padding(sides("pads"));
  static const std::map<std::string, SameRule, std::less<>> kRules{{"valid", SameRule::valid},
                                                                   {"same_upper", SameRule::same_upper},
                                                                   {"same_lower", SameRule::same_lower},
                                                                   {"full", SameRule::full},
                                                                   {"causal", SameRule::causal}};
  return kRules.at(word("rule"));
}

std::vector<PadMode> Case::modes() const {
  std::vector<PadMode> found;
  for (const auto& entry : options.at("modes")) {
    const auto name = entry.get<std::string>();
    for (int i = 0; i < kPadModes; ++i)
      if (name == name_of(static_cast<PadMode>(i))) found.push_back(static_cast<PadMode>(i));
  }
  if (found.size() != options.at("modes").size()) fail("differential", "{}: unknown mode", options.dump());
  return found;
}

PadModes Case::pad_modes() const {
  const auto m = modes();
  return m.size() == 1 ? PadModes(m[0]) : m.size() == 2 ? PadModes(m[0], m[1]) : PadModes(m[0], m[1], m[2]);
}

Activate Case::activation() const {
  static const std::map<std::string, Activate, std::less<>> kActivations{
      {"none", Activate::none},       {"relu", Activate::relu}, {"leaky_relu", Activate::leaky_relu},
      {"silu", Activate::silu},       {"tanh", Activate::tanh}, {"gelu", Activate::gelu},
      {"sigmoid", Activate::sigmoid},
  };
  return kActivations.at(word("activation"));
}

}  // namespace isobit::differential
