// Kernels that measure what a device can do: what they give and what they leave alone; no rate is asserted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <isobit/device_limits.h>
#include <isobit/error.h>
#include <isobit/ops.h>

#include <string>
#include <vector>

namespace isobit {
namespace {

using ::testing::HasSubstr;

template <class Body>
std::string error_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(DeviceLimits, TheCpuHasNone) {
  EXPECT_EQ(device_cache_bytes(Device::cpu()), 0);
  EXPECT_FALSE(is_emulated(Device::cpu()));
  EXPECT_THAT(error_of([] { measure_limits(Device::cpu(), 1, 1); }),
              HasSubstr("cpu has no kernels that measure what it can do"));
  EXPECT_THAT(error_of([] { flush_cache(Device::cpu()); }), HasSubstr("flush_cache"));
}

// Every run holds what the device wrote against what it must be, so that this is a test of the kernels too.
TEST(DeviceLimits, MeasuresUnitsAndStreams) {
  int measured = 0;
  for (const DeviceInfo& info : devices()) {
    if (device_cache_bytes(info.device) == 0) continue;
    ++measured;
    const DeviceLimits nothing = measure_limits(info.device, 0, 0);
    EXPECT_TRUE(nothing.units.empty());
    EXPECT_EQ(nothing.stream_gbs, 0);
    const DeviceLimits limits = measure_limits(info.device, 2, 2);
    ASSERT_GE(limits.units.size(), 3u) << info.name;
    EXPECT_EQ(limits.units[0].name, "f32");
    EXPECT_EQ(limits.units[1].name, "f64");
    for (const DeviceLimits::Unit& unit : limits.units) EXPECT_GT(unit.gflops, 0) << unit.name;
    EXPECT_GT(limits.stream_gbs, 0);
    EXPECT_GT(limits.update_gbs, 0);
    EXPECT_EQ(is_emulated(info.device), info.name == "simt");
  }
  if (measured == 0) GTEST_SKIP() << "no device of this build has kernels that measure";
}

TEST(DeviceLimits, AFlushLeavesTensorsAlone) {
  int flushed = 0;
  for (const DeviceInfo& info : devices()) {
    if (device_cache_bytes(info.device) == 0) continue;
    ++flushed;
    const Tensor here = arange(1000), there = here.to(info.device);
    const std::int64_t before = memory_stats(info.device).current;
    flush_cache(info.device);
    EXPECT_TRUE(equal_bits(there.to(Device::cpu()), here)) << info.name;
    EXPECT_EQ(memory_stats(info.device).current, before) << info.name;
  }
  if (flushed == 0) GTEST_SKIP() << "no device of this build has a cache of its own";
}

}  // namespace
}  // namespace isobit
