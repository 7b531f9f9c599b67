// Writes the seeds of the fuzz targets, tests/fuzz/corpus: small valid files of every kind a reader knows.
// They are in the repository; this program says where they come from and makes them again, but for the shape
// files, which were written by hand, and fashion_mnist_image, the first test image of Fashion-MNIST as an IDX
// file of its own:
//   make_seeds FOLDER
#include <fmt/format.h>
#include <isobit/io.h>
#include <isobit/nn.h>
#include <isobit/saved_model.h>
#include <isobit/train_checkpoint.h>
#include <zlib.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "tests/support/jpeg.h"
#include "tests/support/onnx.h"
#include "tests/support/png.h"

namespace {

using Bytes = std::vector<std::uint8_t>;
using isobit::test::PngBuilder;

std::string folder;

void seed(const std::string& target, const std::string& name, const Bytes& bytes) {
  std::filesystem::create_directories(folder + "/" + target);
  std::ofstream file(folder + "/" + target + "/" + name, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!file.good()) throw std::runtime_error("cannot write " + name);
}

Bytes wave(std::size_t n, int step = 7) {
  Bytes bytes(n);
  for (std::size_t i = 0; i < n; ++i)
    bytes[i] = static_cast<std::uint8_t>(i * static_cast<std::size_t>(step) + i * i / 16);
  return bytes;
}

Bytes idx(int type, const std::vector<int>& extents, std::size_t data_bytes) {
  Bytes bytes{0, 0, static_cast<std::uint8_t>(type), static_cast<std::uint8_t>(extents.size())};
  for (const int extent : extents)
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<std::uint8_t>(extent >> shift));
  const Bytes data = wave(data_bytes);
  bytes.insert(bytes.end(), data.begin(), data.end());
  return bytes;
}

