// A small labelled set that a network can learn: noise with a bright bar whose place is the class.
#pragma once
#include <isobit/batches.h>

#include <cstdint>
#include <string>
#include <vector>

namespace isobit::test {

inline data::Dataset bars(std::int64_t n, std::int64_t classes = 4, std::int64_t size = 8,
                          std::uint64_t seed = 1) {
  const auto noise =
      random_uniform({n, size, size, 1}, random_key(Seed{seed}, "bars"), 0, 120).to_vector<float>();
  std::vector<std::uint8_t> pixels(noise.size());
  std::vector<std::int64_t> labels(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t label = (i * 7 + i / 3) % classes;
    labels[static_cast<std::size_t>(i)] = label;
    for (std::int64_t h = 0; h < size; ++h)
      for (std::int64_t w = 0; w < size; ++w) {
        const auto at = static_cast<std::size_t>((i * size + h) * size + w);
        const bool lit = h * classes / size == label;
        pixels[at] = static_cast<std::uint8_t>(static_cast<int>(noise[at]) + (lit ? 100 : 0));
      }
  }
  data::Dataset set;
  set.images = from_vector(pixels, {n, size, size, 1});
  set.labels = from_vector(labels, {n});
  for (std::int64_t c = 0; c < classes; ++c) set.classes.push_back("bar " + std::to_string(c));
  set.name = "bars";
  return set;
}

}  // namespace isobit::test
