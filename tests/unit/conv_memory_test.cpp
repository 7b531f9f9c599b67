// What a convolution takes while it runs: its result, and a workspace of at most 32 MiB or twice the filter,
// in every direction, with every padding mode, on every device that is here.
#include <gtest/gtest.h>
#include <isobit/device.h>
#include <isobit/ops.h>

#include <algorithm>
#include <functional>

namespace isobit {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

/// Bytes beyond what was there that `run` took at its peak, its result not counted.
std::int64_t workspace_of(Device device, const std::function<Tensor()>& run) {
  set_threads(1);  // the other threads end, and with them what they keep from call to call
  set_threads(2);
  empty_cache(device);
  reset_peak_memory(device);
  const MemoryStats before = memory_stats(device);
  const Tensor result = run();
  synchronize(device);
  const MemoryStats after = memory_stats(device);
  return after.peak - before.current - result.bytes() + after.working_peak - before.working;
}

struct Problem {
  const char* name;
  Shape x, w;
  ConvOptions options;
};

std::vector<Problem> problems(Device device) {
  std::vector<Problem> all;
  const bool emulated = device != Device::cpu();
  for (const PadMode mode :
       {PadMode::constant, PadMode::reflect, PadMode::symmetric, PadMode::replicate, PadMode::circular}) {
    ConvOptions same;
    same.padding = Same;
    same.mode = mode;
    ConvOptions strided = same;
    strided.stride = 2;
    strided.padding = 3;
    ConvOptions depthwise = same;
    depthwise.groups = 32;
    if (emulated) {
      all.push_back({"small", {3, 20, 20, 8}, {3, 3, 8, 8}, same});
      continue;
    }
    all.push_back({"batch", {16, 64, 64, 32}, {3, 3, 32, 16}, same});
    all.push_back({"one large sample", {1, 1200, 1000, 8}, {3, 3, 8, 4}, same});
    all.push_back({"stem", {4, 224, 224, 3}, {7, 7, 3, 16}, strided});
    all.push_back({"large filter", {2, 7, 7, 512}, {3, 3, 512, 512}, same});
    all.push_back({"depthwise", {4, 112, 112, 32}, {3, 3, 1, 32}, depthwise});
    all.push_back({"volume", {1, 40, 96, 96, 8}, {3, 3, 3, 8, 4}, same});
  }
  return all;
}

TEST(ConvMemory, WorkspaceIsBounded) {
  const int threads_before = threads();
  std::int64_t most_seen = 0;
  for (const DeviceInfo& info : devices()) {
    const Device device = Device::parse(info.name);
    for (const Problem& p : problems(device)) {
      const Tensor x = random_normal(p.x, {1, 1}).to(device), w = random_normal(p.w, {1, 2}).to(device);
      const Tensor y = conv(x, w, {}, p.options);
      const std::int64_t most = std::max(32 * kMiB, 2 * w.bytes());
      const std::pair<const char*, std::function<Tensor()>> runs[] = {
          {"forward", [&] { return conv(x, w, {}, p.options); }},
          {"backward input", [&] { return conv_backward_input(y, w, p.x, p.options); }},
          {"backward filter", [&] { return conv_backward_filter(x, y, p.w, p.options); }}};
      for (const auto& [direction, run] : runs) {
        const std::int64_t bytes = workspace_of(device, run);
        EXPECT_LE(bytes, most) << info.name << " " << p.name << " " << name_of(p.options.mode.value[0]) << " "
                               << direction;
        EXPECT_GE(bytes, 0) << "more was given back than taken";
        most_seen = std::max(most_seen, bytes);
      }
    }
  }
  EXPECT_GT(most_seen, kMiB) << "nothing was counted";
  set_threads(threads_before);
}

}  // namespace
}  // namespace isobit
