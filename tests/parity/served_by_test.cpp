// Every line of the shape files, in every direction, goes through the vectorised kernels of the CPU and the
// tiled ones of the GPU: what serves it when nothing is forced is counted, and the plain loops may serve
// none. The one exception is said here: numbers that the GPU's index maps have no room for.
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <map>

#include "core/trace.h"
#include "core/verify/device_array.h"
#include "core/verify/families.h"
#include "core/verify/shapes.h"

namespace isobit::parity {
namespace {

using verify::ConvShape;
using verify::HostArray;

/// The loops that are kept beside the kernels, by the names of their algorithms.
constexpr const char* kPlain[] = {"reference", "direct"};

/// What the index maps (30 bits) do not hold: such problems are the direct kernel's.
bool beyond_tiles(const ConvGeometry& g) {
  constexpr std::int64_t kMost = (std::int64_t{1} << 30) - 1;
  for (const AxisGeometry& a : g.axis) {
    std::int64_t reach = 0, rows = 0;
    for (const std::int64_t n : {a.in, a.out, a.filter, a.stride, a.dilation, a.pad_before, a.pad_after})
      if (n > kMost || n < -kMost) return true;
    if (__builtin_mul_overflow(a.dilation, a.filter, &reach) ||
        __builtin_mul_overflow(a.out, a.stride, &rows) || reach > kMost || rows > kMost ||
        reach + rows > kMost)
      return true;
  }
  return false;
}

struct Direction {
  const char* kernel;
  std::function<void(Backend&, const ConvGeometry&, ConstView x, ConstView w, ConstView y, View out)> run;
  std::function<std::int64_t(const ConvGeometry&)> size;
};

const std::array<Direction, 3>& directions() {
  static const std::array<Direction, 3> all{
      Direction{"conv_forward",
                [](Backend& b, const ConvGeometry& g, ConstView x, ConstView w, ConstView, View out) {
                  b.conv_forward(g, x, w, {}, out);
                },
                [](const ConvGeometry& g) { return g.y_size(); }},
      Direction{"conv_backward_input",
                [](Backend& b, const ConvGeometry& g, ConstView, ConstView w, ConstView y, View out) {
                  b.conv_backward_input(g, y, w, out);
                },
                [](const ConvGeometry& g) { return g.x_size(); }},
      Direction{"conv_backward_filter",
                [](Backend& b, const ConvGeometry& g, ConstView x, ConstView, ConstView y, View out) {
                  b.conv_backward_filter(g, x, y, out);
                },
                [](const ConvGeometry& g) { return g.w_size(); }}};
  return all;
}

class ServedBy : public ::testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(Types, ServedBy, ::testing::Values(DType::f32, DType::f64, DType::f16, DType::bf16),
                         [](const auto& type) { return std::string(name_of(type.param)); });

TEST_P(ServedBy, NothingPlain) {
  const DType dtype = GetParam();
  const std::vector<ConvShape> shapes = verify::builtin_conv_shapes();
  ASSERT_GE(shapes.size(), 400u);
  for (const Device device : {Device::cpu(), Device::simt()}) {
    Backend& b = backend(device);
    const bool emulated = device != Device::cpu();
    std::map<std::string, int> served;
    int looked = 0;
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      const ConvGeometry& g = shapes[i].geometry;
      // An emulated kernel is slow: the choice does not look at the values, and the types other than f32
      // share the lines.
      const double work = static_cast<double>(g.y_size()) * static_cast<double>(g.terms());
      if (emulated && (work > 3e6 || (dtype != DType::f32 && i % 4 != static_cast<std::size_t>(dtype) % 4)))
        continue;
      const auto on_device = [&](std::int64_t numel) {
        return verify::DeviceArray(b, HostArray(dtype, numel), 0, verify::DeviceArray::Kind::input);
      };
      const verify::DeviceArray x = on_device(g.x_size()), w = on_device(g.w_size()),
                                y = on_device(g.y_size());
      for (const Direction& direction : directions()) {
        const verify::DeviceArray out = on_device(direction.size(g));
        const TraceCapture capture;
        direction.run(b, g, x.view(), w.view(), y.view(), out.view());
        for (const auto& [what, count] : capture.counts()) {
          if (what.first != direction.kernel) continue;
          served[what.first + " " + what.second] += static_cast<int>(count);
          for (const char* plain : kPlain)
            EXPECT_TRUE(what.second != plain || (emulated && beyond_tiles(g)))
                << device.name() << ": " << direction.kernel << " of " << shapes[i].place << " "
                << g.to_string() << " is served by " << plain;
        }
        ++looked;
      }
    }
    EXPECT_GE(looked, emulated ? 200 : 1200) << device.name();
    for (const auto& [what, count] : served)
      std::printf("%s: %s %d\n", device.name().c_str(), what.c_str(), count);
  }
}

}  // namespace
}  // namespace isobit::parity
