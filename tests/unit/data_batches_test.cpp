// Batches: what comes is a function of seed and options alone; the thread that works ahead cannot be seen.
#include <gtest/gtest.h>
#include <isobit/data.h>

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "core/numerics/half.h"
#include "core/numerics/philox.h"
#include "tests/support/files.h"

namespace isobit {
namespace {

using data::Batches;
using data::BatchOptions;
using test::refuses;

// Sample i has label i; pixel values are arbitrary but known.
data::Dataset numbered(std::int64_t n, std::int64_t h = 4, std::int64_t w = 5, std::int64_t c = 2) {
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(n * h * w * c));
  for (std::size_t i = 0; i < pixels.size(); ++i)
    pixels[i] = static_cast<std::uint8_t>((i * 2654435761u) >> 13);
  std::vector<std::int64_t> labels(static_cast<std::size_t>(n));
  std::iota(labels.begin(), labels.end(), 0);
  std::vector<std::string> classes;
  for (std::int64_t i = 0; i < n; ++i) classes.push_back(std::to_string(i));
  return {from_vector(pixels, {n, h, w, c}), from_vector(labels, {n}), classes, "numbered"};
}

std::vector<std::int64_t> order_of(const Batches& batches) {
  std::vector<std::int64_t> order;
  for (const auto& [images, labels] : batches)
    for (const std::int64_t label : labels.data<std::int64_t>()) order.push_back(label);
  return order;
}

TEST(Batches, CountsFirstsAndSizes) {
  const data::Dataset set = numbered(10);
  const Batches batches(set, 4, Seed{1}, {}, {.shuffle = false});
  EXPECT_EQ(batches.count(), 3);
  std::int64_t index = 0;
  for (const data::Batch& batch : batches) {
    EXPECT_EQ(batch.index, index);
    EXPECT_EQ(batch.first, 4 * index);
    EXPECT_EQ(batch.size(), index < 2 ? 4 : 2);
    EXPECT_TRUE(batch.images.shape() == Shape({batch.size(), 4, 5, 2}));
    EXPECT_EQ(batch.labels.slice(0, 1).item(), static_cast<double>(batch.first));
    ++index;
  }
  EXPECT_EQ(index, 3);
  EXPECT_EQ(Batches(set, 4, Seed{1}, {}, {.drop_last = true}).count(), 2);
  EXPECT_EQ(order_of(Batches(set, 4, Seed{1}, {}, {.drop_last = true})).size(), 8u);
  EXPECT_EQ(order_of(Batches(set, 100, Seed{1})).size(), 10u);
  EXPECT_EQ(order_of(Batches(set, 100, Seed{1}, {}, {.drop_last = true})).size(), 0u);
  EXPECT_EQ(order_of(Batches(set, std::numeric_limits<std::int64_t>::max(), Seed{1})).size(), 10u);
}

TEST(Batches, OrderIsFisherAndYatesOnTheStreamsElements) {
  const data::Dataset set = numbered(100);
  const std::vector<std::int64_t> order = order_of(Batches(set, 7, Seed{42}, {}, {.epoch = 3}));
  std::vector<std::int64_t> expected(100);
  std::iota(expected.begin(), expected.end(), 0);
  const RandomKey key = random_key(Seed{42}, "shuffle", 3);
  for (std::uint64_t i = 99; i >= 1; --i)
    std::swap(expected[i], expected[numerics::uniform_below(key, i, i + 1)]);
  EXPECT_EQ(order, expected);
  EXPECT_EQ(order, order_of(Batches(set, 64, Seed{42}, {}, {.epoch = 3, .prefetch = 0})));
  EXPECT_NE(order, order_of(Batches(set, 7, Seed{42}, {}, {.epoch = 4})));
  EXPECT_NE(order, order_of(Batches(set, 7, Seed{43}, {}, {.epoch = 3})));
  EXPECT_EQ(order, order_of(Batches(set, 7, Seed{42}).at(3)));
}

TEST(Batches, EveryPermutationOfThreeIsEquallyLikely) {
  const data::Dataset set = numbered(3, 1, 1, 1);
  std::map<std::vector<std::int64_t>, int> counts;
  const Batches batches(set, 3, Seed{5}, {}, {.prefetch = 0});
  for (int epoch = 0; epoch < 6000; ++epoch) ++counts[order_of(batches.at(epoch))];
  EXPECT_EQ(counts.size(), 6u);
  for (const auto& [order, count] : counts) EXPECT_NEAR(count, 1000, 130);  // 4.5 standard deviations
}

TEST(Batches, ResumesInTheMiddleOfAnEpoch) {
  const data::Dataset set = numbered(23);
  const BatchOptions options{.epoch = 2, .augment = {.crop_pad = 1, .flip = true}};
  std::vector<data::Batch> whole;
  for (const data::Batch& batch : Batches(set, 5, Seed{9}, {}, options)) whole.push_back(batch);
  ASSERT_EQ(whole.size(), 5u);
  for (std::int64_t from = 0; from <= 5; ++from) {
    std::size_t at = static_cast<std::size_t>(from);
    for (const data::Batch& batch : Batches(set, 5, Seed{9}, {}, options).at(2, from)) {
      ASSERT_LT(at, whole.size());
      EXPECT_EQ(batch.index, whole[at].index);
      EXPECT_TRUE(equal_bits(batch.images, whole[at].images));
      EXPECT_TRUE(equal_bits(batch.labels, whole[at].labels));
      ++at;
    }
    EXPECT_EQ(at, 5u);
  }
  EXPECT_TRUE(refuses([&] { Batches(set, 5, Seed{9}).at(0, 6); }, {"first batch 6", "0 to 5"}));
}

TEST(Batches, NormalisesInTheDocumentedOrder) {
  const data::Dataset set = numbered(6);
  const std::vector<double> mean{0.1307, 0.5}, deviation{0.3081, 0.1};
  const auto batch_of = [&](DType dtype) {
    BatchOptions options{.shuffle = false, .dtype = dtype};
    if (dtype != DType::u8) options.normalise = {mean, deviation};
    return Batches(set, 6, Seed{1}, {}, options).begin()->images;
  };
  const auto pixels = set.images.data<std::uint8_t>();
  EXPECT_TRUE(equal_bits(batch_of(DType::u8), set.images));
  const auto f = batch_of(DType::f32).to_vector<float>();
  const auto d = batch_of(DType::f64).to_vector<double>();
  const auto h = batch_of(DType::f16).to_vector<f16>();
  const auto b = batch_of(DType::bf16).to_vector<bf16>();
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    // volatile: each operation is rounded where it stands.
    volatile float v = static_cast<float>(pixels[i]) / 255.0f;
    v = v - static_cast<float>(mean[i % 2]);
    v = v / static_cast<float>(deviation[i % 2]);
    ASSERT_EQ(f[i], v);
    ASSERT_EQ(d[i], (pixels[i] / 255.0 - mean[i % 2]) / deviation[i % 2]);
    ASSERT_EQ(h[i].bits, numerics::f32_to_f16(v));
    ASSERT_EQ(b[i].bits, numerics::f32_to_bf16(v));
  }
  const auto plain = Batches(set, 6, Seed{1}, {}, {.shuffle = false}).begin()->images.to_vector<float>();
  for (std::size_t i = 0; i < pixels.size(); ++i) ASSERT_EQ(plain[i], static_cast<float>(pixels[i]) / 255.0f);
  const auto shared = Batches(set, 6, Seed{1}, {}, {.shuffle = false, .normalise = {{0.5}, {0.25}}});
  EXPECT_EQ(shared.begin()->images.to_vector<float>()[1],
            (static_cast<float>(pixels[1]) / 255.0f - 0.5f) / 0.25f);
}

