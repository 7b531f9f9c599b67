// What every fuzz target does with its input: each reader gives a value or an isobit::Error, and what it gave
// holds together. Used by the libFuzzer programs (fuzz_*.cpp) and by the replay of the seeds in every build.
#pragma once
#include <isobit/data.h>
#include <isobit/error.h>
#include <isobit/io.h>
#include <isobit/nn.h>
#include <isobit/npz.h>
#include <isobit/saved_model.h>
#include <isobit/train_checkpoint.h>
#include <zlib.h>

#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "core/verify/shapes.h"

namespace isobit::fuzz {

using Input = std::span<const std::uint8_t>;

// A broken promise ends the process, in a fuzzer and in a test alike.
inline void require(bool promise) {
  if (!promise) std::abort();
}

/// IDX, plain or gzip.
inline void idx(Input input) {
  try {
    const Tensor t = data::decode_idx(input, "input");
    require(t.rank() >= 1 && t.bytes() >= t.numel());
  } catch (const Error&) {
  }
}

/// What was read is written and read again.
inline void safetensors(Input input) {
  try {
    const io::SafeTensors file = io::decode_safetensors(input, "input");
    const std::vector<std::uint8_t> bytes = io::encode_safetensors(file.tensors, file.metadata);
    const io::SafeTensors again = io::decode_safetensors(bytes, "again");
    require(again.metadata == file.metadata && again.tensors.size() == file.tensors.size());
    require(io::digest(again.tensors) == io::digest(file.tensors));
  } catch (const Error&) {
  }
}

/// What was read is written and read again: the same arrays, whatever order and packing they had.
inline void npz(Input input) {
  try {
    const io::NamedTensors arrays = io::decode_npz(input, "input");
    const io::NamedTensors again = io::decode_npz(io::encode_npz(arrays), "again");
    require(again.size() == arrays.size());
    for (std::size_t i = 0; i < arrays.size(); ++i)
      require(again[i].first == arrays[i].first && equal_bits(again[i].second, arrays[i].second));
  } catch (const Error&) {
  }
}

// Small enough for a fuzzer to try many.
inline constexpr io::ImageLimits limits{.max_pixels = std::int64_t{1} << 18};

inline void png_as_it_is(Input input) {
  try {
    const Tensor image = io::decode_png(input, "input", limits);
    require(image.rank() == 3 && image.shape(0) * image.shape(1) <= limits.max_pixels);
    require(equal_bits(io::decode_png(io::encode_png(image), "again"), image));
  } catch (const Error&) {
  }
}

/// As it is, then with the chunks' checksums made right: a changed file would hardly ever get past them.
inline void png(Input input) {
  png_as_it_is(input);
  std::vector<std::uint8_t> mended(input.begin(), input.end());
  std::size_t at = 8;  // length, type, data, checksum; again and again
  while (at + 12 <= mended.size()) {
    const std::size_t length = std::size_t{mended[at]} << 24 | std::size_t{mended[at + 1]} << 16 |
                               std::size_t{mended[at + 2]} << 8 | mended[at + 3];
    if (length > mended.size() - at - 12) break;
    const auto checksum =
        static_cast<std::uint32_t>(crc32(0, mended.data() + at + 4, static_cast<uInt>(length + 4)));
    for (std::size_t i = 0; i < 4; ++i)
      mended[at + 8 + length + i] = static_cast<std::uint8_t>(checksum >> (24 - 8 * i));
    at += 12 + length;
  }
  png_as_it_is(mended);
}

inline void jpeg(Input input) {
  try {
    const Tensor image = io::decode_jpeg(input, "input", limits);
    require(image.rank() == 3 && (image.shape(2) == 1 || image.shape(2) == 3));
    // Every pixel was written: a sanitizer sees one that was not.
    std::uint64_t sum = 0;
    for (const std::uint8_t pixel : image.data<std::uint8_t>()) sum += pixel;
    require(sum <= 255u * static_cast<std::uint64_t>(image.numel()));
  } catch (const Error&) {
  }
}

/// The first byte says how many labels a record has and which counts.
inline void cifar(Input input) {
  if (input.empty()) return;
  const int label_bytes = 1 + (input[0] & 1), label_index = (input[0] >> 1) & 1;
  try {
    const data::Dataset set =
        data::decode_cifar(input.subspan(1), "input", label_bytes, label_index,
                           std::vector<std::string>(label_bytes == 1 ? 10 : 100, "class"));
    const data::Normalise statistics = data::channel_statistics(set);
    require(set.size() >= 1 && statistics.mean.size() == 3);
  } catch (const Error&) {
  }
}

/// A checkpoint file; and the input as the JSON text inside one, which a changed file's own would hardly ever
/// be.
inline void checkpoint(Input input) {
  const auto decode = [](Input bytes) {
    try {
      const train::Checkpoint c = train::decode(bytes, "input");
      require(c.at.epoch >= 0 && c.at.batch >= 0 && c.at.step >= 0 && c.samples >= 0);
    } catch (const Error&) {
    }
  };
  decode(input);
  try {
    decode(io::encode_safetensors({}, {{"isobit", std::string(input.begin(), input.end())}}));
  } catch (const Error&) {  // not UTF-8
  }
}

/// A network's file; the input as the text inside one, with no numbers beside it; and as a description.
inline void model(Input input) {
  const auto decode = [](Input bytes) {
    try {
      const nn::SavedModel model = nn::decode_model(bytes, "input");
      require(model.net.built() && model.net.input_shape() == model.input);
    } catch (const Error&) {
    }
  };
  const std::string text(input.begin(), input.end());
  decode(input);
  try {
    decode(io::encode_safetensors({}, {{"isobit.network", text}}));
  } catch (const Error&) {  // not UTF-8
  }
  try {
    const nn::Description d = nn::parse_description(text, "input");
    const nn::Layer net = nn::from_description(d);
    const nn::Description again = nn::describe(net);
    require(nn::describe(nn::from_description(again)) == again);
    require(nn::parse_description(nn::to_text(again)) == again);
    net.output_shape({8, 8, 2});
  } catch (const Error&) {
  }
}

/// A file of convolutions, and the input as one line: what goes through can be measured without overflow.
inline void shapes(Input input) {
  const std::string text(input.begin(), input.end());
  const auto check = [](const verify::ConvShape& shape) {
    const ConvGeometry& g = shape.geometry;
    require(g.x_size() >= 0 && g.w_size() >= 0 && g.y_size() >= 0 && g.positions() >= 1 && g.terms() >= 0);
    require(verify::parse_conv_shape(g.to_string()).geometry.to_string() == g.to_string());
  };
  try {
    for (const verify::ConvShape& shape : verify::parse_conv_shapes(text, "input")) check(shape);
  } catch (const Error&) {
  }
  try {
    check(verify::parse_conv_shape(text));
  } catch (const Error&) {
  }
}

struct Target {
  const char* name;  ///< of the folder with its seeds
  void (*run)(Input);
};
inline constexpr Target targets[] = {
    {"idx", idx},   {"idx_gzip", idx}, {"safetensors", safetensors}, {"npz", npz},     {"png", png},
    {"jpeg", jpeg}, {"cifar", cifar},  {"checkpoint", checkpoint},   {"model", model}, {"shapes", shapes},
};
/// Those of the reader of ONNX's files, which not every build has.
std::span<const Target> onnx_targets();

}  // namespace isobit::fuzz
