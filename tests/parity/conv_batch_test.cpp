// What the orders of summation promise about batches: a sample's results do not depend on its neighbours, and
// dw of a batch is the binary tree over dw of its power-of-two parts.
#include <gtest/gtest.h>

#include <cstring>

#include "core/verify/families.h"
#include "tests/support/buffers.h"
#include "tests/support/compare.h"
#include "tests/support/shapes.h"
#include "tests/support/values.h"

namespace isobit::test {
namespace {

// Elements [first, first + count) of a view.
ConstView part(ConstView v, std::int64_t first, std::int64_t count) {
  return {static_cast<const char*>(v.data) + first * size_of(v.dtype), v.dtype, count};
}
View part(View v, std::int64_t first, std::int64_t count) {
  return {static_cast<char*>(v.data) + first * size_of(v.dtype), v.dtype, count};
}

const char* const kShapes[] = {
    "mb64ic3ih6oc20kh3ph1n\"same\"",         "mb64ic17ih1oc10kh1n\"linear\"",
    "mb64ic4ih9oc18kh3sh2ph1n\"strided\"",   "mb64g2ic6ih4oc8kh2n\"one_group_each\"",
    "mb64ic2ih3oc33kh3ph1n\"small_leaves\"",
};

TEST(ConvBatch, SamplesDoNotDependOnTheirNeighbours) {
  Backend& cpu = backend(Device::cpu());
  for (const char* line : kShapes)
    for (const DType dtype : verify::kFloating) {
      const ConvGeometry g = parse_conv_shape(line).geometry;
      ConvGeometry one = g;
      one.n = 1;
      FencedBuffer x(dtype, g.x_size()), w(dtype, g.w_size()), dy(dtype, g.y_size());
      fill_hard(x.view(), 1);
      fill_hard(w.view(), 2);
      fill_hard(dy.view(), 3);
      FencedBuffer y(dtype, g.y_size()), dx(dtype, g.x_size()), y_of_one(dtype, g.y_size()),
          dx_of_one(dtype, g.x_size());
      cpu.conv_forward(g, x.read(), w.read(), {}, y.view());
      cpu.conv_backward_input(g, dy.read(), w.read(), dx.view());
      for (std::int64_t n = 0; n < g.n; ++n) {
        const std::int64_t xs = one.x_size(), ys = one.y_size();
        cpu.conv_forward(one, part(x.read(), n * xs, xs), w.read(), {}, part(y_of_one.view(), n * ys, ys));
        cpu.conv_backward_input(one, part(dy.read(), n * ys, ys), w.read(),
                                part(dx_of_one.view(), n * xs, xs));
      }
      EXPECT_TRUE(equal_bits(y.read(), y_of_one.read())) << line << " " << name_of(dtype);
      EXPECT_TRUE(equal_bits(dx.read(), dx_of_one.read())) << line << " " << name_of(dtype);
    }
}

// dw of samples [first, first + count).
template <class T>
std::vector<T> filter_gradient(ConvGeometry g, ConstView x, ConstView dy, std::int64_t first,
                               std::int64_t count) {
  g.n = count;
  const std::int64_t xs = g.x_size() / count, ys = g.y_size() / count;
  std::vector<T> dw(static_cast<std::size_t>(g.w_size()));
  backend(Device::cpu())
      .conv_backward_filter(g, part(x, first * xs, count * xs), part(dy, first * ys, count * ys),
                            {dw.data(), dtype_of<T>, g.w_size()});
  return dw;
}

// The parts' sums joined pair by pair; the last of an odd number is passed on.
template <class T>
std::vector<T> join(std::vector<std::vector<T>> parts) {
  while (parts.size() > 1) {
    std::vector<std::vector<T>> joined;
    for (std::size_t i = 0; i < parts.size(); i += 2) {
      joined.push_back(parts[i]);
      if (i + 1 == parts.size()) break;
      for (std::size_t j = 0; j < joined.back().size(); ++j)
        joined.back()[j] = joined.back()[j] + parts[i + 1][j];
    }
    parts = std::move(joined);
  }
  return parts.front();
}

template <class T>
void check_parts(std::int64_t samples, std::int64_t step) {
  for (const char* line : kShapes) {
    ConvGeometry g = parse_conv_shape(line).geometry;
    g.n = samples;
    FencedBuffer x(dtype_of<T>, g.x_size()), dy(dtype_of<T>, g.y_size());
    fill_hard(x.view(), 4);
    fill_hard(dy.view(), 5);
    std::vector<std::vector<T>> parts;
    for (std::int64_t n = 0; n < samples; n += step)
      parts.push_back(filter_gradient<T>(g, x.read(), dy.read(), n, std::min(step, samples - n)));
    const std::vector<T> whole = filter_gradient<T>(g, x.read(), dy.read(), 0, samples), sum = join(parts);
    const std::int64_t size = g.w_size();
    EXPECT_TRUE(equal_bits({sum.data(), dtype_of<T>, size}, {whole.data(), dtype_of<T>, size}))
        << line << ", " << samples << " samples in parts of " << step;
  }
}

TEST(ConvBatch, JoinedPartsGiveTheFilterGradientOfTheWhole) {
  for (const std::int64_t step : {16, 32, 64}) {
    check_parts<float>(64, step);
    check_parts<double>(64, step);
    check_parts<float>(53, step);
    check_parts<float>(100, step);
  }
}

}  // namespace
}  // namespace isobit::test
