// The reader of shape files.
#include "core/verify/shapes.h"

#include <isobit/error.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <map>
#include <optional>

#include "core/io/file.h"

namespace isobit::verify {
namespace {

using Fields = std::map<std::string, std::int64_t>;

constexpr std::array<std::string_view, 25> kKeys = {"mb", "g",  "ic", "oc", "id",  "ih",  "iw", "od", "oh",
                                                    "ow", "kd", "kh", "kw", "sd",  "sh",  "sw", "dd", "dh",
                                                    "dw", "pd", "ph", "pw", "pdr", "phr", "pwr"};
constexpr std::size_t kMostDigits = 9;  // so that sums and single products cannot overflow
constexpr std::size_t kLongestLine = 1000;
constexpr std::uint64_t kLargestFile = 16 << 20;

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
  const auto wanted = get(fields, "o" + a), after = get(fields, "p" + a + "r");
  if (axis.stride < 1 || axis.dilation < 1 || axis.filter < 1 || axis.in < 0)
    fail(place, "axis {}: input {}, filter {}, stride {}, dilation {}", letter, axis.in, axis.filter,
         axis.stride, axis.dilation);
  const std::int64_t span = axis.dilation * (axis.filter - 1) + 1;
  const auto out_for = [&](std::int64_t behind) {
    const std::int64_t room = axis.in + axis.pad_before + behind - span;
    return room < 0 ? std::int64_t{0} : room / axis.stride + 1;
  };
  axis.pad_after = after.value_or(axis.pad_before);
  if (!after && wanted && out_for(axis.pad_after) != *wanted)
    axis.pad_after = (*wanted - 1) * axis.stride + span - axis.in - axis.pad_before;
  if (axis.in + std::min<std::int64_t>(axis.pad_before, 0) + std::min<std::int64_t>(axis.pad_after, 0) < 0)
    fail(place, "axis {}: padding {} and {} crops more than the input's {}", letter, axis.pad_before,
         axis.pad_after, axis.in);
  axis.out = out_for(axis.pad_after);
  if (wanted && axis.out != *wanted)
    fail(place, "axis {}: output {} written, {} computed", letter, *wanted, axis.out);
  if (axis.out < 1) fail(place, "axis {}: the filter's {} do not fit the padded input", letter, span);
  return axis;
}

/// No extent is negative here.
void check_product(const std::string& place, const char* what, std::initializer_list<std::int64_t> extents) {
  std::int64_t product = 1;
  for (const std::int64_t extent : extents)
    if (__builtin_mul_overflow(product, std::max<std::int64_t>(extent, 1), &product) || product >> 62 != 0)
      fail(place, "{} has too many elements", what);
}

void check_sizes(const std::string& place, const ConvGeometry& g) {
  const auto& [d, h, w] = g.axis;
  check_product(place, "the input", {g.n, d.in, h.in, w.in, g.c});
  check_product(place, "the filter", {d.filter, h.filter, w.filter, g.c_per_group(), g.k});
  check_product(place, "the output", {g.n, d.out, h.out, w.out, g.k});
}

/// What follows the fields: how taps outside the input are read.
struct Border {
  std::vector<PadMode> modes;
  double value = 0;
};

/// Reads @mode, and perhaps =value, at `i`, moves behind it.
void take_mode(std::string_view line, const std::string& place, std::size_t& i, Border& border) {
  std::size_t end = i + 1;
  // The name that may follow begins with an n of its own, which its quote gives away.
  while (end < line.size() && line[end] >= 'a' && line[end] <= 'z' &&
         !(line[end] == 'n' && end + 1 < line.size() && line[end + 1] == '"'))
    ++end;
  const std::string_view text = line.substr(i + 1, end - i - 1);
  std::string known;
  bool found = false;
  for (int m = 0; m < kPadModes; ++m) {
    const auto mode = static_cast<PadMode>(m);
    known += (known.empty() ? "" : ", ") + std::string(name_of(mode));
    if (text != name_of(mode)) continue;
    border.modes.push_back(mode);
    found = true;
  }
  if (!found) fail(place, "'{}': unknown padding mode '{}', known: {}", line, text, known);
  if (end < line.size() && line[end] == '=') {
    std::size_t stop = end + 1;
    while (stop < line.size() &&
           (line[stop] == '-' || line[stop] == '.' || ('0' <= line[stop] && line[stop] <= '9')))
      ++stop;
    const char* const first = line.data() + end + 1;
    const auto [last, error] = std::from_chars(first, line.data() + stop, border.value);
    if (error != std::errc() || last != line.data() + stop)
      fail(place, "'{}': no number after the '=' of the padding mode", line);
    end = stop;
  }
  if (end < line.size() && line[end] != 'n' && line[end] != '@')
    fail(place, "'{}': only a name or another mode may follow the padding mode", line);
  i = end;
}

/// Fills in the fields and the name.
Fields split(std::string_view line, const std::string& place, std::string& name, Border& border) {
  Fields fields;
  for (std::size_t i = 0; i < line.size();) {
    if (line[i] == '@') {
      take_mode(line, place, i, border);
      continue;
    }
    if (line[i] == 'n' && i + 1 < line.size() && line[i + 1] == '"') {
      const auto close = line.find('"', i + 2);
      if (close != line.size() - 1) fail(place, "'{}': the name must end the line with a quote", line);
      name = std::string(line.substr(i + 2, close - i - 2));
      break;
    }
    std::size_t end = i;
    while (end < line.size() && line[end] >= 'a' && line[end] <= 'z') ++end;
    const std::string key(line.substr(i, end - i));
    if (std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end())
      fail(place, "'{}': unknown field '{}'", line, key);
    std::size_t stop = end + (end < line.size() && line[end] == '-' ? 1 : 0);
    const std::size_t digits = stop;
    while (stop < line.size() && line[stop] >= '0' && line[stop] <= '9') ++stop;
    if (stop == digits || stop - digits > kMostDigits)
      fail(place, "'{}': no number of up to {} digits after '{}'", line, kMostDigits, key);
    if (!fields.emplace(key, std::stoll(std::string(line.substr(end, stop - end)))).second)
      fail(place, "'{}': '{}' twice", line, key);
    i = stop;
  }
  return fields;
}

/// One mode for all axes that the line has, or one for each.
void set_border(ConvGeometry& g, const Border& border, const std::string& line, const std::string& place) {
  g.pad_value = border.value;
  if (border.modes.empty()) return;
  const std::size_t axes = shown_axes(g);
  if (border.modes.size() != 1 && border.modes.size() != axes)
    fail(place, "'{}': {} padding modes for {} axes", line, border.modes.size(), axes);
  for (std::size_t i = 0; i < axes; ++i) {
    AxisGeometry& axis = g.axis[3 - axes + i];
    axis.mode = border.modes[border.modes.size() == 1 ? 0 : i];
    if (axis.in == 0 && axis.mode != PadMode::constant)
      fail(place, "'{}': an axis without elements has none to {}", line, name_of(axis.mode));
  }
}

}  // namespace

