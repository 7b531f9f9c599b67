// IDX files: every element type, gzip, lies; and the folders of MNIST's relatives.
#include <gtest/gtest.h>
#include <isobit/data.h>
#include <zlib.h>

#include <cstring>

#include "tests/support/files.h"

namespace isobit {
namespace {

using test::Bytes;
using test::refuses;

Bytes idx(int type, const std::vector<std::uint32_t>& extents, const Bytes& data) {
  Bytes bytes{0, 0, static_cast<std::uint8_t>(type), static_cast<std::uint8_t>(extents.size())};
  for (const std::uint32_t extent : extents)
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<std::uint8_t>(extent >> shift));
  bytes.insert(bytes.end(), data.begin(), data.end());
  return bytes;
}

Bytes gzip(const Bytes& plain) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY), Z_OK);
  Bytes out(plain.size() + 1000);
  stream.next_in = const_cast<Bytef*>(plain.data());
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

Bytes counting(std::size_t n) {
  Bytes bytes(n);
  for (std::size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7);
  return bytes;
}

testing::AssertionResult decode_refuses(const Bytes& bytes, std::initializer_list<std::string_view> parts) {
  return refuses([&] { data::decode_idx(bytes, "file"); }, parts);
}

TEST(Idx, EveryElementType) {
  const auto decode = [](int type, const Bytes& data, std::uint32_t n) {
    return data::decode_idx(idx(type, {n}, data), "file");
  };
  EXPECT_EQ(decode(0x08, {0, 128, 255}, 3).to_vector<std::uint8_t>(), (Bytes{0, 128, 255}));
  EXPECT_EQ(decode(0x09, {0, 127, 128, 255}, 4).to_vector<std::int32_t>(),
            (std::vector<std::int32_t>{0, 127, -128, -1}));
  EXPECT_EQ(decode(0x0b, {0x01, 0x02, 0x80, 0x00}, 2).to_vector<std::int32_t>(),
            (std::vector<std::int32_t>{258, -32768}));
  EXPECT_EQ(decode(0x0c, {0x80, 0, 0, 0, 0, 0, 1, 0}, 2).to_vector<std::int32_t>(),
            (std::vector<std::int32_t>{-2147483647 - 1, 256}));
  EXPECT_EQ(decode(0x0d, {0x3f, 0xc0, 0, 0}, 1).to_vector<float>(), std::vector<float>{1.5f});
  EXPECT_EQ(decode(0x0e, {0xc0, 0x04, 0, 0, 0, 0, 0, 0}, 1).to_vector<double>(), std::vector<double>{-2.5});
}

TEST(Idx, ShapesPlainAndZipped) {
  const Bytes plain = idx(0x08, {2, 3, 4}, counting(24));
  for (const Bytes& bytes : {plain, gzip(plain)}) {
    const Tensor t = data::decode_idx(bytes, "file");
    EXPECT_TRUE(t.shape() == Shape({2, 3, 4}));
    EXPECT_EQ(t.to_vector<std::uint8_t>(), counting(24));
  }
  EXPECT_TRUE(data::decode_idx(idx(0x08, {0, 5}, {}), "file").shape() == Shape({0, 5}));
  // Several pieces of reading, and two gzip members end to end.
  const Bytes large = idx(0x08, {300'000}, counting(300'000));
  EXPECT_EQ(data::decode_idx(gzip(large), "file").to_vector<std::uint8_t>(), counting(300'000));
  Bytes joined = gzip(Bytes(plain.begin(), plain.begin() + 20));
  const Bytes second = gzip(Bytes(plain.begin() + 20, plain.end()));
  joined.insert(joined.end(), second.begin(), second.end());
  EXPECT_EQ(data::decode_idx(joined, "file").to_vector<std::uint8_t>(), counting(24));
}

TEST(Idx, EveryTruncationIsRefused) {
  const Bytes plain = idx(0x0c, {2, 2}, counting(16)), zipped = gzip(plain);
  for (const Bytes& bytes : {plain, zipped})
    for (std::size_t n = 0; n < bytes.size(); ++n)
      EXPECT_TRUE(
          decode_refuses(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n)), {"file"}))
          << n;
}

TEST(Idx, TrailingGarbage) {
  Bytes plain = idx(0x08, {3}, {1, 2, 3});
  Bytes zipped = gzip(plain);
  plain.push_back(0);
  EXPECT_TRUE(decode_refuses(plain, {"more behind the 3 bytes"}));
  EXPECT_TRUE(decode_refuses(gzip(plain), {"more behind the 3 bytes"}));
  zipped.push_back(0);
  EXPECT_TRUE(decode_refuses(zipped, {"1 bytes of garbage"}));
}

