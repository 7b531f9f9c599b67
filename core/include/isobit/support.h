// What there is: every op of the convolution family, in every padding mode, type and direction, executed on
// every device and held against the definition, bit for bit. docs/support.md is written from it.
#pragma once
#include <isobit/device.h>
#include <isobit/dtype.h>

#include <functional>
#include <string>
#include <vector>

namespace isobit::verify {

struct SupportCell {
  std::string op;         ///< "conv 2-D"
  std::string mode;       ///< of padding or of the op: "reflect"; empty where it has none
  std::string direction;  ///< "forward", "gradient" (of all inputs), "second" (the gradient of that gradient)
  DType dtype = DType::f32;
  std::string device;
  bool equal = false;
  std::string why;  ///< if not equal: the error, or which result differs
};

struct Support {
  std::vector<std::string> devices;
  std::vector<SupportCell> cells;
  /// Whether every cell is equal.
  bool complete() const;
};

/// Executes all of it on `devices` (all there are if empty). The judge is the CPU with every kernel's
/// algorithm "reference", which this call therefore forces for its duration: nothing else should use the CPU
/// meanwhile. `progress` is told how many cells of how many are done.
Support support(const std::vector<Device>& devices,
                const std::function<void(std::size_t done, std::size_t all)>& progress = {});

/// A page with one row for each op and mode, one column for each device and direction.
std::string to_markdown(const Support& support);

}  // namespace isobit::verify
