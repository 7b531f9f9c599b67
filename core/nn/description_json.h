// Descriptions as JSON values, for files that hold one beside other things.
#pragma once
#include <isobit/nn_description.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace isobit::nn {

/// 64 nested containers, each an object in a list of an object.
inline constexpr int kMaxJsonDepth = 200;

/// Throws Error that begins with `name` for what is no JSON or deeper than kMaxJsonDepth.
nlohmann::ordered_json parse_json(std::string_view text, std::string_view name);
nlohmann::ordered_json to_json(const Description& d);
/// Throws Error that begins with `where`.
Description description_of(const nlohmann::ordered_json& j, const std::string& where);

}  // namespace isobit::nn
