// PNG or JPEG, by the first bytes of the file.
#include <isobit/error.h>
#include <isobit/io.h>

#include "core/io/file.h"

namespace isobit::io {

Tensor decode_image(std::span<const std::uint8_t> bytes, std::string_view name, ImageLimits limits) {
  if (bytes.size() >= 4 && bytes[0] == 0x89 && bytes[1] == 'P' && bytes[2] == 'N' && bytes[3] == 'G')
    return decode_png(bytes, name, limits);
  if (bytes.size() >= 2 && bytes[0] == 0xff && bytes[1] == 0xd8) return decode_jpeg(bytes, name, limits);
  fail("image", "{}: {} bytes that begin neither as a PNG nor as a JPEG file", name, bytes.size());
}

Tensor read_image(const std::string& path, ImageLimits limits) {
  return decode_image(read_file("image", path), fmt::format("'{}'", path), limits);
}

}  // namespace isobit::io
