// Ops that move elements: pad, flip.
#include "tests/differential/case.h"

namespace isobit::differential {
namespace {

Tensor run_pad(const Case& c) {
  const auto widths = c.sides("pads");
  const auto modes = c.modes();
  return pad(c.tensor("x"), std::span(widths), std::span(modes), c.number("value"));
}

Tensor run_flip(const Case& c) {
  const auto axes = c.options.at("axes").get<std::vector<int>>();
  return flip(c.tensor("x"), std::span(axes));
}

}  // namespace

void add_movements(Functions& table) {
  table["pad"] = run_pad;
  table["flip"] = run_flip;
}

}  // namespace isobit::differential
