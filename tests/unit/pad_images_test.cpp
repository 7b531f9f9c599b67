// The images of padded elements (core/numerics/pad_images.h) against the index map, tried on all coordinates.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "core/numerics/pad_images.h"

namespace isobit::numerics {
namespace {

template <class I>
void expect_inverse(PadMode mode, I extent, I before, I out) {
  const PadInterior<I> interior = pad_interior(mode, extent, before, out);
  ASSERT_LE(0, interior.begin);
  ASSERT_LE(interior.end, extent);
  for (I e = 0; e < extent; ++e) {
    std::vector<I> expected, images;
    for (I u = 0; u < out; ++u)
      if (pad_source(mode, u - before, extent) == e) expected.push_back(u);
    const PadImages<I> found = pad_images(mode, e, extent, before, out);
    int turn = 0;
    for (I u = found.first; u < found.end; u += found.gap[turn], turn ^= 1) images.push_back(u);
    ASSERT_EQ(images, expected) << "mode " << static_cast<int>(mode) << " element " << e << " of " << extent
                                << " before " << before << " out " << out;
    ASSERT_EQ(found.empty(), expected.empty());
    if (interior.begin <= e && e < interior.end) {
      ASSERT_EQ(expected, std::vector<I>{e + before})
          << "mode " << static_cast<int>(mode) << " element " << e << " of " << extent << " before " << before
          << " out " << out;
    }
  }
}

TEST(PadImages, AreTheInverseOfTheIndexMap) {
  for (int mode = 0; mode < kPadModes; ++mode)
    for (std::int64_t extent = 1; extent <= 7; ++extent)
      for (std::int64_t before = -extent; before <= 17; ++before)
        for (std::int64_t out = 0; out <= extent + 36; ++out) {
          expect_inverse<std::int64_t>(static_cast<PadMode>(mode), extent, before, out);
          expect_inverse<std::int32_t>(static_cast<PadMode>(mode), static_cast<std::int32_t>(extent),
                                       static_cast<std::int32_t>(before), static_cast<std::int32_t>(out));
        }
}

TEST(PadImages, InteriorsAreAsWideAsTheyCanBe) {
  const auto width = [](PadMode mode, std::int64_t before, std::int64_t after) {
    const PadInterior<std::int64_t> i = pad_interior<std::int64_t>(mode, 100, before, before + 100 + after);
    return i.end - i.begin;
  };
  EXPECT_EQ(width(PadMode::constant, 3, 4), 100);
  EXPECT_EQ(width(PadMode::reflect, 3, 4), 100 - 4 - 5);
  EXPECT_EQ(width(PadMode::symmetric, 3, 4), 100 - 3 - 4);
  EXPECT_EQ(width(PadMode::replicate, 3, 4), 98);
  EXPECT_EQ(width(PadMode::circular, 3, 4), 100 - 3 - 4);
  EXPECT_EQ(width(PadMode::reflect, -3, 4), 100 - 3 - 5);
  EXPECT_EQ(width(PadMode::circular, 3, -4), 100 - 4);
}

}  // namespace
}  // namespace isobit::numerics
