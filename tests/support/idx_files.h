// Writes a dataset as the four IDX files of MNIST.
#pragma once
#include <isobit/batches.h>

#include <string>

#include "tests/support/files.h"

namespace isobit::test {

inline void append_idx(Bytes& bytes, const Tensor& t, int axes) {
  const auto number = [&](std::int64_t v) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<std::uint8_t>(v >> shift));
  };
  number(0x0800 + axes);
  for (int i = 0; i < axes; ++i) number(t.shape(i));
  for (const std::uint8_t v : t.to(DType::u8).to_vector<std::uint8_t>()) bytes.push_back(v);
}

/// One channel only. `prefix`: "train" or "t10k".
inline void write_idx(const std::string& folder, const std::string& prefix, const data::Dataset& set) {
  Bytes images, labels;
  append_idx(images, set.images, 3);
  append_idx(labels, set.labels, 1);
  write_bytes(folder + "/" + prefix + "-images-idx3-ubyte", images);
  write_bytes(folder + "/" + prefix + "-labels-idx1-ubyte", labels);
}

}  // namespace isobit::test
