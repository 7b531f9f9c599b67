// The IDX format, plain or gzip. The elements are read piece by piece, so a header that promises more than
// the file holds costs no more memory than the file's real contents.
#include <isobit/data.h>
#include <isobit/error.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "core/io/file.h"

namespace isobit::data {
namespace {

constexpr std::string_view op = "idx";
constexpr std::size_t first_piece = std::size_t{1} << 16;

// Bytes in order, from memory as they are or through gzip.
class ByteStream {
 public:
  explicit ByteStream(std::span<const std::uint8_t> bytes, std::string_view name)
      : bytes_(bytes), name_(name), zipped_(bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b) {
    if (!zipped_) return;
    // 16: a gzip wrapper is expected, and its checksum and length are verified.
    if (inflateInit2(&stream_, 16 + MAX_WBITS) != Z_OK)
      throw OutOfMemory(std::string(op), "zlib could not be set up");
  }
  ByteStream(const ByteStream&) = delete;
  ByteStream& operator=(const ByteStream&) = delete;
  ~ByteStream() {
    if (zipped_) inflateEnd(&stream_);
  }

  // Up to `count` bytes; fewer only at the end.
  std::size_t read(std::uint8_t* destination, std::size_t count) {
    std::size_t done = 0;
    while (done < count) {
      const std::size_t got = zipped_ ? inflate_some(destination + done, count - done)
                                      : copy_some(destination + done, count - done);
      if (got == 0) break;
      done += got;
    }
    return done;
  }

  bool zipped() const { return zipped_; }

 private:
  std::size_t copy_some(std::uint8_t* destination, std::size_t count) {
    const std::size_t n = std::min(count, bytes_.size() - at_);
    std::copy_n(bytes_.data() + at_, n, destination);
    at_ += n;
    return n;
  }

  std::size_t inflate_some(std::uint8_t* destination, std::size_t count) {
    constexpr std::size_t most = std::numeric_limits<uInt>::max();
    const auto room = static_cast<uInt>(std::min(count, most));
    stream_.next_out = destination;
    stream_.avail_out = room;
    while (stream_.avail_out == room && !ended_) {
      const auto given = static_cast<uInt>(std::min(bytes_.size() - at_, most));
      stream_.next_in = const_cast<Bytef*>(bytes_.data() + at_);  // zlib only reads it
      stream_.avail_in = given;
      const int status = inflate(&stream_, Z_NO_FLUSH);
      at_ += given - stream_.avail_in;
      if (status == Z_STREAM_END) {
        next_member();
      } else if (status == Z_BUF_ERROR || (status == Z_OK && given == 0 && stream_.avail_out == room)) {
        fail(op, "{}: the gzip data end too early, after {} bytes of file", name_, bytes_.size());
      } else if (status != Z_OK) {
        fail(op, "{}: the gzip data are damaged before byte {}: {}", name_, at_,
             stream_.msg != nullptr ? stream_.msg : "unknown error");
      }
    }
    return room - stream_.avail_out;
  }

  // gzip files may be joined end to end; anything else behind one is garbage.
  void next_member() {
    if (at_ == bytes_.size()) {
      ended_ = true;
    } else if (bytes_.size() - at_ < 2 || bytes_[at_] != 0x1f || bytes_[at_ + 1] != 0x8b) {
      fail(op, "{}: {} bytes of garbage behind the gzip data", name_, bytes_.size() - at_);
    } else if (inflateReset(&stream_) != Z_OK) {
      fail(op, "{}: the gzip data cannot be continued at byte {}", name_, at_);
    }
  }

