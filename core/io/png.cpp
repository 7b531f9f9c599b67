// PNG through libpng. libpng reports errors by longjmp: no object with a destructor lives between a setjmp
// and the calls that may jump, in any function here; everything that owns memory is made by the callers.
#include <isobit/error.h>
#include <isobit/io.h>
#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>

#include "core/io/file.h"

namespace isobit::io {
namespace {

constexpr std::string_view op = "png";

// Deflate expands at most 1032 times (a 258-byte match in 2 bits), so a header that promises more is lying.
constexpr std::uint64_t max_expansion = 1032;
// The largest palette has 768 bytes; libpng would allocate what a chunk's length says before it reads the
// chunk.
constexpr png_alloc_size_t max_chunk_bytes = 1'000'000;

struct Failure {
  char message[200] = "";
};

void on_error(png_structp png, png_const_charp message) {
  auto* failure = static_cast<Failure*>(png_get_error_ptr(png));
  std::snprintf(failure->message, sizeof failure->message, "%s", message);
  png_longjmp(png, 1);
}

// Warnings are about chunks that do not touch the pixels; damage to the pixels is an error.
void on_warning(png_structp, png_const_charp) {}

struct Input {
  const std::uint8_t* at;
  std::size_t left;
};

void on_read(png_structp png, png_bytep destination, png_size_t count) {
  auto* input = static_cast<Input*>(png_get_io_ptr(png));
  if (count > input->left) png_error(png, "the file ends too early");
  std::memcpy(destination, input->at, count);
  input->at += count;
  input->left -= count;
}

void on_write(png_structp png, png_bytep bytes, png_size_t count) {
  auto* out = static_cast<std::vector<std::uint8_t>*>(png_get_io_ptr(png));
  bool good = true;
  try {
    out->insert(out->end(), bytes, bytes + count);
  } catch (...) {  // no exception may pass through libpng's frames
    good = false;
  }
  if (!good) png_error(png, "out of memory");
}

void on_flush(png_structp) {}

struct Reader {
  Failure failure;
  Input input;
  png_structp png;
  png_infop info = nullptr;

