// Makes JPEG data for tests of the reader and for the seeds of its fuzz target.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

// After <cstdio>: jpeglib.h uses FILE and size_t without including what declares them.
#include <jpeglib.h>

namespace isobit::test {

struct JpegOptions {
  int quality = 90;
  bool progressive = false;
  bool subsampled = true;  ///< colour at half the resolution
  int restart_rows = 0;
};

/// pixels [height, width, channels]; 1 gray, 3 RGB, 4 CMYK. libjpeg ends the process on bad arguments.
inline std::vector<std::uint8_t> encode_jpeg(const std::vector<std::uint8_t>& pixels, int height, int width,
                                             int channels, const JpegOptions& options = {}) {
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr manager;
  jpeg.err = jpeg_std_error(&manager);
  jpeg_create_compress(&jpeg);
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &memory, &size);
  jpeg.image_height = static_cast<JDIMENSION>(height);
  jpeg.image_width = static_cast<JDIMENSION>(width);
  jpeg.input_components = channels;
  jpeg.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, options.quality, TRUE);
  if (options.progressive) jpeg_simple_progression(&jpeg);
  if (!options.subsampled) jpeg.comp_info[0].h_samp_factor = jpeg.comp_info[0].v_samp_factor = 1;
  jpeg.restart_in_rows = options.restart_rows;
  jpeg_start_compress(&jpeg, TRUE);
  for (int row = 0; row < height; ++row) {
    auto* line = const_cast<JSAMPROW>(pixels.data() + static_cast<std::size_t>(row) * width * channels);
    jpeg_write_scanlines(&jpeg, &line, 1);
  }
  jpeg_finish_compress(&jpeg);
  std::vector<std::uint8_t> bytes(memory, memory + size);
  jpeg_destroy_compress(&jpeg);
  std::free(memory);
  return bytes;
}

}  // namespace isobit::test
