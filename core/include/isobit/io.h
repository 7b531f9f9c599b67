// Files: safetensors, PNG, JPEG, writing that survives a crash, and the digest of named tensors.
//
// Every reader takes its input for hostile until it is checked: whatever the bytes are, the result is either
// the decoded value or an Error that names the file and what is wrong with it, and memory is bounded by the
// size of the file or by the limits given. decode_* read from memory; `name` stands for the file in messages.
#pragma once
#include <isobit/tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace isobit::io {

/// Tensors with their names, in an order that matters to the reader only; names are unique.
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;
/// Free text beside the tensors of a file.
using Metadata = std::map<std::string, std::string>;

/// SHA-256, in hex, of one line "<bytes of the name> <name> <Tensor::digest()>\n" for every tensor, sorted by
/// name (bytewise): covers names, dtypes, shapes and values (NaNs made canonical), not the order of the list.
/// Throws Error when a name occurs twice or a tensor is undefined.
std::string digest(const NamedTensors& tensors);

// ---- writing

/// Takes the bytes of a file that is being written.
class Writer {
 public:
  virtual ~Writer() = default;
  virtual void write(const void* bytes, std::size_t count) = 0;
};

/// Replaces the file at `path`, or makes it, as a whole: `writer` fills a temporary file beside it
/// (path.partial, or path.partial1, ... while another process is writing), which is synced to the disk,
/// renamed over `path`, and the directory is synced. A symbolic link is followed. Whenever the process dies,
/// the file is the old one or the new one, never a mixture; a temporary file that a killed process left is
/// used again by the next write. On every failure, an exception of `writer` included, the temporary file is
/// removed, the old file is untouched, and the Error names the path, the bytes written and the system's
/// reason.
void write_atomically(const std::string& path, const std::function<void(Writer&)>& writer);

// ---- safetensors (https://github.com/huggingface/safetensors): 8 bytes header length, a JSON header, the
// elements

struct SafeTensors {
  NamedTensors tensors;  ///< in the order in which their elements lie in the file
  Metadata metadata;     ///< "__metadata__" of the header

  /// Throws Error that lists the names there are.
  const Tensor& at(std::string_view name) const;
  bool contains(std::string_view name) const;
};

/// Dtypes F64 F32 F16 BF16 I64 I32 U8 BOOL. Throws Error for every header that is not exactly right: length
/// past the end of the file, invalid JSON or UTF-8, unknown keys or dtypes, names that occur twice, shapes
/// whose size overflows, offsets that overlap, leave holes or do not cover the file, booleans other than 0
/// and 1.
SafeTensors read_safetensors(const std::string& path, Device device = {});
SafeTensors decode_safetensors(std::span<const std::uint8_t> bytes, std::string_view name,
                               Device device = {});

/// Written atomically; by falling element size, then by name, so that equal contents give equal files. Throws
/// Error when a name occurs twice, is reserved ("__metadata__") or is not UTF-8, or a tensor is undefined.
void write_safetensors(const std::string& path, const NamedTensors& tensors, const Metadata& metadata = {});
std::vector<std::uint8_t> encode_safetensors(const NamedTensors& tensors, const Metadata& metadata = {});

// ---- images: u8 tensors [h, w, c] on the CPU, rows from the top; c is 1 gray, 2 gray + alpha, 3 RGB, 4 RGBA

/// What a reader refuses before it allocates anything.
struct ImageLimits {
  std::int64_t max_pixels = std::int64_t{1} << 28;
};

/// Bit depths below 8 are spread to 0..255, 16 bits are scaled with rounding, a palette is looked up (RGB, or
/// RGBA where it has transparent entries), interlaced images are put together; gamma and colour profiles are
/// ignored.
Tensor read_png(const std::string& path, ImageLimits limits = {});
Tensor decode_png(std::span<const std::uint8_t> bytes, std::string_view name, ImageLimits limits = {});

/// `image` is u8 [h, w] or [h, w, c], c 1 to 4, from any device; written atomically.
void write_png(const std::string& path, const Tensor& image);
std::vector<std::uint8_t> encode_png(const Tensor& image);

/// Gray or RGB; CMYK is refused. Decoded with the exact integer transform, so that the pixels are the same on
/// every machine with the same JPEG library; damage that the library would paint over is an Error. Exif
/// rotation is not applied.
Tensor read_jpeg(const std::string& path, ImageLimits limits = {});
Tensor decode_jpeg(std::span<const std::uint8_t> bytes, std::string_view name, ImageLimits limits = {});

/// PNG or JPEG, told apart by the first bytes, not by the name.
Tensor read_image(const std::string& path, ImageLimits limits = {});
Tensor decode_image(std::span<const std::uint8_t> bytes, std::string_view name, ImageLimits limits = {});

}  // namespace isobit::io