TEST(Batches, AugmentationIsTheSampleOwn) {
  const data::Dataset set = numbered(40, 6, 5, 1);
  const data::Augment augment{.crop_pad = 2, .shift = 1, .flip = true};
  // Each sample's image, keyed by its label, from two walks that share nothing but the seed and the epoch.
  const auto collect = [&](std::int64_t batch_size, bool shuffle, int prefetch) {
    std::map<double, std::vector<std::uint8_t>> images;
    const Batches batches(
        set, batch_size, Seed{3}, {},
        {.shuffle = shuffle, .epoch = 1, .augment = augment, .dtype = DType::u8, .prefetch = prefetch});
    for (const auto& [x, y] : batches)
      for (std::int64_t i = 0; i < x.shape(0); ++i)
        images[y.slice(i, i + 1).item()] = x.slice(i, i + 1).to_vector<std::uint8_t>();
    return images;
  };
  const auto images = collect(7, true, 2);
  EXPECT_EQ(images, collect(40, false, 0));

  const RandomKey moves = random_key(Seed{3}, "augment", 1), flips = random_key(Seed{3}, "flip", 1);
  std::set<std::vector<std::int64_t>> draws;
  for (std::uint64_t k = 0; k < 40; ++k) {
    const auto draw = [&](std::uint64_t which, int reach) {
      return static_cast<std::int64_t>(
                 numerics::uniform_below(moves, 4 * k + which, 2 * static_cast<std::uint64_t>(reach) + 1)) -
             reach;
    };
    const std::int64_t dy = draw(0, 2) + draw(2, 1), dx = draw(1, 2) + draw(3, 1);
    const bool flip = numerics::uniform_below(flips, k, 2) == 1;
    draws.insert({dy, dx, flip});
    const auto original = set.images.slice(static_cast<std::int64_t>(k), static_cast<std::int64_t>(k) + 1)
                              .to_vector<std::uint8_t>();
    std::vector<std::uint8_t> expected;
    for (std::int64_t i = 0; i < 6; ++i)
      for (std::int64_t j = 0; j < 5; ++j) {
        const std::int64_t row = i + dy, column = (flip ? 4 - j : j) + dx;
        const bool inside = row >= 0 && row < 6 && column >= 0 && column < 5;
        expected.push_back(inside ? original[static_cast<std::size_t>(row * 5 + column)] : 0);
      }
    ASSERT_EQ(images.at(static_cast<double>(k)), expected) << k;
  }
  EXPECT_GT(draws.size(), 20u);
}