TEST(Idx, Lies) {
  EXPECT_TRUE(decode_refuses({0, 1, 8, 1, 0, 0, 0, 0}, {"magic number 00010801"}));
  EXPECT_TRUE(decode_refuses(idx(0x0a, {1}, {1}), {"0x0a"}));
  EXPECT_TRUE(decode_refuses(idx(0x08, {}, {1}), {"0 axes"}));
  EXPECT_TRUE(decode_refuses(idx(0x08, std::vector<std::uint32_t>(9, 1), {1}), {"9 axes"}));
  // Terabytes promised, none allocated.
  EXPECT_TRUE(decode_refuses(idx(0x08, {60'000, 28'000, 28'000}, counting(100)), {"47040000000000", "100"}));
  EXPECT_TRUE(decode_refuses(gzip(idx(0x08, {60'000, 28'000, 28'000}, counting(100))), {"47040000000000"}));
  EXPECT_TRUE(decode_refuses(idx(0x0e, {~0u, ~0u, ~0u}, counting(100)), {"file"}));
  EXPECT_TRUE(decode_refuses(idx(0x08, {0, ~0u, ~0u, ~0u}, {}), {"file"}));
  Bytes damaged = gzip(idx(0x08, {200}, counting(200)));
  damaged[damaged.size() - 6] ^= 1;  // in the checksum
  EXPECT_TRUE(decode_refuses(damaged, {"damaged", "check"}));
}

TEST(Idx, FilesThatCannotBeRead) {
  const test::TemporaryFolder folder;
  EXPECT_TRUE(
      refuses([&] { data::read_idx(folder / "no"); }, {"'" + folder.path() + "/no'", "No such file"}));
  EXPECT_TRUE(refuses([&] { data::read_idx(folder.path()); }, {"is a directory"}));
  EXPECT_TRUE(refuses([&] { data::read_idx("/dev/zero"); }, {"not a regular file"}));
  EXPECT_TRUE(refuses([&] { data::read_idx(""); }, {"empty"}));
}

void write_mnist(const test::TemporaryFolder& folder, const char* dot, bool zipped,
                 int largest_test_label = 2) {
  const auto put = [&](const std::string& name, int rank, const Bytes& bytes) {
    test::write_bytes(folder / fmt::format("{}{}idx{}-ubyte{}", name, dot, rank, zipped ? ".gz" : ""),
                      zipped ? gzip(bytes) : bytes);
  };
  put("train-images", 3, idx(0x08, {3, 2, 2}, counting(12)));
  put("train-labels", 1, idx(0x08, {3}, {0, 2, 1}));
  put("t10k-images", 3, idx(0x08, {2, 2, 2}, counting(8)));
  put("t10k-labels", 1, idx(0x08, {2}, {1, static_cast<std::uint8_t>(largest_test_label)}));
}

TEST(MnistLike, BothSpellingsPlainAndZipped) {
  for (const char* dot : {"-", "."})
    for (const bool zipped : {false, true}) {
      const test::TemporaryFolder folder;
      write_mnist(folder, dot, zipped);
      const auto [train, test] = data::load_mnist_like(folder.path());
      EXPECT_TRUE(train.images.shape() == Shape({3, 2, 2, 1}));
      EXPECT_EQ(train.labels.to_vector<std::int64_t>(), (std::vector<std::int64_t>{0, 2, 1}));
      EXPECT_EQ(train.classes, (std::vector<std::string>{"0", "1", "2"}));
      EXPECT_EQ(test.classes, train.classes);
      EXPECT_EQ(test.images.to_vector<std::uint8_t>(), counting(8));
      EXPECT_TRUE(equal_bits(data::load(folder.path()).train.images, train.images));
    }
}

TEST(MnistLike, Errors) {
  const test::TemporaryFolder folder;
  EXPECT_TRUE(
      refuses([&] { data::load_mnist_like(folder.path()); }, {folder.path(), "train-images-idx3-ubyte"}));
  EXPECT_TRUE(refuses([&] { data::load_mnist_like(folder / "no"); }, {"is not a folder"}));
  EXPECT_TRUE(refuses([&] { data::load(folder.path()); }, {folder.path(), "looked for"}));
  write_mnist(folder, "-", false, 3);
  EXPECT_TRUE(refuses([&] { data::load_mnist_like(folder.path()); }, {"label 1", "is 3", "0 to 2"}));
  EXPECT_TRUE(refuses(
      [&] {
        data::load_mnist_like(folder.path(), {"a", "b"});
      },
      {"label 1", "is 2", "0 to 1"}));
  test::write_bytes(folder / "t10k-labels-idx1-ubyte", idx(0x08, {3}, {0, 1, 2}));
  EXPECT_TRUE(refuses([&] { data::load_mnist_like(folder.path()); }, {"2 images and 3 labels"}));
  test::write_bytes(folder / "t10k-labels-idx1-ubyte", idx(0x0c, {1}, {0, 0, 0, 1}));
  EXPECT_TRUE(refuses([&] { data::load_mnist_like(folder.path()); }, {"t10k-labels", "i32", "labels: u8"}));
  test::write_bytes(folder / "train-images-idx3-ubyte", idx(0x08, {3, 4}, counting(12)));
  EXPECT_TRUE(refuses([&] { data::load_mnist_like(folder.path()); }, {"train-images", "[3,4]"}));
}

TEST(FashionMnist, RealFilesOrAnErrorThatSaysWhatToInstall) {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist")) {
    EXPECT_TRUE(refuses([] { data::fashion_mnist(); }, {"dataset-fashion-mnist", "--data"}));
    return;
  }
  const auto [train, test] = data::fashion_mnist();
  EXPECT_TRUE(train.images.shape() == Shape({60'000, 28, 28, 1}));
  EXPECT_TRUE(test.images.shape() == Shape({10'000, 28, 28, 1}));
  std::vector<int> counts(10);
  for (const std::int64_t label : train.labels.data<std::int64_t>())
    ++counts[static_cast<std::size_t>(label)];
  EXPECT_EQ(counts, std::vector<int>(10, 6000));
  EXPECT_EQ(train.classes[9], "Ankle boot");
  EXPECT_EQ(train.labels.slice(0, 1).item(), 9);
  const data::Normalise n = data::channel_statistics(train);
  EXPECT_NEAR(n.mean[0], 0.2860, 5e-5);  // the figures that everybody uses for this data set
  EXPECT_NEAR(n.deviation[0], 0.3530, 5e-5);
}

}  // namespace
}  // namespace isobit
