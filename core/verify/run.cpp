// A whole run: options proven, problems counted, then run.
#include <isobit/error.h>

#include <algorithm>

#include "core/verify/families.h"

namespace isobit::verify {
namespace {

std::vector<Device> chosen_devices(const Options& options) {
  std::vector<Device> list = options.devices;
  if (list.empty())
    for (const DeviceInfo& info : devices()) list.push_back(info.device);
  for (std::size_t i = 0; i < list.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (list[i] == list[j]) fail("verify", "device {} is named twice", list[i]);
  return list;
}

}  // namespace

void add_everything(Suite& suite, std::span<const ConvShape> shapes) {
  add_movement(suite);
  add_elementwise(suite);
  add_reductions(suite);
  add_rows(suite);
  add_norms(suite);
  add_pools(suite);
  add_random(suite);
  add_optimizers(suite);
  add_matmul(suite);
  add_convolutions(suite, shapes);
  add_vanishing_products(suite);
  add_windows(suite, shapes);
}

Report run(const Options& options) {
  for (const std::string& kernel : options.kernels) backend(Device::cpu()).algorithms(kernel);  // throws
  Suite suite(options, chosen_devices(options));
  const std::vector<ConvShape> shapes =
      options.shapes.empty() ? builtin_conv_shapes() : read_conv_shapes(options.shapes);
  const auto go = [&] {
    if (options.shapes.empty())
      add_everything(suite, shapes);
    else
      add_convolutions(suite, shapes);
  };
  suite.only_count(true);
  go();
  suite.only_count(false);
  if (suite.counted() == 0)
    fail("verify", "nothing to do: no problem of a {} run has '{}' in its name",
         options.full ? "full" : "quick", options.only);
  go();
  return suite.take_report();
}

std::function<bool(const std::string&)> part_of(int part, int parts) {
  return [=](const std::string& name) {
    std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a, its high half folded in: the low bits alone are even
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return (hash ^ hash >> 32) % static_cast<std::uint64_t>(parts) + 1 == static_cast<std::uint64_t>(part);
  };
}

}  // namespace isobit::verify
