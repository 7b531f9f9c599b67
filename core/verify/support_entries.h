// What the support matrix executes.
#pragma once
#include <isobit/ops.h>

#include <functional>
#include <string>
#include <vector>

namespace isobit::verify {

/// An op on inputs of some shapes, all of them differentiable.
struct SupportEntry {
  std::string op, mode;
  std::vector<Shape> inputs;
  std::function<Tensor(const std::vector<Tensor>&)> run;
};

std::vector<SupportEntry> support_entries();

}  // namespace isobit::verify
