// Descriptions as JSON.
#include <isobit/error.h>
#include <isobit/nn_description.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "core/nn/description_json.h"
#include "core/nn/layer_fields.h"

namespace isobit::nn {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const OptionValue& value) {
  return std::visit([](const auto& v) { return Json(v); }, value);
}

std::int64_t whole(const Json& j, const std::string& where) {
  constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (!j.is_number_integer() || (j.is_number_unsigned() && j.get<std::uint64_t>() > most))
    fail("nn", "{} is {}, expected a whole number of 63 bits", where, shown(j.dump()));
  return j.get<std::int64_t>();
}

OptionValue value_of(const Json& j, const std::string& where) {
  if (j.is_boolean()) return j.get<bool>();
  if (j.is_number_integer()) return whole(j, where);
  if (j.is_number_float()) return j.get<double>();
  if (j.is_string()) return j.get<std::string>();
  if (!j.is_array())
    fail("nn", "{} is {}, expected true, false, a number, a text or a list of whole numbers", where,
         shown(j.dump()));
  std::vector<std::int64_t> list;
  for (const Json& element : j) list.push_back(whole(element, where));
  return list;
}

const std::string& text_at(const Json& j, const char* key, const std::string& where) {
  const auto found = j.find(key);
  if (found == j.end() || !found->is_string()) fail("nn", "{} has no text \"{}\"", where, key);
  return found->get_ref<const std::string&>();
}

}  // namespace

Json to_json(const Description& d) {
  Json j{{"kind", d.kind}};
  if (!d.options.empty()) {
    Json& options = j["options"] = Json::object();
    for (const auto& [name, value] : d.options) options[name] = json_of(value);
  }
  if (!d.children.empty()) {
    Json& layers = j["layers"] = Json::array();
    for (const Description& child : d.children) {
      Json layer{{"name", child.name}};
      layer.update(to_json(child));
      layers.push_back(std::move(layer));
    }
  }
  return j;
}

// As deep as the JSON, whose depth parse_json bounds.
Description description_of(const Json& j, const std::string& where) {
  if (!j.is_object()) fail("nn", "{} is {}, expected an object", where, shown(j.dump()));
  for (const auto& [key, value] : j.items())
    if (key != "kind" && key != "options" && key != "layers" && key != "name")
      fail("nn", "{} has an unknown key \"{}\"", where, shown(key));
  Description d;
  d.kind = text_at(j, "kind", where);
  if (const auto options = j.find("options"); options != j.end()) {
    if (!options->is_object()) fail("nn", "{}: the options are no object", where);
    for (const auto& [name, value] : options->items())
      d.options.emplace_back(name, value_of(value, where + ", " + shown(name)));
  }
  if (const auto layers = j.find("layers"); layers != j.end()) {
    if (!layers->is_array()) fail("nn", "{}: the layers are no list", where);
    for (const Json& layer : *layers) {
      const std::string part = fmt::format("{}: layer {}", where, d.children.size());
      d.children.push_back(description_of(layer, part.size() > 200 ? "a layer" : part));
      d.children.back().name = text_at(layer, "name", part);
    }
  }
  return d;
}

Json parse_json(std::string_view text, std::string_view name) {
  try {
    return Json::parse(text, [&](int depth, Json::parse_event_t, Json&) {
      if (depth > kMaxJsonDepth)
        fail("nn", "{}: lists and objects lie more than {} deep", name, kMaxJsonDepth);
      return true;
    });
  } catch (const Json::exception& error) {
    fail("nn", "{} is no JSON: {}", name, shown(error.what()));
  }
}

std::string to_text(const Description& description) {
  try {
    return to_json(description).dump();
  } catch (const Json::exception&) {
    fail("nn", "a name or a text of the description is not valid UTF-8");
  }
}

Description parse_description(std::string_view text, std::string_view name) {
  return description_of(parse_json(text, name), std::string(name));
}

}  // namespace isobit::nn
