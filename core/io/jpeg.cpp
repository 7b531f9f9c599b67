// JPEG through libjpeg. libjpeg's error handler must not return: it jumps. As in png.cpp, no object with a
// destructor lives between a setjmp and the calls that may jump; everything that owns memory is made by the
// callers.
#include <isobit/error.h>
#include <isobit/io.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>

// After <cstdio>: jpeglib.h uses FILE and size_t without including what declares them.
#include <jerror.h>
#include <jpeglib.h>

#include "core/io/file.h"

namespace isobit::io {
namespace {

constexpr std::string_view op = "jpeg";
// A progressive file can make the decoder go over the whole image once for every few bytes; real ones have 10
// scans.
constexpr int max_scans = 100;

struct Failure {
  jpeg_error_mgr manager;  // first: libjpeg hands back a pointer to it
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

Failure& failure_of(j_common_ptr jpeg) {
  return *reinterpret_cast<Failure*>(jpeg->err);
}

[[noreturn]] void on_error(j_common_ptr jpeg) {
  Failure& failure = failure_of(jpeg);
  jpeg->err->format_message(jpeg, failure.message);
  std::longjmp(failure.jump, 1);
}

// Level -1 is a warning: the data are damaged and libjpeg would go on with pixels it made up. Only the few
// that change no pixel are let through.
void on_message(j_common_ptr jpeg, int level) {
  if (level >= 0) return;
  const int code = jpeg->err->msg_code;
  if (code == JWRN_EXTRANEOUS_DATA || code == JWRN_ADOBE_XFORM || code == JWRN_JFIF_MAJOR) return;
  on_error(jpeg);
}

void on_output(j_common_ptr) {}

void on_progress(j_common_ptr jpeg) {
  const auto* decoder = reinterpret_cast<j_decompress_ptr>(jpeg);
  if (decoder->input_scan_number <= max_scans) return;
  Failure& failure = failure_of(jpeg);
  std::snprintf(failure.message, sizeof failure.message, "more than %d scans", max_scans);
  std::longjmp(failure.jump, 1);
}

struct Reader {
  Failure failure{};
  jpeg_progress_mgr progress{};
  jpeg_decompress_struct jpeg{};

  Reader() {
    jpeg.err = jpeg_std_error(&failure.manager);
    failure.manager.error_exit = on_error;
    failure.manager.emit_message = on_message;
    failure.manager.output_message = on_output;
    progress.progress_monitor = on_progress;
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { jpeg_destroy_decompress(&jpeg); }  // destroys also what was never created
};

bool read_header(Reader& reader, const std::uint8_t* bytes, std::size_t count) {
  if (setjmp(reader.failure.jump)) return false;
  jpeg_create_decompress(&reader.jpeg);
  reader.jpeg.progress = &reader.progress;
  jpeg_mem_src(&reader.jpeg, bytes, static_cast<unsigned long>(count));
  jpeg_read_header(&reader.jpeg, TRUE);
  return true;
}

// Every setting that pixels depend on is made here, not left to the library's defaults.
bool start(Reader& reader) {
  if (setjmp(reader.failure.jump)) return false;
  reader.jpeg.out_color_space = reader.jpeg.jpeg_color_space == JCS_GRAYSCALE ? JCS_GRAYSCALE : JCS_RGB;
  reader.jpeg.dct_method = JDCT_ISLOW;
  reader.jpeg.do_fancy_upsampling = TRUE;
  reader.jpeg.do_block_smoothing = FALSE;
  jpeg_start_decompress(&reader.jpeg);
  return true;
}

bool read_pixels(Reader& reader, std::uint8_t* pixels) {
  if (setjmp(reader.failure.jump)) return false;
  const std::size_t row_bytes =
      static_cast<std::size_t>(reader.jpeg.output_width) * reader.jpeg.output_components;
  while (reader.jpeg.output_scanline < reader.jpeg.output_height) {
    JSAMPROW row = pixels + reader.jpeg.output_scanline * row_bytes;
    jpeg_read_scanlines(&reader.jpeg, &row, 1);
  }
  jpeg_finish_decompress(&reader.jpeg);
  return true;
}

}  // namespace

Tensor decode_jpeg(std::span<const std::uint8_t> bytes, std::string_view name, ImageLimits limits) {
  if (bytes.size() < 3 || bytes[0] != 0xff || bytes[1] != 0xd8 || bytes[2] != 0xff)
    fail(op, "{}: this is not a JPEG file", name);
  Reader reader;
  if (!read_header(reader, bytes.data(), bytes.size())) fail(op, "{}: {}", name, reader.failure.message);
  const std::int64_t height = reader.jpeg.image_height, width = reader.jpeg.image_width;
  if (height < 1 || width < 1) fail(op, "{}: {} x {} pixels", name, height, width);
  if (width > limits.max_pixels / height)
    fail(op, "{}: {} x {} pixels, at most {} are read", name, height, width, limits.max_pixels);
  const auto space = reader.jpeg.jpeg_color_space;
  if (space == JCS_CMYK || space == JCS_YCCK)
    fail(op, "{}: the image is CMYK; convert it to RGB or gray", name);
  if (space != JCS_GRAYSCALE && space != JCS_RGB && space != JCS_YCbCr)
    fail(op, "{}: {} components of an unknown colour space; expected gray or RGB", name,
         reader.jpeg.num_components);
  if (!start(reader)) fail(op, "{}: {}", name, reader.failure.message);
  Tensor image = empty({height, width, reader.jpeg.output_components}, {.dtype = DType::u8});
  if (!read_pixels(reader, static_cast<std::uint8_t*>(image.mutable_raw())))
    fail(op, "{}: {}", name, reader.failure.message);
  return image;
}

Tensor read_jpeg(const std::string& path, ImageLimits limits) {
  return decode_jpeg(read_file(op, path), fmt::format("'{}'", path), limits);
}

}  // namespace isobit::io
