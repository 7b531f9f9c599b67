// Tasks of a pass: all rows of all planes, each once, and shares that end at the same time.
#include <gtest/gtest.h>

#include <utility>

#include "cpu/kernels/conv_pass_split.h"

namespace isobit::cpu::gemm {
namespace {

TEST(ConvPassSplit, UnitsCoverAllRowsAndNoneIsEmpty) {
  for (const std::int64_t threads : {1, 2, 3, 8, 64, 1024})
    for (const std::int64_t planes : {1, 2, 3, 17})
      for (const std::int64_t rows : {1, 2, 7, 14, 28, 29, 224})
        for (const std::int64_t parts : {1, 3, 8})
          for (const std::int64_t least : {1, 5, 60})
            for (const std::int64_t most : {0, 1, 12, 1000}) {
              const PassSplit s = split_pass({planes, rows, 10, parts, 10}, least, most, threads);
              ASSERT_TRUE(s.row_units == 1 || s.plane_units == planes);
              ASSERT_TRUE(1 <= s.parts && s.parts <= parts);
              ASSERT_TRUE(threads > 1 || s.parts == 1);
              std::int64_t next = 0;  // rows of all planes
              for (std::int64_t i = 0; i < s.units(); ++i) {
                const Unit u = s.unit(i);
                ASSERT_EQ(u.plane * rows + u.row, next);
                ASSERT_TRUE(u.planes == 1 || u.rows == rows);
                ASSERT_TRUE(1 <= u.planes && u.planes <= s.unit_planes());
                ASSERT_TRUE(1 <= u.rows && u.rows <= s.unit_rows());
                ASSERT_TRUE(u.rows == rows || u.rows <= std::max(least, most));
                next += u.planes * u.rows;
              }
              ASSERT_EQ(next, planes * rows);
            }
}

using Shares = std::pair<std::int64_t, std::int64_t>;  // rows of a unit, tasks

TEST(ConvPassSplit, ThreadsEndTogether) {
  const auto units = [](std::int64_t rows, std::int64_t parts, std::int64_t threads) {
    const PassSplit s = split_pass({1, rows, rows, parts, 10}, (59 + rows) / rows, 1000, threads);
    return Shares(s.unit_rows(), s.units() * s.parts);
  };
  EXPECT_EQ(units(28, 4, 2), Shares(7, 4)) << "not seven of four rows";
  EXPECT_EQ(units(14, 1, 2), Shares(7, 2)) << "not three";
  EXPECT_EQ(units(56, 4, 2), Shares(7, 8));
  EXPECT_EQ(units(7, 16, 2), Shares(7, 4)) << "parts of the filters";
  EXPECT_EQ(split_pass({10, 7, 7, 1, 10}, 9, 1000, 2).units() % 2, 0) << "not five of two planes";
  EXPECT_EQ(split_pass({1, 28, 28, 1, 10}, 3, 6, 2).units(), 6)
      << "5, 4, 5, 5, 4 and 5 rows, not seven of four";
  EXPECT_EQ(units(30, 2, 3), Shares(5, 6)) << "not ten of three rows";
}

}  // namespace
}  // namespace isobit::cpu::gemm
