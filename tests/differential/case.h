// One case of the differential test as a file has it, and what the families share: options by name.
#pragma once
#include <isobit/ops.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace isobit::differential {

struct Case {
  nlohmann::json options;                 ///< what draw.py drew
  std::map<std::string, Tensor> tensors;  ///< inputs by name: x, w, labels, ...

  /// Throws Error naming the op and what there is not.
  const Tensor& tensor(const std::string& name) const;
  /// The undefined tensor where the case has none.
  Tensor optional(const std::string& name) const;
  bool has(const char* key) const { return options.contains(key); }
  std::int64_t integer(const char* key) const { return options.at(key).get<std::int64_t>(); }
  double number(const char* key) const { return options.at(key).get<double>(); }
  bool flag(const char* key) const { return options.value(key, false); }
  std::string word(const char* key) const { return options.at(key).get<std::string>(); }
  std::vector<std::int64_t> integers(const char* key) const {
    return options.at(key).get<std::vector<std::int64_t>>();
  }
  PerAxis per_axis(const char* key) const;
  std::vector<std::pair<std::int64_t, std::int64_t>> sides(const char* key) const;
  /// "rule", or "pads" of each axis.
  Padding padding() const;
  /// "modes", one for each axis.
  std::vector<PadMode> modes() const;
  PadModes pad_modes() const;
  Activate activation() const;
};

using Function = Tensor (*)(const Case&);
using Functions = std::map<std::string, Function, std::less<>>;

void add_convolutions(Functions& table);
void add_images(Functions& table);
void add_windows(Functions& table);
void add_movements(Functions& table);
void add_rows(Functions& table);

}  // namespace isobit::differential
