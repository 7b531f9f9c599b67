// What the parity tests share: a report of core/verify as an assertion.
#pragma once
#include <gtest/gtest.h>
#include <hwy/base.h>
#include <isobit/verify.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "core/backend.h"
#include "cpu/runtime/poison.h"
#include "tests/support/forwarding.h"

namespace isobit::parity {

inline bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value == '1';
}

inline bool is_long() {
  return is_set("ISOBIT_LONG");
}
inline bool every_problem() {
  return is_long() || is_set("ISOBIT_EVERY_PROBLEM");
}

/// For verify's Options::choose. Under a sanitizer all problems take an hour: there a third of them, unless
/// ISOBIT_EVERY_PROBLEM=1.
inline std::function<bool(const std::string&)> chosen_problems() {
  constexpr bool kSanitized = cpu::kPoisons || HWY_IS_TSAN;
  if (!kSanitized || every_problem()) return {};
  return verify::part_of(1, 3);
}

/// All registered devices but the CPU, and but those that a test of this program made to err.
inline std::vector<Device> other_devices() {
  std::vector<Device> list;
  for (const DeviceInfo& info : devices())
    if (!(info.device == Device::cpu()) &&
        dynamic_cast<const test::Forwarding*>(&backend(info.device)) == nullptr)
      list.push_back(info.device);
  return list;
}

/// All equal, on every device something, every problem served by something that is not the definition.
inline void expect_equal(const verify::Report& report) {
  for (const verify::Difference& d : report.differences) ADD_FAILURE() << d.to_string();
  EXPECT_EQ(report.different, 0);
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.unserved, 0);
  for (const verify::Tally& t : report.tallies)
    std::printf("%s %s by %s: %lld equal\n", t.device.c_str(), t.kernel.c_str(), t.algorithm.c_str(),
                static_cast<long long>(t.equal));
}

/// Each algorithm of `kernel` served something.
inline void expect_all_served(const verify::Report& report, Device device, const std::string& kernel) {
  for (const std::string& algorithm : backend(device).algorithms(kernel)) {
    if (device == Device::cpu() && algorithm == "reference") continue;
    const bool served =
        std::any_of(report.tallies.begin(), report.tallies.end(), [&](const verify::Tally& t) {
          return t.device == device.name() && t.kernel == kernel && t.algorithm == algorithm && t.equal > 0;
        });
    EXPECT_TRUE(served) << kernel << " by " << algorithm << " on " << device.name() << " served nothing";
  }
}

}  // namespace isobit::parity
