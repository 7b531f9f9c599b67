// CIFAR, folders of images, arrays, resizing, statistics.
#include <gtest/gtest.h>
#include <isobit/data.h>
#include <isobit/io.h>

#include <cmath>
#include <cstring>

#include "tests/support/files.h"

namespace isobit {
namespace {

using test::Bytes;
using test::refuses;
namespace fs = std::filesystem;

Tensor image_of(std::int64_t h, std::int64_t w, std::int64_t c, int seed) {
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(h * w * c));
  for (std::size_t i = 0; i < pixels.size(); ++i)
    pixels[i] = static_cast<std::uint8_t>((i * i + 31 * i + static_cast<std::size_t>(seed) * 97) >> 1);
  return from_vector(pixels, {h, w, c});
}

Bytes cifar_records(int count, int label_bytes) {
  Bytes bytes;
  for (int i = 0; i < count; ++i) {
    if (label_bytes == 2) bytes.push_back(static_cast<std::uint8_t>(i % 20));
    bytes.push_back(static_cast<std::uint8_t>(i % 10));
    for (int p = 0; p < 3072; ++p) bytes.push_back(static_cast<std::uint8_t>(p / 1024 * 50 + p % 32 + i));
  }
  return bytes;
}

TEST(Cifar, PlanesBecomeChannels) {
  const test::TemporaryFolder folder;
  const std::string inner = folder.folder("cifar-10-batches-bin");
  for (int part = 1; part <= 5; ++part)
    test::write_bytes(fmt::format("{}/data_batch_{}.bin", inner, part), cifar_records(2, 1));
  test::write_bytes(inner + "/test_batch.bin", cifar_records(3, 1));
  for (const std::string& dir : {folder.path(), inner}) {
    const auto [train, test] = data::cifar10(dir);
    ASSERT_TRUE(train.images.shape() == Shape({10, 32, 32, 3}));
    EXPECT_TRUE(test.images.shape() == Shape({3, 32, 32, 3}));
    EXPECT_EQ(train.classes[8], "ship");
    EXPECT_EQ(train.labels.to_vector<std::int64_t>(),
              (std::vector<std::int64_t>{0, 1, 0, 1, 0, 1, 0, 1, 0, 1}));
    const auto pixels = train.images.data<std::uint8_t>();
    for (int row : {0, 31})
      for (int column : {0, 17})
        for (int c = 0; c < 3; ++c)
          EXPECT_EQ(pixels[static_cast<std::size_t>(((32 + row) * 32 + column) * 3 + c)],
                    c * 50 + column + 1);
  }
  test::write_text(inner + "/batches.meta.txt", "a\nb\n");
  EXPECT_TRUE(refuses([&] { data::cifar10(inner); }, {"batches.meta.txt", "2 names, expected 10"}));
  test::write_text(inner + "/batches.meta.txt", "0\r\n1\r\n2\n3\n4\n5\n6\n7\n8\n9\n\n");
  EXPECT_EQ(data::cifar10(inner).test.classes[1], "1");
  EXPECT_EQ(data::load(folder.path()).test.size(), 3);
  Bytes cut = cifar_records(2, 1);
  cut.pop_back();
  test::write_bytes(inner + "/data_batch_3.bin", cut);
  EXPECT_TRUE(refuses([&] { data::cifar10(inner); }, {"data_batch_3.bin", "6145 bytes", "3073"}));
  fs::remove(inner + "/data_batch_3.bin");
  EXPECT_TRUE(refuses([&] { data::cifar10(inner); }, {"data_batch_3.bin", "No such file"}));
  EXPECT_TRUE(refuses([&] { data::cifar10("/no/where"); }, {"/no/where", "data_batch_1.bin"}));
}

TEST(Cifar, HundredFineOrCoarse) {
  const test::TemporaryFolder folder;
  test::write_bytes(folder / "train.bin", cifar_records(12, 2));
  test::write_bytes(folder / "test.bin", cifar_records(1, 2));
  EXPECT_EQ(data::cifar100(folder.path()).train.labels.slice(11, 12).item(), 1);
  EXPECT_EQ(data::cifar100(folder.path(), true).train.labels.slice(11, 12).item(), 11);
  EXPECT_EQ(data::cifar100(folder.path()).train.classes.size(), 100u);
  EXPECT_EQ(data::cifar100(folder.path(), true).train.classes.size(), 20u);
  Bytes bad = cifar_records(2, 1);
  bad[3073] = 10;
  EXPECT_TRUE(refuses([&] { data::decode_cifar(bad, "file", 1, 0, std::vector<std::string>(10)); },
                      {"label 1", "'file'", "is 10", "0 to 9"}));
  EXPECT_TRUE(refuses([&] { data::decode_cifar({}, "file", 1, 0, {"a"}); }, {"0 bytes"}));
}

TEST(ImageFolder, ClassesAndFilesInOrderOfTheirNames) {
  const test::TemporaryFolder folder;
  for (const char* name : {"zebra", "Ant", "bee"}) folder.folder(name);
  io::write_png(folder / "zebra/b.png", image_of(4, 5, 3, 1));
  io::write_png(folder / "zebra/a.PNG", image_of(4, 5, 3, 2));
  io::write_png(folder / "Ant/10.png", image_of(4, 5, 3, 3));
  io::write_png(folder / "Ant/9.jpeg", image_of(4, 5, 3, 4));  // the bytes say what it is, not the name
  io::write_png(folder / "bee/x.png", image_of(4, 5, 3, 5));
  test::write_text(folder / "bee/.DS_Store", "not an image");
  test::write_text(folder / "README.txt", "not an image");
  const data::Dataset set = data::image_folder(folder.path());
  EXPECT_EQ(set.classes, (std::vector<std::string>{"Ant", "bee", "zebra"}));
  EXPECT_EQ(set.labels.to_vector<std::int64_t>(), (std::vector<std::int64_t>{0, 0, 1, 2, 2}));
  const int order[] = {3, 4, 5, 2, 1};
  for (int i = 0; i < 5; ++i)
    EXPECT_TRUE(equal_bits(set.images.slice(i, i + 1).reshape({4, 5, 3}), image_of(4, 5, 3, order[i]))) << i;
}

TEST(ImageFolder, DifferencesAreNamedAndConverted) {
  const test::TemporaryFolder folder;
  folder.folder("a");
  io::write_png(folder / "a/1.png", image_of(4, 5, 3, 1));
  io::write_png(folder / "a/2.png", image_of(5, 4, 3, 2));
  EXPECT_TRUE(
      refuses([&] { data::image_folder(folder.path()); }, {"a/2.png", "[5,4,3]", "a/1.png", "[4,5,3]"}));
  io::write_png(folder / "a/2.png", image_of(4, 5, 1, 2));
  EXPECT_TRUE(refuses([&] { data::image_folder(folder.path()); }, {"a/2.png", "same channels"}));
  io::write_png(folder / "a/3.png", image_of(7, 9, 4, 3));
  io::write_png(folder / "a/4.png", image_of(1, 1, 2, 4));
  const data::Dataset colour = data::image_folder(folder.path(), {.height = 4, .width = 5, .channels = 3});
  EXPECT_TRUE(colour.images.shape() == Shape({4, 4, 5, 3}));
  EXPECT_TRUE(equal_bits(colour.images.slice(0, 1).reshape({4, 5, 3}), image_of(4, 5, 3, 1)));
  const auto gray = image_of(4, 5, 1, 2).to_vector<std::uint8_t>();
  const auto repeated = colour.images.slice(1, 2).to_vector<std::uint8_t>();
  for (std::size_t i = 0; i < repeated.size(); ++i) EXPECT_EQ(repeated[i], gray[i / 3]);

  const data::Dataset one = data::image_folder(folder.path(), {.height = 4, .width = 5, .channels = 1});
  const auto rgb = image_of(4, 5, 3, 1).to_vector<std::uint8_t>();
  const auto luma = one.images.slice(0, 1).to_vector<std::uint8_t>();
  for (std::size_t i = 0; i < luma.size(); ++i)
    EXPECT_EQ(luma[i], (299 * rgb[3 * i] + 587 * rgb[3 * i + 1] + 114 * rgb[3 * i + 2] + 500) / 1000);
}

TEST(ImageFolder, WeirdFolders) {
  const test::TemporaryFolder folder;
  const auto load = [&](data::ImageFolderOptions options = {}) {
    return data::image_folder(folder.path(), options);
  };
  EXPECT_TRUE(refuses([&] { load(); }, {"holds no class folders"}));
  EXPECT_TRUE(refuses([&] { data::image_folder(folder / "no"); }, {"cannot list", "No such file"}));
  folder.folder("a");
  EXPECT_TRUE(refuses([&] { load(); }, {"'" + folder.path() + "/a'", "holds no images"}));
  io::write_png(folder / "a/1.png", image_of(2, 2, 1, 1));
  EXPECT_EQ(load().size(), 1);
  EXPECT_TRUE(refuses([&] { data::image_folder(folder / "a/1.png"); }, {"cannot list", "Not a directory"}));
  EXPECT_TRUE(refuses([&] { load({.height = 3}); }, {"height 3 and width 0"}));
  EXPECT_TRUE(refuses([&] { load({.height = -1, .width = -1}); }, {"height -1"}));
  EXPECT_TRUE(refuses([&] { load({.channels = 2}); }, {"channels 2"}));

  folder.folder("a/deeper");
  EXPECT_TRUE(refuses([&] { load(); }, {"a/deeper", "folder inside"}));
  fs::remove(folder / "a/deeper");
  test::write_text(folder / "a/2.gif", "GIF89a");
  EXPECT_TRUE(refuses([&] { load(); }, {"a/2.gif", ".png"}));
  fs::remove(folder / "a/2.gif");
  test::write_text(folder / "a/2.png", "GIF89a");
  EXPECT_TRUE(refuses([&] { load(); }, {"a/2.png", "neither"}));
  test::write_text(folder / "a/2.png", "");
  EXPECT_TRUE(refuses([&] { load(); }, {"a/2.png", "0 bytes"}));
  fs::remove(folder / "a/2.png");
  fs::create_symlink("nowhere", folder / "a/2.png");
  EXPECT_TRUE(refuses([&] { load(); }, {"a/2.png", "No such file"}));
  fs::remove(folder / "a/2.png");
  io::write_png(folder / "lost.png", image_of(2, 2, 1, 1));
  EXPECT_TRUE(refuses([&] { load(); }, {"lost.png", "no class"}));
}

TEST(ImageFolder, TrainAndTest) {
  const test::TemporaryFolder folder;
  for (const char* name : {"train/a", "train/b", "test/a"}) folder.folder(name);
  for (const char* name : {"train/a/1.png", "train/b/1.png", "test/a/1.png"})
    io::write_png(folder / name, image_of(2, 3, 1, 1));
  EXPECT_TRUE(refuses([&] { data::load(folder.path()); }, {"differ in their classes", "a, b"}));
  folder.folder("test/b");
  io::write_png(folder / "test/b/1.png", image_of(2, 3, 1, 1));
  EXPECT_EQ(data::load(folder.path()).test.size(), 2);
  fs::remove_all(folder / "test");
  EXPECT_TRUE(refuses([&] { data::load(folder.path()); }, {"test (or val)"}));
}

TEST(Resize, IsTheRoundedExactValue) {
  const Tensor x = image_of(5, 7, 2, 1);
  EXPECT_TRUE(equal_bits(data::resize_bilinear(x, 5, 7), x));
  const auto pixels = x.to_vector<std::uint8_t>();
  for (const auto& [height, width] :
       {std::pair(1, 1), std::pair(10, 14), std::pair(3, 11), std::pair(13, 2)}) {
    const auto y = data::resize_bilinear(x, height, width).to_vector<std::uint8_t>();
    for (int i = 0; i < height; ++i)
      for (int j = 0; j < width; ++j)
        for (int c = 0; c < 2; ++c) {
          const double at_y = (i + 0.5) * 5 / height - 0.5, at_x = (j + 0.5) * 7 / width - 0.5;
          const double fy = at_y - std::floor(at_y), fx = at_x - std::floor(at_x);
          const auto value = [&](double row, double column) {
            const int r = std::clamp(static_cast<int>(row), 0, 4),
                      s = std::clamp(static_cast<int>(column), 0, 6);
            return pixels[static_cast<std::size_t>((r * 7 + s) * 2 + c)];
          };
          const double top = std::floor(at_y), left = std::floor(at_x);
          const double exact = (1 - fy) * ((1 - fx) * value(top, left) + fx * value(top, left + 1)) +
                               fy * ((1 - fx) * value(top + 1, left) + fx * value(top + 1, left + 1));
          EXPECT_NEAR(y[static_cast<std::size_t>((i * width + j) * 2 + c)], exact, 0.5 + 1e-9)
              << height << " " << width << " " << i << " " << j;
        }
  }
  const Tensor two = from_vector<std::uint8_t>({0, 1}, {1, 2, 1});
  EXPECT_EQ(data::resize_bilinear(two, 1, 1).item(), 1);  // 0.5, halves up
  EXPECT_TRUE(refuses([&] { data::resize_bilinear(x, 0, 3); }, {"0 x 3"}));
  EXPECT_TRUE(refuses([&] { data::resize_bilinear(zeros({3, 3}), 2, 2); }, {"f32 [3,3]"}));
}

TEST(Arrays, ChecksAndStatistics) {
  const Tensor images = from_vector<std::uint8_t>({0, 255, 0, 255, 255, 7, 255, 7}, {2, 1, 2, 2});
  const Tensor labels = from_vector<std::int32_t>({1, 0}, {2});
  const data::Dataset set = data::from_arrays(images, labels);
  EXPECT_EQ(set.classes, (std::vector<std::string>{"0", "1"}));
  EXPECT_TRUE(set.image_shape() == Shape({1, 2, 2}));
  const data::Normalise n = data::channel_statistics(set);
  EXPECT_EQ(n.mean[0], 0.5);
  EXPECT_EQ(n.deviation[0], 0.5);
  EXPECT_EQ(n.mean[1], 524.0 / 1020);
  EXPECT_EQ(n.deviation[1], 496.0 / 1020);  // values 255, 255, 7, 7: 124 from their mean
  const data::Dataset flat = data::from_arrays(full({2, 3, 3}, 9.0, {.dtype = DType::u8}), labels);
  EXPECT_EQ(data::channel_statistics(flat).deviation[0], 1);
  EXPECT_TRUE(flat.images.shape() == Shape({2, 3, 3, 1}));

  EXPECT_EQ(set.take(1).size(), 1);
  EXPECT_EQ(set.take(5).size(), 2);
  EXPECT_TRUE(refuses([&] { set.take(0); }, {"take(0)"}));
  EXPECT_TRUE(
      refuses([&] { data::from_arrays(images, labels, {"only"}); }, {"label 0", "is 1", "1 classes"}));
  const auto with = [](std::vector<std::int64_t> values) {
    const auto n = static_cast<std::int64_t>(values.size());
    return from_vector(values, {n});
  };
  EXPECT_TRUE(refuses([&] { data::from_arrays(images, with({-1, 0})); }, {"label 0", "is -1"}));
  EXPECT_TRUE(refuses([&] { data::from_arrays(images, with({1LL << 40, 0})); }, {"state the classes"}));
  EXPECT_TRUE(refuses([&] { data::from_arrays(images, with({0, 0, 0})); }, {"2 images and 3 labels"}));
  EXPECT_TRUE(refuses([&] { data::from_arrays(zeros({2, 1, 2, 2}), labels); }, {"f32", "u8"}));
  EXPECT_TRUE(refuses([&] { data::from_arrays(images, zeros({2})); }, {"labels", "f32"}));
  EXPECT_TRUE(refuses([&] { data::from_arrays(Tensor(), labels); }, {"no images"}));
  EXPECT_TRUE(refuses(
      [&] {
        data::from_arrays(zeros({0, 2, 2, 1}, {.dtype = DType::u8}), with({}));
      },
      {"empty"}));
}

}  // namespace
}  // namespace isobit
