// The seeds of the fuzz targets, whole, cut at every byte, and with thousands of small changes, through the
// readers of every build: each ends in a value or in an isobit::Error. (Anything else throws out of the test
// or aborts.)
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "tests/fuzz/matrix_target.h"
#include "tests/support/files.h"
#include "tests/support/paths.h"

namespace isobit {
namespace {

using test::Bytes;
namespace fs = std::filesystem;

class Replay : public testing::TestWithParam<fuzz::Target> {
 protected:
  std::vector<Bytes> seeds() const {
    std::vector<fs::path> paths;
    for (const auto& entry :
         fs::directory_iterator(test::tests_directory() + "/fuzz/corpus/" + GetParam().name))
      paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    std::vector<Bytes> all;
    for (const fs::path& path : paths) all.push_back(test::read_bytes(path.string()));
    return all;
  }
  // From a heap block of exactly that size, so that a sanitizer sees a read past the end.
  void run(const Bytes& bytes) const {
    const Bytes copy(bytes.begin(), bytes.end());
    GetParam().run(copy);
  }
};

TEST_P(Replay, WholeSeeds) {
  const auto all = seeds();
  EXPECT_GE(all.size(), 3u);
  for (const Bytes& bytes : all) EXPECT_NO_THROW(run(bytes));
}

TEST_P(Replay, EveryTruncation) {
  for (const Bytes& bytes : seeds())
    for (std::size_t n = 0; n < bytes.size(); ++n)
      ASSERT_NO_THROW(run(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n)))) << n;
}

TEST_P(Replay, SmallChanges) {
  constexpr std::uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff, '"', '[', '{', '9'};
  for (const Bytes& bytes : seeds()) {
    // Every byte of a small file, a share of a large one's.
    const std::size_t stride = std::max<std::size_t>(1, bytes.size() / 1000);
    for (std::size_t i = 0; i < bytes.size(); i += stride) {
      Bytes changed = bytes;
      for (int bit = 0; bit < 8; ++bit) {
        changed[i] = static_cast<std::uint8_t>(bytes[i] ^ (1 << bit));
        ASSERT_NO_THROW(run(changed)) << i << " bit " << bit;
      }
      changed[i] = values[i % std::size(values)];
      ASSERT_NO_THROW(run(changed)) << i;
      changed = bytes;
      changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(i));
      ASSERT_NO_THROW(run(changed)) << i << " left out";
      changed.insert(changed.begin() + static_cast<std::ptrdiff_t>(i), 2,
                     values[(i + 3) % std::size(values)]);
      ASSERT_NO_THROW(run(changed)) << i << " put in";
    }
  }
}

TEST_P(Replay, PiecesJoined) {
  const auto all = seeds();
  for (const Bytes& head : all)
    for (const Bytes& tail : all)
      for (const int part : {1, 2, 3}) {
        Bytes joined(head.begin(), head.begin() + static_cast<std::ptrdiff_t>(head.size() * part / 4));
        joined.insert(joined.end(), tail.begin() + static_cast<std::ptrdiff_t>(tail.size() * part / 4),
                      tail.end());
        ASSERT_NO_THROW(run(joined));
      }
}

INSTANTIATE_TEST_SUITE_P(Readers, Replay, testing::ValuesIn(fuzz::targets),
                         [](const auto& info) { return std::string(info.param.name); });
INSTANTIATE_TEST_SUITE_P(Program, Replay, testing::Values(fuzz::Target{"matrices", fuzz::matrices}),
                         [](const auto& info) { return std::string(info.param.name); });
INSTANTIATE_TEST_SUITE_P(Onnx, Replay, testing::ValuesIn(fuzz::onnx_targets()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace isobit
