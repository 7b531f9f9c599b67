// Options as values of a description, and back.
#include "core/nn/layer_fields.h"

#include <fmt/ranges.h>

#include <charconv>
#include <cmath>
#include <limits>

namespace isobit::nn {
namespace {

using Whole = std::vector<std::int64_t>;

Whole list_of(const PerAxis& v) {
  return {v.value.begin(), v.value.begin() + v.count};
}

// As in `init`: the shortest text that is read back as v.
std::string number(double v) {
  return fmt::format("{}", v);
}

std::string text_of(const Init& init) {
  const std::string normal_or_uniform = init.gaussian ? "normal" : "uniform";
  switch (init.kind) {
    case Init::Kind::layers_choice:
      break;
    case Init::Kind::constant:
      return "constant " + number(init.a);
    case Init::Kind::uniform:
      return "uniform " + number(init.a) + " " + number(init.b);
    case Init::Kind::normal:
      return "normal " + number(init.a) + " " + number(init.b);
    case Init::Kind::kaiming:
      return "kaiming_" + normal_or_uniform + " " + number(init.gain) +
             (init.fan == Fan::in ? " in" : " out");
    case Init::Kind::xavier:
      return "xavier_" + normal_or_uniform + " " + number(init.gain);
    case Init::Kind::lecun:
      return "lecun_" + normal_or_uniform;
  }
  return "";
}

std::vector<std::string_view> words_of(std::string_view text, char between) {
  std::vector<std::string_view> words;
  for (std::size_t stop = text.find(between); stop != text.npos; stop = text.find(between)) {
    words.push_back(text.substr(0, stop));
    text.remove_prefix(stop + 1);
  }
  words.push_back(text);
  return words;
}

bool read_number(std::string_view word, double& v) {
  const char* end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, v);
  return error == std::errc() && stop == end;
}

// nullopt where the text is none of those in isobit/nn_description.h. Bounds and gains are checked by
// initialize.
std::optional<Init> parse_init(std::string_view text) {
  const std::vector<std::string_view> words = words_of(text, ' ');
  const std::string_view name = words[0];
  std::array<double, 2> v{1, 0};
  std::size_t numbers = 0;
  while (numbers < 2 && numbers + 1 < words.size() && read_number(words[numbers + 1], v[numbers])) ++numbers;
  const auto rest = words.size() - 1 - numbers;
  if (name == "constant" && numbers == 1 && rest == 0) return constant(v[0]);
  if (name == "uniform" && numbers == 2 && rest == 0) return uniform(v[0], v[1]);
  if (name == "normal" && numbers == 2 && rest == 0) return normal(v[0], v[1]);
  if (name == "xavier_uniform" && numbers == 1 && rest == 0) return xavier_uniform(v[0]);
  if (name == "xavier_normal" && numbers == 1 && rest == 0) return xavier_normal(v[0]);
  if (name == "lecun_uniform" && words.size() == 1) return lecun_uniform();
  if (name == "lecun_normal" && words.size() == 1) return lecun_normal();
  const bool fan_in = words.back() == "in";
  if (numbers == 1 && rest == 1 && (fan_in || words.back() == "out")) {
    const Fan fan = fan_in ? Fan::in : Fan::out;
    if (name == "kaiming_uniform") return kaiming_uniform(v[0], fan);
    if (name == "kaiming_normal") return kaiming_normal(v[0], fan);
  }
  return std::nullopt;
}

std::string shown_value(const OptionValue& value) {
  return shown(std::visit([](const auto& v) { return fmt::format("{}", v); }, value));
}

}  // namespace

std::string shown(std::string_view text) {
  std::string out(text.substr(0, 80));
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return text.size() > 80 ? out + "..." : out;
}

void OptionWriter::operator()(const char* name, double v) {
  if (std::isfinite(v)) return add(name, v);
  add(name, std::string(std::isnan(v) ? "nan" : v > 0 ? "inf" : "-inf"));
}
void OptionWriter::operator()(const char* name, const Shape& v) {
  add(name, Whole(v.begin(), v.end()));
}
void OptionWriter::operator()(const char* name, const PerAxis& v) {
  add(name, list_of(v));
}
void OptionWriter::operator()(const char* name, const std::optional<PerAxis>& v) {
  if (v) add(name, list_of(*v));
}
void OptionWriter::operator()(const char* name, const Padding& v) {
  if (const auto* rule = std::get_if<SameRule>(&v.value)) return text(name, kPaddingRules, *rule);
  Whole sides;
  for (const auto& [before, after] : std::get<1>(v.value)) sides.insert(sides.end(), {before, after});
  add(name, std::move(sides));
}
void OptionWriter::operator()(const char* name, const PadModes& v) {
  std::string modes;
  for (int i = 0; i < v.count; ++i)
    modes += (i > 0 ? "/" : "") + std::string(name_of(v.value[static_cast<std::size_t>(i)]));
  add(name, std::move(modes));
}
void OptionWriter::operator()(const char* name, const Init& v) {
  if (v.kind != Init::Kind::layers_choice) add(name, text_of(v));
}

OptionReader::OptionReader(std::string where, const OptionList& list)
    : where_(std::move(where)), list_(list) {
  std::set<std::string_view> names;
  for (const auto& [name, value] : list)
    if (!names.insert(name).second) fail("nn", "{}: the option \"{}\" occurs twice", where_, shown(name));
}

void OptionReader::finish() const {
  for (const auto& [name, value] : list_)
    if (known_.count(name) == 0)
      fail("nn", "{} has no option \"{}\" (given {}); it has: {}", where_, shown(name), shown_value(value),
           known_.empty() ? "none" : fmt::format("{}", fmt::join(known_, ", ")));
}

