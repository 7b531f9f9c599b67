// The header of a safetensors file, checked.
#pragma once

#include <isobit/io.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace isobit::io {

/// One tensor of a file; its elements are bytes [begin, end) behind the header.
struct HeaderEntry {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  std::uint64_t begin = 0, end = 0;
};

struct Header {
  std::vector<HeaderEntry> entries;  ///< by begin; they cover the data without a hole or an overlap
  Metadata metadata;
};

/// The largest header that is read; the format's own library draws the same line.
inline constexpr std::uint64_t max_header_bytes = 100'000'000;

/// Parses and checks the JSON text; `data_bytes` is what the file holds behind it. Throws Error that begins
/// with the file's name.
Header parse_header(std::string_view json, std::uint64_t data_bytes, std::string_view file);

/// "F32" and so on, as the format spells them.
std::string_view format_name(DType dtype);

}  // namespace isobit::io