  std::span<const std::uint8_t> bytes_;
  std::string name_;
  bool zipped_;
  std::size_t at_ = 0;
  bool ended_ = false;
  z_stream stream_{};
};

struct Element {
  DType dtype;
  std::size_t bytes;  // in the file
};

Element element_of(std::uint8_t type, std::string_view name) {
  switch (type) {
    case 0x08:
      return {DType::u8, 1};
    case 0x09:
      return {DType::i32, 1};
    case 0x0b:
      return {DType::i32, 2};
    case 0x0c:
      return {DType::i32, 4};
    case 0x0d:
      return {DType::f32, 4};
    case 0x0e:
      return {DType::f64, 8};
    default:
      fail(op, "{}: element type 0x{:02x} is none of IDX (08, 09, 0b, 0c, 0d, 0e)", name, type);
  }
}

std::uint64_t big_endian(const std::uint8_t* bytes, std::size_t count) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < count; ++i) value = value << 8 | bytes[i];
  return value;
}

// The elements of every type but u8, in the machine's byte order.
void convert(std::uint8_t type, const std::uint8_t* from, std::size_t bytes, Tensor& to) {
  const auto numel = static_cast<std::size_t>(to.numel());
  auto* out = static_cast<std::uint8_t*>(to.mutable_raw());
  for (std::size_t i = 0; i < numel; ++i) {
    const std::uint64_t raw = big_endian(from + i * bytes, bytes);
    if (type == 0x0e) {
      std::memcpy(out + 8 * i, &raw, 8);
      continue;
    }
    auto word = static_cast<std::uint32_t>(raw);
    if (type == 0x09) word = static_cast<std::uint32_t>(std::int32_t{static_cast<std::int8_t>(word)});
    if (type == 0x0b) word = static_cast<std::uint32_t>(std::int32_t{static_cast<std::int16_t>(word)});
    std::memcpy(out + 4 * i, &word, 4);
  }
}

}  // namespace

Tensor decode_idx(std::span<const std::uint8_t> bytes, std::string_view name) {
  ByteStream stream(bytes, name);
  std::uint8_t magic[4];
  if (stream.read(magic, 4) != 4) fail(op, "{}: too short for an IDX file", name);
  if (magic[0] != 0 || magic[1] != 0)
    fail(op, "{}: magic number {:08x}, expected 0000 then type and rank", name, big_endian(magic, 4));
  const Element element = element_of(magic[2], name);
  const int rank = magic[3];
  if (rank < 1 || rank > Shape::max_rank)
    fail(op, "{}: {} axes, expected 1 to {}", name, rank, Shape::max_rank);
  std::uint8_t extent_bytes[4 * Shape::max_rank];
  if (stream.read(extent_bytes, 4 * static_cast<std::size_t>(rank)) != 4 * static_cast<std::size_t>(rank))
    fail(op, "{}: the file ends inside its header", name);
  std::vector<std::int64_t> extents;
  for (int i = 0; i < rank; ++i)
    extents.push_back(static_cast<std::int64_t>(big_endian(extent_bytes + 4 * i, 4)));
  Shape shape;
  try {
    shape = Shape(std::span<const std::int64_t>(extents));
  } catch (const Error& error) {
    fail(op, "{}: {}", name, error.what());
  }
  const auto promised = static_cast<std::uint64_t>(shape.numel()) * element.bytes;

  std::vector<std::uint8_t> data;
  while (data.size() < promised) {
    const std::size_t had = data.size();
    const std::uint64_t piece = std::max<std::uint64_t>(first_piece, had);
    data.resize(had + static_cast<std::size_t>(std::min<std::uint64_t>(piece, promised - had)));
    const std::size_t got = stream.read(data.data() + had, data.size() - had);
    if (got < data.size() - had)
      fail(op, "{}: {} {} needs {} bytes, the file holds {}", name, element.dtype, shape, promised,
           had + got);
  }
  std::uint8_t extra;
  if (stream.read(&extra, 1) != 0)
    fail(op, "{}: there is more behind the {} bytes of {} {}", name, promised, element.dtype, shape);

  if (element.dtype == DType::u8) return from_bytes(data.data(), shape, {.dtype = DType::u8});
  Tensor result = empty(shape, {.dtype = element.dtype});
  if (result.numel() > 0) convert(magic[2], data.data(), element.bytes, result);
  return result;
}

Tensor read_idx(const std::string& path) {
  return decode_idx(io::read_file(op, path), fmt::format("'{}'", path));
}

}  // namespace isobit::data