void OptionReader::need(const char* name) const {
  for (const auto& [known, value] : list_)
    if (known == name) return;
  fail("nn", "{}: the option \"{}\" is missing", where_, name);
}

const OptionValue* OptionReader::find(const char* name) {
  known_.insert(name);
  for (const auto& [known, value] : list_)
    if (known == name) return &value;
  return nullptr;
}

void OptionReader::refuse(const char* name, const OptionValue& value, const std::string& expected) const {
  fail("nn", "{}: {} is {}, expected {}", where_, shown(name), shown_value(value), expected);
}

template <class T>
const T* OptionReader::get(const char* name, const char* expected) {
  const OptionValue* value = find(name);
  if (value == nullptr) return nullptr;
  const T* v = std::get_if<T>(value);
  if (v == nullptr) refuse(name, *value, expected);
  return v;
}

const std::string* OptionReader::text_at(const char* name) {
  return get<std::string>(name, "a text");
}

std::size_t OptionReader::index_of(const char* name, const std::string& word,
                                   std::span<const char* const> names) const {
  for (std::size_t i = 0; i < names.size(); ++i)
    if (word == names[i]) return i;
  refuse(name, word, fmt::format("one of {}", fmt::join(names, ", ")));
}

void OptionReader::operator()(const char* name, bool& v) {
  if (const auto* given = get<bool>(name, "true or false")) v = *given;
}
void OptionReader::operator()(const char* name, std::int64_t& v) {
  if (const auto* given = get<std::int64_t>(name, "a whole number")) v = *given;
}
void OptionReader::operator()(const char* name, std::string& v) {
  if (const std::string* given = text_at(name)) v = *given;
}
void OptionReader::operator()(const char* name, double& v) {
  const OptionValue* value = find(name);
  if (value == nullptr) return;
  constexpr double inf = std::numeric_limits<double>::infinity();
  if (const auto* number = std::get_if<double>(value))
    v = *number;
  else if (const auto* whole = std::get_if<std::int64_t>(value))
    v = static_cast<double>(*whole);
  else if (*value == OptionValue(std::string("inf")))
    v = inf;
  else if (*value == OptionValue(std::string("-inf")))
    v = -inf;
  else if (*value == OptionValue(std::string("nan")))
    v = std::numeric_limits<double>::quiet_NaN();
  else
    refuse(name, *value, "a number");
}
void OptionReader::operator()(const char* name, Shape& v) {
  if (const auto* extents = get<Whole>(name, "a list of extents"))
    v = Shape(std::span<const std::int64_t>(*extents));
}
void OptionReader::operator()(const char* name, PerAxis& v) {
  const OptionValue* value = find(name);
  if (value == nullptr) return;
  if (const auto* one = std::get_if<std::int64_t>(value)) return void(v = *one);
  const auto* list = std::get_if<Whole>(value);
  if (list == nullptr || list->empty() || list->size() > 3)
    refuse(name, *value, "a whole number, or a list of one to three");
  v = list->front();
  v.count = static_cast<int>(list->size());
  // As the constructors of PerAxis leave what has no axis: all equal, or 1.
  for (std::size_t i = 1; i < 3 && list->size() > 1; ++i) v.value[i] = i < list->size() ? (*list)[i] : 1;
}
void OptionReader::operator()(const char* name, std::optional<PerAxis>& v) {
  PerAxis given = 1;
  (*this)(name, given);
  if (find(name) != nullptr) v = given;
}
void OptionReader::operator()(const char* name, Padding& v) {
  const OptionValue* value = find(name);
  if (value == nullptr) return;
  if (const auto* rule = std::get_if<std::string>(value)) {
    v = Padding(static_cast<SameRule>(index_of(name, *rule, kPaddingRules)));
    return;
  }
  if (const auto* all = std::get_if<std::int64_t>(value)) return void(v = Padding(*all));
  const auto* list = std::get_if<Whole>(value);
  if (list == nullptr || list->empty() || list->size() > 6 || list->size() % 2 != 0)
    refuse(name, *value, "a rule, a whole number, or a list of one to three pairs (before, after)");
  std::vector<std::pair<std::int64_t, std::int64_t>> sides;
  for (std::size_t i = 0; i < list->size(); i += 2) sides.emplace_back((*list)[i], (*list)[i + 1]);
  v = Padding(std::move(sides));
}
void OptionReader::operator()(const char* name, PadModes& v) {
  const std::string* text = text_at(name);
  if (text == nullptr) return;
  const std::vector<std::string_view> words = words_of(*text, '/');
  if (words.size() > 3) refuse(name, *text, "one mode, or one for each of up to three axes");
  std::array<const char*, kPadModes> names{};
  for (int i = 0; i < kPadModes; ++i) names[static_cast<std::size_t>(i)] = name_of(static_cast<PadMode>(i));
  const auto mode = [&](std::size_t i) {
    return static_cast<PadMode>(index_of(name, std::string(words[i]), names));
  };
  if (words.size() == 1) v = mode(0);
  if (words.size() == 2) v = PadModes(mode(0), mode(1));
  if (words.size() == 3) v = PadModes(mode(0), mode(1), mode(2));
}
void OptionReader::operator()(const char* name, Init& v) {
  const std::string* text = text_at(name);
  if (text == nullptr) return;
  const std::optional<Init> init = parse_init(*text);
  if (!init) refuse(name, *text, "an initialiser, e.g. \"kaiming_uniform 1.5 in\" or \"normal 0 0.01\"");
  v = *init;
}

}  // namespace isobit::nn
