// The support matrix has no gap on the devices of every machine, and docs/support.md shows this very matrix.
#include <gtest/gtest.h>
#include <isobit/support.h>

#include <fstream>
#include <sstream>

#include "tests/support/paths.h"

namespace isobit::parity {
namespace {

TEST(Support, HasNoGapAndIsWrittenDown) {
  const verify::Support all = verify::support({Device::cpu(), Device::simt()});
  for (const verify::SupportCell& cell : all.cells)
    EXPECT_TRUE(cell.equal) << cell.op << " " << cell.mode << " " << cell.direction << " "
                            << name_of(cell.dtype) << " on " << cell.device << ": " << cell.why;
  EXPECT_TRUE(all.complete());
  EXPECT_GT(all.cells.size(), 1000u);

  std::ifstream file(test::tests_directory() + "/../docs/support.md");
  ASSERT_TRUE(file) << "docs/support.md is not there: scripts/support-table writes it";
  std::stringstream page;
  page << file.rdbuf();
  const std::string written = page.str();
  std::istringstream lines(verify::to_markdown(all));
  int rows = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("| ", 0) != 0) continue;
    if (line.rfind("| op |", 0) == 0) continue;
    ++rows;
    // The page may have further devices: its row goes on behind the cells of these.
    EXPECT_NE(written.find("\n" + line), std::string::npos)
        << "docs/support.md is not up to date (scripts/support-table): " << line;
  }
  EXPECT_GT(rows, 50);
  EXPECT_EQ(written.find("| **"), std::string::npos) << "docs/support.md has a gap";
}

}  // namespace
}  // namespace isobit::parity
