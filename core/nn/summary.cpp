// The table of a network: layer, output shape, parameters, multiply-adds.
#include <isobit/nn_module.h>

#include <array>
#include <map>
#include <unordered_set>

#include "core/nn/builder.h"

namespace isobit::nn {
namespace {

// 1234567 as "1,234,567".
std::string grouped(std::int64_t value) {
  std::string digits = std::to_string(value);
  for (std::ptrdiff_t at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), ",");
  return digits;
}

std::size_t columns_of(const std::string& utf8) {
  std::size_t count = 0;
  for (char c : utf8) count += (static_cast<unsigned char>(c) & 0xC0u) != 0x80u;
  return count;
}

constexpr std::size_t kColumns = 5;
using Line = std::array<std::string, kColumns>;

std::string extents(const Shape& shape) {
  std::string text;
  for (std::int64_t extent : shape) text += (text.empty() ? "" : " x ") + std::to_string(extent);
  return text.empty() ? "scalar" : text;
}

std::string rule(const std::array<std::size_t, kColumns>& width, const char* left, const char* middle,
                 const char* right) {
  std::string text = left;
  for (std::size_t c = 0; c < kColumns; ++c) {
    for (std::size_t i = 0; i < width[c] + 2; ++i) text += "─";
    text += c + 1 < kColumns ? middle : right;
  }
  return text + "\n";
}

/// The arithmetic by path of m and all below it, which is called in `around`.
using MathByPath = std::map<std::string, Math>;
void find_math(const Module& m, const std::string& path, Math around, MathByPath& found) {
  const Math math = Builder::math(m).value_or(around);
  found[path] = math;
  for (const Child& child : m.children())
    find_math(child.layer.module(), path.empty() ? child.name : path + "." + child.name, math, found);
}

}  // namespace

Summary Layer::summarize(const Shape& sample) const {
  Summary summary;
  summary.input = sample;
  MathByPath math;
  find_math(module(), "", current_math(), math);
  summary.math = math.at("");
  std::unordered_set<Module*> seen;
  module().walk("", sample, [&](Module& m, const std::string& path, const Shape&, const Plan& plan) {
    if (!m.children().empty() && plan.parameters.empty() && plan.buffers.empty() && plan.output.rank() == 0)
      return;  // a container: its parts have lines of their own
    SummaryRow row{path, m.describe(), plan.output, 0, 0, plan.multiply_adds, summary.math};
    if (const auto found = math.find(path); found != math.end()) row.math = found->second;
    Builder::for_each(m, [&](Module& part) {
      if (!seen.insert(&part).second) return;  // shared parameters count once
      if (&part == &m) {
        for (const ParameterSpec& spec : plan.parameters) row.parameters += spec.shape.numel();
        for (const ParameterSpec& spec : plan.buffers) row.buffers += spec.shape.numel();
      } else {
        for (const auto& [name, tensor] : Builder::parameters(part)) row.parameters += tensor.numel();
        for (const auto& [name, tensor] : Builder::buffers(part)) row.buffers += tensor.numel();
      }
    });
    summary.parameters += row.parameters;
    summary.buffers += row.buffers;
    summary.multiply_adds += row.multiply_adds;
    summary.rows.push_back(std::move(row));
  });
  return summary;
}

std::string Layer::summary() const {
  return summary(input_shape());
}

std::string Layer::summary(const Shape& sample) const {
  return summarize(sample).to_string();
}

std::string Summary::to_string() const {
  // Not of a ReLU: without products it says nothing.
  const auto own_math = [&](const SummaryRow& row) {
    return row.math == math || (row.multiply_adds == 0 && row.parameters == 0)
               ? std::string()
               : fmt::format(" in {}", name_of(row.math));
  };
  std::vector<Line> lines;
  lines.push_back({"path", "layer", "output", "parameters", "multiply-adds"});
  lines.push_back({"", "input", extents(input), "", ""});
  for (const SummaryRow& row : rows)
    lines.push_back({row.path, row.kind + own_math(row), extents(row.output),
                     row.parameters ? grouped(row.parameters) : "",
                     row.multiply_adds ? grouped(row.multiply_adds) : ""});
  lines.push_back({"", "total", "", grouped(parameters), grouped(multiply_adds)});
  std::array<std::size_t, kColumns> width{};
  for (const Line& line : lines)
    for (std::size_t c = 0; c < kColumns; ++c) width[c] = std::max(width[c], columns_of(line[c]));
  std::string text = rule(width, "┌", "┬", "┐");
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i == 1 || i + 1 == lines.size()) text += rule(width, "├", "┼", "┤");
    for (std::size_t c = 0; c < kColumns; ++c) {
      const std::string fill(width[c] - columns_of(lines[i][c]), ' ');
      text += "│ " + (c < 3 ? lines[i][c] + fill : fill + lines[i][c]) + " ";
    }
    text += "│\n";
  }
  text += rule(width, "└", "┴", "┘");
  if (buffers) text += fmt::format("and {} numbers in buffers (running statistics)\n", grouped(buffers));
  return text + fmt::format("arithmetic {}\n", describe(math));
}

}  // namespace isobit::nn