Bytes gzip(const Bytes& plain, int level, int strategy) {
  z_stream stream{};
  if (deflateInit2(&stream, level, Z_DEFLATED, 16 + MAX_WBITS, 8, strategy) != Z_OK)
    throw std::runtime_error("zlib");
  Bytes out(plain.size() + 200);
  stream.next_in = const_cast<Bytef*>(plain.data());
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

void idx_seeds() {
  const Bytes images = idx(0x08, {2, 9, 8}, 144), labels = idx(0x08, {4}, 4), doubles = idx(0x0e, {1, 2}, 16);
  seed("idx", "images", images);
  seed("idx", "labels", labels);
  seed("idx", "signed_bytes", idx(0x09, {3}, 3));
  seed("idx", "shorts", idx(0x0b, {2, 2}, 8));
  seed("idx", "ints", idx(0x0c, {3}, 12));
  seed("idx", "floats", idx(0x0d, {2, 1, 2}, 16));
  seed("idx", "doubles", doubles);
  seed("idx", "empty", idx(0x08, {0, 3}, 0));
  seed("idx_gzip", "images", gzip(images, 9, Z_DEFAULT_STRATEGY));
  seed("idx_gzip", "labels_stored", gzip(labels, 0, Z_DEFAULT_STRATEGY));
  seed("idx_gzip", "doubles_fixed", gzip(doubles, 6, Z_FIXED));
  Bytes joined = gzip(Bytes(images.begin(), images.begin() + 50), 9, Z_DEFAULT_STRATEGY);
  const Bytes rest = gzip(Bytes(images.begin() + 50, images.end()), 1, Z_HUFFMAN_ONLY);
  joined.insert(joined.end(), rest.begin(), rest.end());
  seed("idx_gzip", "two_members", joined);
}

void safetensors_seeds() {
  using namespace isobit;
  const Bytes bytes = wave(64);
  const auto tensor = [&](DType dtype, const Shape& shape) {
    return from_bytes(bytes.data(), shape, {.dtype = dtype});
  };
  const std::uint8_t booleans[] = {0, 1, 1};
  seed("safetensors", "all_dtypes",
       io::encode_safetensors({{"f32", tensor(DType::f32, {2, 3})},
                               {"f64", tensor(DType::f64, {2})},
                               {"f16", tensor(DType::f16, {3})},
                               {"bf16", tensor(DType::bf16, {1, 1})},
                               {"i32", tensor(DType::i32, {2})},
                               {"i64", tensor(DType::i64, {})},
                               {"u8", tensor(DType::u8, {5})},
                               {"bool", from_bytes(booleans, {3}, {.dtype = DType::boolean})}}));
  seed("safetensors", "metadata",
       io::encode_safetensors({{"0.w", tensor(DType::f32, {1, 2})}},
                              {{"format", "pt"}, {"step", "7"}, {"\xc3\xa9", "\n"}}));
  seed("safetensors", "empty", io::encode_safetensors({}, {}));
  seed("safetensors", "no_elements",
       io::encode_safetensors({{"a", tensor(DType::f32, {0, 4})}, {"b", tensor(DType::u8, {1})}}));
}

void png_seeds() {
  const auto rows = [](int height, int row_bytes, int filter = 0) {
    Bytes raw;
    for (int i = 0; i < height; ++i) {
      raw.push_back(static_cast<std::uint8_t>(filter < 0 ? i % 5 : filter));
      const Bytes row = wave(static_cast<std::size_t>(row_bytes), 3 + i);
      raw.insert(raw.end(), row.begin(), row.end());
    }
    return raw;
  };
  const Bytes palette = wave(12);
  seed("png", "gray", PngBuilder().header(5, 4, 8, 0).pixels(rows(4, 5)).finish());
  seed("png", "gray_1_bit", PngBuilder().header(9, 3, 1, 0).pixels(rows(3, 2)).finish());
  seed("png", "gray_2_bits_transparent",
       PngBuilder().header(5, 2, 2, 0).chunk("tRNS", {0, 1}).pixels(rows(2, 2)).finish());
  seed("png", "gray_16_bits", PngBuilder().header(3, 2, 16, 0).pixels(rows(2, 6)).finish());
  seed("png", "gray_alpha", PngBuilder().header(3, 3, 8, 4).pixels(rows(3, 6, -1)).finish());
  seed("png", "rgb_filters", PngBuilder().header(4, 6, 8, 2).pixels(rows(6, 12, -1)).finish());
  seed("png", "rgb_16_bits", PngBuilder().header(2, 2, 16, 2).pixels(rows(2, 12)).finish());
  seed("png", "rgba", PngBuilder().header(3, 2, 8, 6).pixels(rows(2, 12, 4)).finish());
  seed("png", "palette", PngBuilder().header(4, 1, 2, 3).chunk("PLTE", palette).pixels({0, 0x1b}).finish());
  seed("png", "palette_transparent",
       PngBuilder()
           .header(2, 2, 4, 3)
           .chunk("PLTE", palette)
           .chunk("tRNS", {9, 0})
           .pixels({0, 0x12, 0, 0x30})
           .finish());
  seed("png", "interlaced", PngBuilder().header(2, 2, 8, 0, 1).pixels({0, 1, 0, 2, 0, 3, 4}).finish());
  seed("png", "with_text",
       PngBuilder()
           .header(1, 1, 8, 0)
           .chunk("gAMA", {0, 0, 0xb1, 0x8f})
           .chunk("tEXt", {'a', 0, 'b'})
           .pixels({0, 77})
           .finish());
}

void jpeg_seeds() {
  using isobit::test::encode_jpeg;
  const Bytes pixels = wave(17 * 18 * 4, 1);
  seed("jpeg", "gray", encode_jpeg(pixels, 9, 11, 1, {.quality = 50}));
  seed("jpeg", "rgb_420", encode_jpeg(pixels, 17, 18, 3, {.quality = 30}));
  seed("jpeg", "rgb_444_restarts",
       encode_jpeg(pixels, 17, 9, 3, {.quality = 80, .subsampled = false, .restart_rows = 1}));
  seed("jpeg", "rgb_progressive", encode_jpeg(pixels, 16, 16, 3, {.quality = 60, .progressive = true}));
  seed("jpeg", "gray_progressive", encode_jpeg(pixels, 8, 8, 1, {.progressive = true}));
  seed("jpeg", "cmyk", encode_jpeg(pixels, 8, 8, 4));
}

void cifar_seeds() {
  for (const int kind : {0, 1, 3}) {
    const int label_bytes = 1 + (kind & 1);
    Bytes bytes{static_cast<std::uint8_t>(kind)};
    for (int i = 0; i < label_bytes; ++i) bytes.push_back(static_cast<std::uint8_t>(3 + i));
    for (const std::uint8_t byte : wave(3072))
      bytes.push_back(byte);  // insert: g++ 12 warns of what cannot be
    seed("cifar", fmt::format("labels_{}_first_{}", label_bytes, kind >> 1), bytes);
  }
}

void checkpoint_seeds() {
  using namespace isobit;
  train::Checkpoint c;
  c.model = "lenet";
  c.input = Shape({28, 28, 1});
  c.classes = {"Trouser", "\xc3\xa9"};
  c.normalise = {{0.25}, {0.5}};
  c.at = {1, 2, 3};
  c.samples = 60;
  const Bytes bytes = wave(16);
  c.weights.emplace_back("0.weight", from_bytes(bytes.data(), {2, 1}, {.dtype = DType::f32}));
  c.optimizer.emplace_back("0.weight.momentum", from_bytes(bytes.data() + 8, {2, 1}, {.dtype = DType::f32}));
  const std::string path = folder + "/checkpoint/file";
  std::filesystem::create_directories(folder + "/checkpoint");
  train::save(path, c);
  const std::string text = io::read_safetensors(path).metadata.at("isobit");
  seed("checkpoint", "text", Bytes(text.begin(), text.end()));
  c.options.optimizer = "adamw";
  c.options.schedule = "constant";
  c.options.lr = 1e-3;
  c.options.augment = {.crop_pad = 2, .shift = 1, .flip = true};
  train::save(folder + "/checkpoint/file_adamw", c);
}

void model_seeds() {
  using namespace isobit;
  const nn::Conv2D shared(2, 3, {.padding = Same, .mode = PadMode::reflect, .init = nn::normal(0, 0.5)});
  const nn::Sequential net{nn::Input({3, 3, 2}, {.deviation = 255}),
                           shared,
                           nn::Residual(nn::Sequential{shared, nn::BatchNorm(), nn::ReLU()}),
                           nn::Concat{nn::Sequential{}, nn::MaxPool(3, {.stride = 1, .padding = 1})},
                           nn::Flatten(),
                           nn::Linear(2, {.bias = false})};
  net.build({3, 3, 2}, Device::cpu(), Seed{5});
  std::filesystem::create_directories(folder + "/model");
  nn::save_model(folder + "/model/file", net, {"small", {"a", "b"}, {{0.5}, {0.25}}});
  const std::string text = nn::model_text(nn::Pad(1).build({4, 4, 1}));
  seed("model", "text", Bytes(text.begin(), text.end()));
  const nn::Sequential layers{
      nn::ConvTranspose2D(4, {3, 2}, {.stride = 2, .output_padding = {1, 0}}),
      nn::Pad(Padding({{1, 2}, {0, 1}}), {.mode = {PadMode::symmetric, PadMode::circular}}),
      nn::GroupNorm(2),
      nn::LpPool(2, 3),
      nn::Upsample(2, Interpolation::linear),
      nn::PixelShuffle(2),
      nn::LocalResponseNorm(5),
      nn::LeakyReLU(0.2),
      nn::Dropout(0.5)};
  const std::string described = nn::to_text(nn::describe(layers));
  seed("model", "description", Bytes(described.begin(), described.end()));
}

// ONNX's numbers of element types: 1 f32, 6 i32, 7 i64, 9 bool, 10 f16, 11 f64, 2 u8, 3 int8.
void onnx_seeds() {
  using isobit::test::attribute;
  using isobit::test::floats;
  using isobit::test::Message;
  const auto typed = [](std::uint64_t type, std::uint64_t extent) {
    return Message().number(1, extent).number(2, type);
  };
  seed("onnx_tensor", "raw_f32", isobit::test::tensor({2, 1, 3}, 1, floats({1, 2, 3, -4, 5, 6})).done());
  seed("onnx_tensor", "raw_bool", isobit::test::tensor({3}, 9, {0, 1, 2}).done());
  seed("onnx_tensor", "raw_int8", isobit::test::tensor({2}, 3, {7, 200}).done());
  seed("onnx_tensor", "scalar_i64", typed(7, 1).number(7, 9).text(8, "n").done());
  seed("onnx_tensor", "packed_f32", typed(1, 2).bytes(4, floats({1, 2})).done());
  seed("onnx_tensor", "f16_u8", typed(10, 2).number(5, 0x3c00).number(5, 0xfc00).done());
  seed("onnx_tensor", "u8", typed(2, 3).number(5, 0).number(5, 255).number(5, 3).done());
  seed("onnx_tensor", "f64", typed(11, 1).bytes(10, wave(8)).done());
  seed("onnx_tensor", "external", typed(1, 2).number(14, 1).done());
  seed("onnx_tensor", "no_elements", isobit::test::tensor({0, 5}, 6, {}).done());

  const Message number =
      Message().text(1, "alpha").bytes(2, wave(4)).number(20, 1);  // fixed32 by a wrong wire
  const Message text = Message().text(1, "auto_pad").text(4, "SAME_UPPER").number(20, 3);
  const Message value =
      Message().text(1, "value").message(5, isobit::test::tensor({1}, 1, floats({2}))).number(20, 4);
  seed("onnx_model", "conv",
       isobit::test::model("Conv", {attribute("group", 2), attribute("pads", {1, 0, 1, 0}), text}, 1,
                           {"x", "w", ""})
           .done());
  seed("onnx_model", "constant", isobit::test::model("Constant", {value, number}, 7, {}).done());
  seed("onnx_model", "unknown", isobit::test::model("Unknown", {}, 3).done());
  const Message node = Message().text(1, "w").text(2, "y").text(4, "Relu").text(7, "ai.onnx");
  const Message graph = Message()
                            .message(1, node)
                            .message(5, typed(1, 1).text(8, "w").bytes(9, floats({3})))
                            .message(5, typed(3, 1).text(8, "v").bytes(9, {3}))
                            .message(11, Message().text(1, "w"))
                            .message(12, Message().text(1, "y"));
  seed(
      "onnx_model", "initializers",
      Message().number(1, 8).message(7, graph).message(8, Message().text(1, "ai.onnx").number(2, 13)).done());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_seeds FOLDER\n");
    return 1;
  }
  folder = argv[1];
  idx_seeds();
  safetensors_seeds();
  png_seeds();
  jpeg_seeds();
  cifar_seeds();
  checkpoint_seeds();
  model_seeds();
  onnx_seeds();
  return 0;
}