ConvShape parse_conv_shape(std::string_view text, const std::string& place) {
  if (text.size() > kLongestLine)
    fail(place, "a line of {} characters, expected {} at most", text.size(), kLongestLine);
  std::string line(text);
  line.erase(
      std::remove_if(line.begin(), line.end(), [](char c) { return c == ' ' || c == '\t' || c == '\r'; }),
      line.end());
  ConvShape shape;
  shape.name = line;
  shape.place = place;
  Border border;
  const Fields fields = split(line, place, shape.name, border);
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
    fail(place, "'{}': mb {}, {} groups of {} input and {} output channels", line, g.n, g.groups, g.c, g.k);
  if (has_axis(fields, 'd')) g.axis[0] = make_axis(fields, 'd', place);
  if (height != 0) g.axis[1] = make_axis(fields, height, place);
  g.axis[2] = make_axis(fields, width, place);
  check_sizes(place, g);
  set_border(g, border, line, place);
  return shape;
}

std::vector<ConvShape> parse_conv_shapes(std::string_view text, const std::string& file) {
  std::vector<ConvShape> shapes;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = line.substr(0, line.find('#'));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    shapes.push_back(parse_conv_shape(line, fmt::format("{}:{}", file, number)));
  }
  return shapes;
}

std::vector<ConvShape> read_conv_shapes(const std::string& path) {
  const io::InputFile file("shapes", path);
  if (file.size() > kLargestFile)
    fail("shapes", "'{}' has {} bytes, expected {} at most", path, file.size(), kLargestFile);
  std::string text(file.size(), '\0');
  file.read(0, text.data(), text.size());
  std::vector<ConvShape> shapes = parse_conv_shapes(text, std::filesystem::path(path).filename().string());
  if (shapes.empty()) fail("shapes", "{} holds no shape", path);
  return shapes;
}

std::vector<ConvShape> builtin_conv_shapes() {
  std::vector<ConvShape> shapes;
  for (const ShapeFile& file : builtin_shape_files())
    for (ConvShape& shape : parse_conv_shapes(file.text, file.name)) shapes.push_back(std::move(shape));
  return shapes;
}

}  // namespace isobit::verify