  explicit Reader(std::span<const std::uint8_t> bytes)
      : input{bytes.data(), bytes.size()},
        png(png_create_read_struct(PNG_LIBPNG_VER_STRING, &failure, on_error, on_warning)) {
    if (png != nullptr) info = png_create_info_struct(png);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
};

struct Extent {
  std::int64_t height, width;
  std::uint64_t row_bytes_in_file;
};

bool read_header(Reader& reader, Extent& extent) {
  if (setjmp(png_jmpbuf(reader.png))) return false;
  png_set_read_fn(reader.png, &reader.input, on_read);
  png_set_user_limits(reader.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_chunk_malloc_max(reader.png, max_chunk_bytes);
  // Text, profiles, times and the like are passed over: nothing here looks at them.
  png_set_keep_unknown_chunks(reader.png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_set_crc_action(reader.png, PNG_CRC_ERROR_QUIT, PNG_CRC_WARN_DISCARD);
  png_read_info(reader.png, reader.info);
  extent.height = png_get_image_height(reader.png, reader.info);
  extent.width = png_get_image_width(reader.png, reader.info);
  extent.row_bytes_in_file = png_get_rowbytes(reader.png, reader.info);
  return true;
}

// Asks for 8 bits a channel and gives the channels there will be.
bool set_transforms(Reader& reader, int& channels) {
  if (setjmp(png_jmpbuf(reader.png))) return false;
  const auto colour = png_get_color_type(reader.png, reader.info);
  if (colour == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(reader.png);
  if (colour == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(reader.png);
  if (png_get_valid(reader.png, reader.info, PNG_INFO_tRNS)) png_set_tRNS_to_alpha(reader.png);
  png_set_scale_16(reader.png);
  png_set_interlace_handling(reader.png);
  png_read_update_info(reader.png, reader.info);
  channels = png_get_channels(reader.png, reader.info);
  return png_get_bit_depth(reader.png, reader.info) == 8;
}

bool read_pixels(Reader& reader, png_bytepp rows) {
  if (setjmp(png_jmpbuf(reader.png))) return false;
  png_read_image(reader.png, rows);
  png_read_end(reader.png, nullptr);
  return true;
}

struct PngWriter {
  Failure failure;
  png_structp png;
  png_infop info = nullptr;

  PngWriter() : png(png_create_write_struct(PNG_LIBPNG_VER_STRING, &failure, on_error, on_warning)) {
    if (png != nullptr) info = png_create_info_struct(png);
  }
  PngWriter(const PngWriter&) = delete;
  PngWriter& operator=(const PngWriter&) = delete;
  ~PngWriter() { png_destroy_write_struct(&png, &info); }
};

bool write_image(PngWriter& writer, std::vector<std::uint8_t>& out, png_uint_32 height, png_uint_32 width,
                 int channels, const std::uint8_t* pixels) {
  constexpr int colours[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                             PNG_COLOR_TYPE_RGB_ALPHA};
  if (setjmp(png_jmpbuf(writer.png))) return false;
  png_set_write_fn(writer.png, &out, on_write, on_flush);
  png_set_user_limits(writer.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_IHDR(writer.png, writer.info, width, height, 8, colours[channels - 1], PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(writer.png, writer.info);
  for (png_uint_32 row = 0; row < height; ++row)
    png_write_row(writer.png, pixels + static_cast<std::size_t>(row) * width * channels);
  png_write_end(writer.png, nullptr);
  return true;
}

}  // namespace

Tensor decode_png(std::span<const std::uint8_t> bytes, std::string_view name, ImageLimits limits) {
  if (bytes.size() < 8 || png_sig_cmp(bytes.data(), 0, 8) != 0) fail(op, "{}: this is not a PNG file", name);
  Reader reader(bytes);
  if (reader.info == nullptr) throw OutOfMemory(std::string(op), "libpng could not be set up");
  Extent extent{};
  if (!read_header(reader, extent)) fail(op, "{}: {}", name, reader.failure.message);
  if (extent.width > limits.max_pixels / extent.height)
    fail(op, "{}: {} x {} pixels, at most {} are read", name, extent.height, extent.width, limits.max_pixels);
  const auto promised = static_cast<std::uint64_t>(extent.height) * extent.row_bytes_in_file;
  if (promised / max_expansion > bytes.size())
    fail(op, "{}: {} x {} pixels are {} bytes, which {} bytes of file cannot hold", name, extent.height,
         extent.width, promised, bytes.size());
  int channels = 0;
  if (!set_transforms(reader, channels))
    fail(op, "{}: {}", name, reader.failure.message[0] ? reader.failure.message : "unknown bit depth");

  Tensor image = empty({extent.height, extent.width, channels}, {.dtype = DType::u8});
  auto* pixels = static_cast<std::uint8_t*>(image.mutable_raw());
  std::vector<png_bytep> rows(static_cast<std::size_t>(extent.height));
  for (std::size_t row = 0; row < rows.size(); ++row)
    rows[row] = pixels + row * static_cast<std::size_t>(extent.width * channels);
  if (!read_pixels(reader, rows.data())) fail(op, "{}: {}", name, reader.failure.message);
  return image;
}

Tensor read_png(const std::string& path, ImageLimits limits) {
  return decode_png(read_file(op, path), fmt::format("'{}'", path), limits);
}

std::vector<std::uint8_t> encode_png(const Tensor& image) {
  const Shape& shape = image.shape();
  const std::int64_t channels = shape.rank() == 3 ? shape[2] : 1;
  if (image.dtype() != DType::u8 || shape.rank() < 2 || shape.rank() > 3 || channels < 1 || channels > 4)
    fail(op, "an image is u8 [h, w] or [h, w, c] with 1 to 4 channels, this is {} {}", image.dtype(), shape);
  if (shape[0] < 1 || shape[1] < 1 || shape[0] > PNG_UINT_31_MAX || shape[1] > PNG_UINT_31_MAX)
    fail(op, "an image has 1 to {} rows and columns, this is {}", PNG_UINT_31_MAX, shape);
  const Tensor host = image.to(Device::cpu());
  PngWriter writer;
  if (writer.info == nullptr) throw OutOfMemory(std::string(op), "libpng could not be set up");
  std::vector<std::uint8_t> out;
  if (!write_image(writer, out, static_cast<png_uint_32>(shape[0]), static_cast<png_uint_32>(shape[1]),
                   static_cast<int>(channels), host.data<std::uint8_t>().data()))
    fail(op, "cannot encode {}: {}", shape, writer.failure.message);
  return out;
}

void write_png(const std::string& path, const Tensor& image) {
  const std::vector<std::uint8_t> bytes = encode_png(image);
  write_atomically(path, [&](Writer& out) { out.write(bytes.data(), bytes.size()); });
}

}  // namespace isobit::io
