// Tensors of more than 2^31 elements on the CPU: offsets that 32 bits would cut. Long tests; they want 16 GB.
#include <gtest/gtest.h>
#include <isobit/device.h>
#include <isobit/ops.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "tests/parity/report.h"

namespace isobit {
namespace {

constexpr std::int64_t kMany = (std::int64_t{1} << 31) + 1000;

class Large : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!parity::is_long()) GTEST_SKIP() << "long: set ISOBIT_LONG=1";
    const double bytes =
        static_cast<double>(sysconf(_SC_AVPHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
    if (bytes < 15e9) GTEST_SKIP() << "15 GB of free memory are wanted, there are " << bytes / 1e9;
  }
  void TearDown() override { empty_cache(); }
};

template <class T>
T element(const Tensor& t, std::int64_t i) {
  return static_cast<const T*>(t.raw())[i];
}

TEST_F(Large, BytesMoveAndCompare) {
  const std::int64_t first = kMany - 300;
  const TensorOptions bytes{.dtype = DType::u8};
  const Tensor parts[] = {full(Shape{first}, 1.0, bytes), full(Shape{300}, 2.0, bytes)};
  const Tensor x = concat(parts);
  ASSERT_EQ(x.numel(), kMany);
  EXPECT_EQ(element<std::uint8_t>(x, first - 1), 1);
  EXPECT_EQ(element<std::uint8_t>(x, first), 2);
  EXPECT_EQ(argmax(x).item(), static_cast<double>(first));
  {
    const Tensor reversed = flip(x, {0});
    EXPECT_EQ(element<std::uint8_t>(reversed, 299), 2);
    EXPECT_EQ(element<std::uint8_t>(reversed, 300), 1);
    EXPECT_EQ(element<std::uint8_t>(reversed, kMany - 1), 1);
  }
  const Tensor padded = pad(x, {{3, 5}}, PadMode::circular);
  EXPECT_EQ(element<std::uint8_t>(padded, 0), 2);
  EXPECT_EQ(element<std::uint8_t>(padded, 3), 1);
  EXPECT_EQ(element<std::uint8_t>(padded, kMany + 2), 2);
  EXPECT_EQ(element<std::uint8_t>(padded, kMany + 3), 1);
}

TEST_F(Large, ConvolutionAndPooling) {
  const std::int64_t rows = 46342, columns = 46344;  // 2^31 elements and some
  ASSERT_GT(rows * columns, std::int64_t{1} << 31);
  const Tensor x =
      pad(ones({1, 1, 1, 1}, {.dtype = DType::bf16}), {{0, 0}, {rows - 1, 0}, {columns - 1, 0}, {0, 0}});
  const Tensor w = arange(9, 1, 1, {.dtype = DType::bf16}).reshape({3, 3, 1, 1});
  const std::int64_t last = rows * columns - 1;
  const auto at = [](const Tensor& t, std::int64_t i) {
    return t.reshape({t.numel()}).slice(i, i + 1).to(DType::f64).item();
  };
  for (const PadMode mode : {PadMode::constant, PadMode::circular}) {
    ConvOptions o;
    o.padding = Same;
    o.mode = mode;
    const Tensor y = conv(x, w, {}, o);
    EXPECT_EQ(at(y, last), 5);
    EXPECT_EQ(at(y, last - 1), 6);
    EXPECT_EQ(at(y, last - columns - 1), 9);
    EXPECT_EQ(at(y, last - columns - 2), 0);
    EXPECT_EQ(at(y, 0), mode == PadMode::circular ? 1 : 0);
    EXPECT_EQ(at(y, last - columns + 1), mode == PadMode::circular ? 4 : 0);
  }
  ConvOptions o;
  o.padding = Same;
  const Tensor dw = conv_backward_filter(x, x, w.shape(), o);
  for (std::int64_t i = 0; i < 9; ++i) EXPECT_EQ(at(dw, i), i == 4 ? 1 : 0);
  const Tensor dx = conv_backward_input(x, w, x.shape(), o);
  EXPECT_EQ(at(dx, last), 5);
  EXPECT_EQ(at(dx, last - columns - 1), 1);
  EXPECT_EQ(at(max_pool(x, 2), rows / 2 * (columns / 2) - 1), 1);
}

}  // namespace
}  // namespace isobit
