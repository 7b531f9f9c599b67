#include "cli/filter_banks.h"

#include <fmt/format.h>
#include <isobit/error.h>
#include <isobit/io.h>
#include <isobit/ops.h>

#include <charconv>
#include <cmath>
#include <fstream>
#include <map>
#include <sstream>

namespace isobit::cli {
namespace {

constexpr std::int64_t kMostFilters = 256, kMostRows = 128;

struct Matrix {
  const char* name;
  std::int64_t rows, columns;
  float divisor;
  std::vector<float> values;
};

NamedFilter make(const Matrix& m) {
  std::vector<float> w = m.values;
  for (float& v : w) v /= m.divisor;
  return {m.name, from_vector(w, {m.rows, m.columns, 1})};
}

// The filters of the textbooks. Correlation: what stands left in the matrix is multiplied with what is left
// in the picture.
const std::map<std::string, std::vector<Matrix>>& matrices() {
  static const std::map<std::string, std::vector<Matrix>> all = {
      {"identity", {{"identity", 3, 3, 1, {0, 0, 0, 0, 1, 0, 0, 0, 0}}}},
      {"edges",
       {{"diagonal", 3, 3, 1, {1, 0, -1, 0, 0, 0, -1, 0, 1}},
        {"Laplace 4", 3, 3, 1, {0, 1, 0, 1, -4, 1, 0, 1, 0}},
        {"Laplace 8", 3, 3, 1, {-1, -1, -1, -1, 8, -1, -1, -1, -1}},
        {"Sobel x", 3, 3, 1, {-1, 0, 1, -2, 0, 2, -1, 0, 1}},
        {"Sobel y", 3, 3, 1, {-1, -2, -1, 0, 0, 0, 1, 2, 1}}}},
      {"sharpen",
       {{"sharpen", 3, 3, 1, {0, -1, 0, -1, 5, -1, 0, -1, 0}},
        {"unsharp mask", 5, 5, 256, {-1,  -4, -6, -4,  -1,  -4,  -16, -24, -16, -4, -6, -24, 476,
                                     -24, -6, -4, -16, -24, -16, -4,  -1,  -4,  -6, -4, -1}}}},
      {"blur",
       {{"box 3x3", 3, 3, 9, std::vector<float>(9, 1)},
        {"box 7x7", 7, 7, 49, std::vector<float>(49, 1)},
        {"Gauss 3x3", 3, 3, 16, {1, 2, 1, 2, 4, 2, 1, 2, 1}},
        {"Gauss 5x5", 5, 5, 256, {1,  4, 6, 4,  1,  4,  16, 24, 16, 4, 6, 24, 36,
                                  24, 6, 4, 16, 24, 16, 4,  1,  4,  6, 4, 1}}}},
      {"emboss",
       {{"emboss upper left", 3, 3, 1, {-2, -1, 0, -1, 1, 1, 0, 1, 2}},
        {"emboss top", 3, 3, 1, {-1, -2, -1, 0, 1, 0, 1, 2, 1}},
        {"emboss upper right", 3, 3, 1, {0, -1, -2, 1, 1, -1, 2, 1, 0}},
        {"emboss left", 3, 3, 1, {-1, 0, 1, -2, 1, 2, -1, 0, 1}}}}};
  return all;
}

// Gabor's filters: a wave under a bell, exp(-(u^2 + v^2 / 4) / (2 s^2)) cos(2 pi u / wavelength) with u
// across the wave, its mean taken off and its magnitudes brought to a sum of 2. By isobit's own functions:
// the same bits everywhere.
NamedFilter gabor(int degrees, double wavelength) {
  constexpr std::int64_t size = 15;
  constexpr double pi = 3.14159265358979323846;
  const Tensor axis = arange(size, -(size - 1) / 2.0);
  const double angle = degrees * pi / 180;
  const double c = cos(full({1}, angle, {DType::f64})).item(), s = sin(full({1}, angle, {DType::f64})).item();
  const Tensor x = axis.reshape({1, size}), y = axis.reshape({size, 1});
  const Tensor u = x * c + y * s, v = y * c - x * s;
  const double width = wavelength * 0.5;
  Tensor w = exp((square(u) + square(v) * 0.25) * (-0.5 / (width * width))) * cos(u * (2 * pi / wavelength));
  w = w - mean(w).item();
  w = w * (2 / sum(abs(w)).item());
  return {fmt::format("Gabor {} wave {:g}", degrees, wavelength), w.reshape({size, size, 1})};
}

float number(std::string_view token, const std::string& source, std::int64_t line) {
  const auto read = [&](std::string_view text) {
    float value = 0;
    if (!text.empty() && text.front() == '+') text.remove_prefix(1);
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || stop != text.data() + text.size() || !std::isfinite(value))
      fail("filters", "{}, line {}: '{}' is not a number", source, line, token.substr(0, 40));
    return value;
  };
  const std::size_t slash = token.find('/');
  if (slash == std::string_view::npos) return read(token);
  const float divisor = read(token.substr(slash + 1));
  if (divisor == 0) fail("filters", "{}, line {}: '{}' divides by zero", source, line, token.substr(0, 40));
  const float quotient = read(token.substr(0, slash)) / divisor;
  if (!std::isfinite(quotient))
    fail("filters", "{}, line {}: '{}' is too large", source, line, token.substr(0, 40));
  return quotient;
}

// Each filter of a tensor: a matrix [r, s], or the weights of a convolution [r, s, c, k] over 1 or 3
// channels.
void append(const std::string& name, const Tensor& tensor, std::vector<NamedFilter>& bank) {
  if (!is_floating(tensor.dtype()) || tensor.numel() == 0) return;
  const bool matrix = tensor.rank() == 2, filters = tensor.rank() == 4;
  if (!matrix && !(filters && (tensor.shape(2) == 1 || tensor.shape(2) == 3))) return;
  if (tensor.shape(0) > kMostRows || tensor.shape(1) > kMostRows) return;
  const Tensor w = tensor.to(DType::f32);
  if (matrix) {
    bank.push_back({name, w.reshape({w.shape(0), w.shape(1), 1})});
    return;
  }
  const Tensor by_filter = permute(w, {3, 0, 1, 2});
  for (std::int64_t k = 0; k < w.shape(3); ++k) {
    if (static_cast<std::int64_t>(bank.size()) > kMostFilters) return;  // the caller complains
    bank.push_back(
        {fmt::format("{} filter {}", name, k), by_filter.slice(k, k + 1).reshape(w.shape().without(3))});
  }
}

std::vector<NamedFilter> from_safetensors(const std::string& path) {
  std::vector<NamedFilter> bank;
  for (const auto& [name, tensor] : io::read_safetensors(path).tensors)
    if (name.rfind("optimizer.", 0) != 0) append(name, tensor, bank);
  if (bank.empty())
    fail("filters",
         "'{}' holds no filters: expected floating tensors [rows, columns] or [rows, columns, 1 or 3 "
         "channels, "
         "filters] of at most {} x {}",
         path, kMostRows, kMostRows);
  return bank;
}

std::string read_text(const std::string& path) {
  constexpr std::streamsize kMost = 1 << 20;
  std::ifstream file(path, std::ios::binary);
  std::string text(kMost + 1, '\0');
  file.read(text.data(), kMost + 1);
  if (file.bad() || (!file.eof() && file.fail()) || !file.is_open())
    fail("filters", "there is no bank '{}' and no file of that name can be read: choose {}, or a file", path,
         bank_names());
  if (file.gcount() > kMost)
    fail("filters", "'{}' has more than {} bytes: not a file of matrices", path, kMost);
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

std::vector<NamedFilter> load_one(const std::string& name) {
  std::vector<NamedFilter> bank;
  if (name == "gabor") {
    for (const double wavelength : {4.0, 8.0})
      for (const int degrees : {0, 45, 90, 135}) bank.push_back(gabor(degrees, wavelength));
    return bank;
  }
  if (const auto found = matrices().find(name); found != matrices().end()) {
    for (const Matrix& m : found->second) bank.push_back(make(m));
    return bank;
  }
  constexpr std::string_view kEnding = ".safetensors";
  if (name.size() > kEnding.size() &&
      name.compare(name.size() - kEnding.size(), kEnding.size(), kEnding) == 0)
    return from_safetensors(name);
  return parse_matrices(read_text(name), fmt::format("'{}'", name));
}

}  // namespace

std::string bank_names() {
  return "identity, edges, sharpen, blur, emboss, gabor";
}

std::vector<NamedFilter> parse_matrices(std::string_view text, const std::string& source) {
  std::vector<NamedFilter> bank;
  std::string name;
  std::vector<float> values;
  std::int64_t rows = 0, columns = 0, line_number = 0;
  const auto finish = [&] {
    if (rows == 0) return;
    if (static_cast<std::int64_t>(bank.size()) >= kMostFilters)
      fail("filters", "{}: more than {} matrices", source, kMostFilters);
    bank.push_back({name.empty() ? fmt::format("matrix {}", bank.size() + 1) : name,
                    from_vector(values, {rows, columns, 1})});
    name.clear();
    values.clear();
    rows = 0;
  };
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    ++line_number;
    for (char& c : line)
      if (c == ',' || c == ';' || c == '\t' || c == '\r' || c == '\v' || c == '\f') c = ' ';
    const std::size_t begin = line.find_first_not_of(' ');
    if (begin == std::string::npos || line[begin] == '#') {
      finish();
      if (begin == std::string::npos) continue;
      const std::size_t words = line.find_first_not_of("# ", begin);
      name = words == std::string::npos ? "" : line.substr(words, 80);
      continue;
    }
    std::int64_t count = 0;
    std::istringstream tokens(line);
    for (std::string token; tokens >> token; ++count) values.push_back(number(token, source, line_number));
    if (rows > 0 && count != columns)
      fail("filters", "{}, line {}: a row of {} numbers in a matrix of {} columns", source, line_number,
           count, columns);
    columns = count;
    if (++rows > kMostRows || columns > kMostRows)
      fail("filters", "{}, line {}: a matrix of more than {} rows or columns", source, line_number,
           kMostRows);
  }
  finish();
  if (bank.empty()) fail("filters", "{}: no matrix in it", source);
  return bank;
}

std::vector<NamedFilter> load_bank(const std::string& names) {
  std::vector<NamedFilter> bank;
  std::istringstream parts(names);
  for (std::string name; std::getline(parts, name, ',');)
    for (NamedFilter& filter : load_one(name)) bank.push_back(std::move(filter));
  if (bank.empty()) fail("filters", "no bank is named: choose {}, or a file", bank_names());
  if (static_cast<std::int64_t>(bank.size()) > kMostFilters)
    fail("filters", "{} filters, expected at most {}", bank.size(), kMostFilters);
  return bank;
}

}  // namespace isobit::cli
