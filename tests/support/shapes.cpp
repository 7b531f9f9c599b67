// The reader of shape files.
#include "tests/support/shapes.h"

#include <isobit/error.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>

#include "tests/support/paths.h"

namespace isobit::test {
namespace {

using Fields = std::map<std::string, std::int64_t>;

std::optional<std::int64_t> get(const Fields& fields, const std::string& key) {
  const auto it = fields.find(key);
  if (it == fields.end()) return std::nullopt;
  return it->second;
}

bool has_axis(const Fields& fields, char axis) {
  for (const char* prefix : {"i", "k", "o"})
    if (fields.count(std::string(prefix) + axis) != 0) return true;
  return false;
}

AxisGeometry make_axis(const Fields& fields, char letter, const std::string& place) {
  const std::string a(1, letter);
  AxisGeometry axis;
  axis.in = get(fields, "i" + a).value_or(1);
  axis.filter = get(fields, "k" + a).value_or(1);
  axis.stride = get(fields, "s" + a).value_or(1);
  axis.dilation = get(fields, "d" + a).value_or(0) + 1;
  axis.pad_before = get(fields, "p" + a).value_or(0);
  const std::int64_t span = axis.dilation * (axis.filter - 1) + 1;
  const auto out_for = [&](std::int64_t after) {
    const std::int64_t room = axis.in + axis.pad_before + after - span;
    return room < 0 ? std::int64_t{0} : room / axis.stride + 1;
  };
  const auto wanted = get(fields, "o" + a), after = get(fields, "p" + a + "r");
  if (axis.stride < 1 || axis.dilation < 1 || axis.filter < 1 || axis.in < 0)
    fail(place, "axis {}: input {}, filter {}, stride {}, dilation {}", letter, axis.in, axis.filter,
         axis.stride, axis.dilation);
  axis.pad_after = after.value_or(axis.pad_before);
  if (!after && wanted && out_for(axis.pad_after) != *wanted)
    axis.pad_after = (*wanted - 1) * axis.stride + span - axis.in - axis.pad_before;
  axis.out = out_for(axis.pad_after);
  if (wanted && axis.out != *wanted)
    fail(place, "axis {}: output {} written, {} computed", letter, *wanted, axis.out);
  if (axis.out < 1) fail(place, "axis {}: the filter's {} do not fit the padded input", letter, span);
  return axis;
}

}  // namespace

ConvShape parse_conv_shape(std::string_view line, const std::string& place) {
  static constexpr std::array<std::string_view, 25> keys = {
      "mb", "g",  "ic", "oc", "id", "ih", "iw", "od", "oh", "ow",  "kd",  "kh", "kw",
      "sd", "sh", "sw", "dd", "dh", "dw", "pd", "ph", "pw", "pdr", "phr", "pwr"};
  Fields fields;
  ConvShape shape;
  shape.name = std::string(line);
  shape.place = place;
  for (std::size_t i = 0; i < line.size();) {
    if (line[i] == 'n' && i + 1 < line.size() && line[i + 1] == '"') {
      const auto close = line.find('"', i + 2);
      if (close != line.size() - 1) fail(place, "'{}': the name must end the line with a quote", line);
      shape.name = std::string(line.substr(i + 2, close - i - 2));
      break;
    }
    std::size_t end = i;
    while (end < line.size() && line[end] >= 'a' && line[end] <= 'z') ++end;
    const std::string key(line.substr(i, end - i));
    if (std::find(keys.begin(), keys.end(), key) == keys.end())
      fail(place, "'{}': unknown field '{}'", line, key);
    std::size_t stop = end + (end < line.size() && line[end] == '-' ? 1 : 0);
    const std::size_t digits = stop;
    while (stop < line.size() && line[stop] >= '0' && line[stop] <= '9') ++stop;
    if (stop == digits || stop - digits > 9) fail(place, "'{}': no number after '{}'", line, key);
    if (!fields.emplace(key, std::stoll(std::string(line.substr(end, stop - end)))).second)
      fail(place, "'{}': '{}' twice", line, key);
    i = stop;
  }
  const char height = has_axis(fields, 'h') ? 'h' : has_axis(fields, 'w') ? 0 : 'd';
  const char width = has_axis(fields, 'w') ? 'w' : height;
  if (!has_axis(fields, 'd') && !has_axis(fields, 'h') && !has_axis(fields, 'w'))
    fail(place, "'{}': no spatial axis", line);

  ConvGeometry& g = shape.geometry;
  g.n = get(fields, "mb").value_or(1);
  g.groups = get(fields, "g").value_or(1);
  g.c = get(fields, "ic").value_or(0);
  g.k = get(fields, "oc").value_or(0);
  if (g.groups < 1 || g.n < 0 || g.c < 0 || g.k < 0 || g.c % g.groups != 0 || g.k % g.groups != 0)
    fail(place, "'{}': {} groups of {} input and {} output channels", line, g.groups, g.c, g.k);
  if (has_axis(fields, 'd')) g.axis[0] = make_axis(fields, 'd', place);
  if (height != 0) g.axis[1] = make_axis(fields, height, place);
  g.axis[2] = make_axis(fields, width, place);
  return shape;
}

std::vector<ConvShape> read_conv_shapes(const std::string& file) {
  const std::string path = tests_directory() + "/shapes/" + file;
  std::ifstream in(path);
  if (!in) fail("shapes", "cannot read {}", path);
  std::vector<ConvShape> shapes;
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    line = line.substr(0, line.find('#'));
    line.erase(
        std::remove_if(line.begin(), line.end(), [](char c) { return c == ' ' || c == '\t' || c == '\r'; }),
        line.end());
    if (!line.empty()) shapes.push_back(parse_conv_shape(line, fmt::format("{}:{}", file, number)));
  }
  return shapes;
}

std::vector<ConvShape> all_conv_shapes() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(tests_directory() + "/shapes"))
    if (entry.path().extension() == ".txt") files.push_back(entry.path().filename().string());
  std::sort(files.begin(), files.end());
  std::vector<ConvShape> shapes;
  for (const std::string& file : files)
    for (ConvShape& shape : read_conv_shapes(file)) shapes.push_back(std::move(shape));
  return shapes;
}

}  // namespace isobit::test