TEST(Batches, LeavingEarlyAndWalkingTwiceAtOnce) {
  const data::Dataset set = numbered(1000);
  const Batches batches(set, 8, Seed{1}, {}, {.prefetch = 3});
  for (int round = 0; round < 50; ++round) {
    int taken = 0;
    for (const data::Batch& batch : batches) {
      ASSERT_EQ(batch.index, taken);
      if (++taken > round % 5) break;
    }
  }
  auto one = batches.begin(), two = batches.begin();
  for (; one != batches.end(); ++one, ++two) ASSERT_TRUE(equal_bits(one->images, two->images));
  EXPECT_FALSE(two != batches.end());
  // The iterator keeps the data alive by itself.
  auto orphan = Batches(numbered(20), 8, Seed{1}).begin();
  int count = 0;
  for (; !(orphan == Batches::End()); ++orphan) ++count;
  EXPECT_EQ(count, 3);
}

TEST(Batches, BadArguments) {
  const data::Dataset set = numbered(4);
  const auto make = [&](BatchOptions options, std::int64_t size = 2) {
    return [=, &set] { Batches(set, size, Seed{1}, {}, options); };
  };
  EXPECT_TRUE(refuses(make({}, 0), {"batch size 0"}));
  EXPECT_TRUE(refuses(make({}, -1), {"batch size -1"}));
  EXPECT_TRUE(refuses(make({.epoch = -1}), {"epoch -1"}));
  EXPECT_TRUE(refuses(make({.first_batch = 3}), {"first batch 3"}));
  EXPECT_TRUE(refuses(make({.prefetch = -1}), {"prefetch -1"}));
  EXPECT_TRUE(refuses(make({.augment = {.crop_pad = -1}}), {"crop_pad -1"}));
  EXPECT_TRUE(refuses(make({.augment = {.shift = 1 << 30}}), {"shift 1073741824"}));
  EXPECT_TRUE(refuses(make({.dtype = DType::i32}), {"i32"}));
  EXPECT_TRUE(refuses(make({.normalise = {{0.5, 0.5, 0.5}, {}}}), {"3 values of mean", "2 channels"}));
  EXPECT_TRUE(refuses(make({.normalise = {{}, {0.0}}}), {"deviation 0"}));
  EXPECT_TRUE(refuses(make({.normalise = {{}, {1e-60}}}), {"deviation 1e-60"}));
  EXPECT_TRUE(refuses(make({.normalise = {{std::numeric_limits<double>::quiet_NaN()}, {}}}), {"mean nan"}));
  EXPECT_TRUE(refuses(make({.normalise = {{0.5}, {}}, .dtype = DType::u8}), {"u8"}));
  data::Dataset wrong = set;
  wrong.classes.pop_back();
  EXPECT_TRUE(refuses([&] { Batches(wrong, 2, Seed{1}); }, {"label 3", "is 3", "0 to 2"}));
  EXPECT_TRUE(refuses([&] { Batches(data::Dataset(), 2, Seed{1}); }, {"no images"}));
}

}  // namespace
}  // namespace isobit
