// Taps in the border are left out where the filter is finite (cpu/kernels/conv_pass.cpp), which is looked at
// as the filter is packed: by every task, or once for all. One infinity anywhere, and the taps take part.
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

#include "cpu/kernels/conv_backward_input.h"
#include "cpu/kernels/conv_forward.h"
#include "cpu/reference/reference.h"
#include "tests/support/buffers.h"
#include "tests/support/compare.h"
#include "tests/support/shapes.h"

namespace isobit::test {
namespace {

// A filter of small numbers with an infinity at `place`; none there: all finite.
void fill_filter(FencedBuffer& w, std::int64_t place) {
  float* const values = w.view().as<float>();
  for (std::int64_t i = 0; i < w.view().numel; ++i) values[i] = static_cast<float>(i * 7 % 31 - 15) / 8;
  if (place >= 0) values[place] = std::numeric_limits<float>::infinity();
}

TEST(ConvBorderTaps, OneInfinityInTheFilterShows) {
  // Packed by tasks; packed once, groups among them; a last panel that is partial; several blocks of terms.
  for (const char* shape : {"mb1ic64ih7oc64kh3ph1", "mb40ic48ih7oc40kh3ph1", "mb12g2ic64ih7oc64kh3ph1",
                            "mb1ic32ih14oc300kh3ph1", "mb2ic16ih9oc32kh5ph2"}) {
    const ConvGeometry g = parse_conv_shape(shape).geometry;
    FencedBuffer x(DType::f32, g.x_size()), w(DType::f32, g.w_size()), dy(DType::f32, g.y_size());
    for (FencedBuffer* buffer : {&x, &dy}) {
      float* const values = buffer->view().as<float>();
      for (std::int64_t i = 0; i < buffer->view().numel; ++i)
        values[i] = static_cast<float>(i * 5 % 23 - 11) / 4;
    }
    for (const std::int64_t place : {std::int64_t{-1}, std::int64_t{0}, g.w_size() / 2 + 3, g.w_size() - 1}) {
      fill_filter(w, place);
      FencedBuffer y(DType::f32, g.y_size()), expected_y(DType::f32, g.y_size());
      cpu::reference::conv_forward(g, x.read(), w.read(), {}, expected_y.view());
      cpu::kernels::conv_forward_implicit_gemm(g, x.read(), w.read(), {}, y.view());
      EXPECT_TRUE(equal_bits(expected_y.read(), y.read())) << shape << ", infinity at " << place;
      FencedBuffer dx(DType::f32, g.x_size()), expected_dx(DType::f32, g.x_size());
      cpu::reference::conv_backward_input(g, dy.read(), w.read(), expected_dx.view());
      cpu::kernels::conv_backward_input_implicit_gemm(g, dy.read(), w.read(), dx.view());
      EXPECT_TRUE(equal_bits(expected_dx.read(), dx.read())) << shape << ", infinity at " << place;
    }
  }
}

}  // namespace
}  // namespace isobit::test
