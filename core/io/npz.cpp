// NumPy's .npz: a zip archive of .npy members. The central directory is read and believed only where the
// members' own headers and the bytes bear it out.
#include <isobit/error.h>
#include <isobit/npz.h>
#include <isobit/ops.h>
#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <set>

#include "core/io/file.h"

namespace isobit::io {
namespace {

constexpr const char* kOp = "npz";
constexpr std::uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50;
constexpr std::size_t kLocalHeader = 30;  // without name and extra field

using Bytes = std::span<const std::uint8_t>;

std::uint32_t little(Bytes b, std::size_t at, int count) {
  std::uint32_t v = 0;
  for (int i = count; i-- > 0;) v = v << 8 | b[at + static_cast<std::size_t>(i)];
  return v;
}

struct Kind {
  const char* text;
  DType dtype;
};
constexpr Kind kKinds[] = {{"<f8", DType::f64},    {"<f4", DType::f32}, {"<f2", DType::f16},
                           {"<i8", DType::i64},    {"<i4", DType::i32}, {"|u1", DType::u8},
                           {"|b1", DType::boolean}};

/// What an .npy header says, a Python dict literal of three entries.
class Header {
 public:
  Header(std::string_view text, std::string_view name) : text_(text), name_(name) {
    expect('{');
    bool descr = false, order = false, shape = false;
    while (!accept('}')) {
      const std::string key = string();
      expect(':');
      bool& seen = key == "descr"           ? descr
                   : key == "fortran_order" ? order
                   : key == "shape"         ? shape
                                            : bad("key");
      if (seen) bad("repeated key");
      seen = true;
      if (key == "descr")
        dtype_ = dtype_of_text(string());
      else if (key == "fortran_order")
        fortran_ = boolean();
      else
        tuple();
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip();
    if (at_ != text_.size() || !descr || !order || !shape) bad("end");
  }
  DType dtype() const { return dtype_; }
  bool fortran() const { return fortran_; }
  const std::vector<std::int64_t>& extents() const { return extents_; }

 private:
  [[noreturn]] bool& bad(const char* what) const {
    fail(kOp, "{}: the array's header has an unexpected {} at byte {}", name_, what, at_);
  }
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool accept(char c) {
    skip();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) bad("character");
  }
  std::string string() {
    expect('\'');
    const std::size_t end = text_.find('\'', at_);
    if (end == std::string_view::npos) bad("end of a text");
    std::string s(text_.substr(at_, end - at_));
    at_ = end + 1;
    return s;
  }
  bool boolean() {
    skip();
    for (const auto& [word, value] : {std::pair<std::string_view, bool>{"True", true}, {"False", false}})
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        return value;
      }
    bad("truth value");
  }
  void tuple() {
    expect('(');
    while (!accept(')')) {
      skip();
      std::int64_t extent = 0;
      const auto [stop, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), extent);
      if (error != std::errc() || extent < 0) bad("extent");
      at_ = static_cast<std::size_t>(stop - text_.data());
      extents_.push_back(extent);
      if (extents_.size() > Shape::max_rank)
        fail(kOp, "{}: the array has more than {} axes", name_, Shape::max_rank);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
  }
  DType dtype_of_text(const std::string& text) const {
    for (const Kind& kind : kKinds)
      if (text == kind.text) return kind.dtype;
    fail(kOp, "{}: dtype '{}', expected <f8, <f4, <f2, <i8, <i4, |u1 or |b1", name_, text.substr(0, 40));
  }

  std::string_view text_, name_;
  std::size_t at_ = 0;
  DType dtype_ = DType::f32;
  bool fortran_ = false;
  std::vector<std::int64_t> extents_;
};

Tensor decode_npy(Bytes b, std::string_view name) {
  constexpr std::uint8_t kMagic[] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
  if (b.size() < 10 || !std::equal(std::begin(kMagic), std::end(kMagic), b.begin()))
    fail(kOp, "{}: is no .npy array", name);
  const int version = b[6];
  if (version < 1 || version > 3 || b[7] != 0)
    fail(kOp, "{}: version {}.{} of .npy, expected 1.0 to 3.0", name, version, b[7]);
  const std::size_t at = version == 1 ? 10 : 12;
  if (b.size() < at) fail(kOp, "{}: ends in its header", name);
  const std::size_t length = little(b, 8, version == 1 ? 2 : 4);
  if (length > b.size() - at) fail(kOp, "{}: a header of {} bytes in {}", name, length, b.size());
  const Header header(std::string_view(reinterpret_cast<const char*>(b.data()) + at, length), name);
  std::vector<std::int64_t> extents = header.extents();
  if (header.fortran()) std::reverse(extents.begin(), extents.end());
  const Shape shape{std::span<const std::int64_t>(extents)};
  const Bytes elements = b.subspan(at + length);
  const std::int64_t expected = shape.numel() * size_of(header.dtype());
  if (static_cast<std::int64_t>(elements.size()) != expected)
    fail(kOp, "{}: {} bytes of elements, {} {} has {}", name, elements.size(), name_of(header.dtype()), shape,
         expected);
  if (header.dtype() == DType::boolean)
    for (const std::uint8_t v : elements)
      if (v > 1) fail(kOp, "{}: a bool is {}, expected 0 or 1", name, v);
  const Tensor t = from_bytes(elements.data(), shape, {header.dtype()});
  if (!header.fortran() || shape.rank() < 2) return t;
  std::vector<int> axes(static_cast<std::size_t>(shape.rank()));
  for (std::size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<int>(axes.size() - 1 - i);
  return permute(t, axes);
}

/// The member's bytes; `expected` is believed only as far as `packed` can hold it.
std::vector<std::uint8_t> inflated(Bytes packed, std::size_t expected, std::string_view name) {
  constexpr std::size_t kMostRatio = 1032;  // what deflate can do
  if (expected / kMostRatio > packed.size() + 1)
    fail(kOp, "{}: {} bytes cannot come from {}", name, expected, packed.size());
  std::vector<std::uint8_t> out(expected + 1);  // one more, to notice that there is more
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) fail(kOp, "{}: zlib has no memory", name);
  stream.next_in = const_cast<std::uint8_t*>(packed.data());
  stream.avail_in = static_cast<unsigned>(packed.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<unsigned>(out.size());
  const int status = inflate(&stream, Z_FINISH);
  const std::size_t got = out.size() - stream.avail_out, left = stream.avail_in;
  inflateEnd(&stream);
  if (status != Z_STREAM_END || got != expected || left != 0)
    fail(kOp, "{}: the compressed bytes do not give the {} that the archive promises", name, expected);
  out.resize(expected);
  return out;
}

struct Member {
  std::string name;
  int method = 0;
  std::uint32_t checksum = 0;
  std::size_t packed = 0, size = 0, local = 0;
};

class Archive {
 public:
  Archive(Bytes b, std::string_view name) : b_(b), name_(name) {
    constexpr std::size_t kRecord = 22, kMostComment = 65535;
    if (b.size() < kRecord) short_file();
    std::size_t end = b.size() - kRecord;
    const std::size_t stop = end > kMostComment ? end - kMostComment : 0;
    while (little(b, end, 4) != kEnd || end + kRecord + little(b, end + 20, 2) != b.size()) {
      if (end == stop) short_file();
      --end;
    }
    if (little(b, end + 4, 2) != 0 || little(b, end + 6, 2) != 0) fail(kOp, "{}: an archive in parts", name);
    const std::size_t count = little(b, end + 10, 2), size = little(b, end + 12, 4),
                      from = little(b, end + 16, 4);
    if (from == 0xffffffffu || count == 0xffffu)
      fail(kOp, "{}: an archive of more than 4 GiB or 65534 members", name);
    if (from > end || size != end - from) fail(kOp, "{}: the directory is not where the archive says", name);
    std::size_t at = from;
    for (std::size_t i = 0; i < count; ++i) at = member(at, end, from);
    if (at != end) fail(kOp, "{}: the directory has more than its {} members", name, count);
  }
  const std::vector<Member>& members() const { return members_; }

  std::vector<std::uint8_t> bytes_of(const Member& m) const {
    const std::string what = fmt::format("{}: {}", name_, m.name);
    if (m.local > b_.size() || b_.size() - m.local < kLocalHeader || little(b_, m.local, 4) != kLocal)
      fail(kOp, "{}: does not begin where the directory says", what);
    const std::size_t skip = kLocalHeader + little(b_, m.local + 26, 2) + little(b_, m.local + 28, 2);
    if (b_.size() - m.local < skip || b_.size() - m.local - skip < m.packed)
      fail(kOp, "{}: ends behind the file", what);
    const Bytes packed = b_.subspan(m.local + skip, m.packed);
    if (m.method == 0 && m.packed != m.size)
      fail(kOp, "{}: is stored as {} bytes of {}", what, m.packed, m.size);
    std::vector<std::uint8_t> out = m.method == 0 ? std::vector<std::uint8_t>(packed.begin(), packed.end())
                                                  : inflated(packed, m.size, what);
    if (crc32(0, out.data(), static_cast<unsigned>(out.size())) != m.checksum)
      fail(kOp, "{}: its checksum is wrong", what);
    return out;
  }

 private:
  [[noreturn]] void short_file() const { fail(kOp, "{}: is no zip archive, or its end is missing", name_); }
  std::size_t member(std::size_t at, std::size_t end, std::size_t from) {
    constexpr std::size_t kHeader = 46;
    if (end - at < kHeader || little(b_, at, 4) != kCentral) fail(kOp, "{}: the directory is damaged", name_);
    Member m;
    const std::uint32_t flags = little(b_, at + 8, 2);
    m.method = static_cast<int>(little(b_, at + 10, 2));
    m.checksum = little(b_, at + 16, 4);
    m.packed = little(b_, at + 20, 4);
    m.size = little(b_, at + 24, 4);
    m.local = little(b_, at + 42, 4);
    const std::size_t length = little(b_, at + 28, 2), more = little(b_, at + 30, 2) + little(b_, at + 32, 2);
    if (end - at - kHeader < length + more) fail(kOp, "{}: the directory is damaged", name_);
    m.name.assign(reinterpret_cast<const char*>(b_.data()) + at + kHeader, length);
    if ((flags & 1u) != 0) fail(kOp, "{}: {} has a password", name_, m.name);
    if (m.method != 0 && m.method != 8)
      fail(kOp, "{}: {} is packed by method {}, expected 0 or 8", name_, m.name, m.method);
    if (m.packed == 0xffffffffu || m.size == 0xffffffffu || m.local == 0xffffffffu)
      fail(kOp, "{}: {} is zip64 (members over 2 GiB as Python writes them)", name_, m.name);
    // Members that overlap would give more bytes than the file can.
    total_ += kLocalHeader + m.packed;
    if (total_ > from) fail(kOp, "{}: {} overlaps other members", name_, m.name);
    members_.push_back(std::move(m));
    return at + kHeader + length + more;
  }

  Bytes b_;
  std::string_view name_;
  std::vector<Member> members_;
  std::size_t total_ = 0;  ///< bytes that the members take at least
};

void put(std::vector<std::uint8_t>& to, std::uint32_t v, int count) {
  for (int i = 0; i < count; ++i) to.push_back(static_cast<std::uint8_t>(v >> (8 * i)));
}
template <class Range>
void put(std::vector<std::uint8_t>& to, const Range& bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

std::vector<std::uint8_t> encode_npy(const Tensor& given) {
  const Tensor t = (given.dtype() == DType::bf16 ? given.to(DType::f32) : given).detach();
  const char* kind = "";
  for (const Kind& k : kKinds)
    if (k.dtype == t.dtype()) kind = k.text;
  std::string shape;
  for (const std::int64_t extent : t.shape()) shape += fmt::format("{}, ", extent);
  if (t.rank() > 1) shape.resize(shape.size() - 2);
  if (t.rank() == 1) shape.pop_back();
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", kind, shape);
  constexpr std::size_t kAlign = 64, kBefore = 10;
  header.resize((kBefore + header.size() + 1 + kAlign - 1) / kAlign * kAlign - kBefore - 1, ' ');
  header += '\n';
  std::vector<std::uint8_t> out{0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
  put(out, static_cast<std::uint32_t>(header.size()), 2);
  put(out, header);
  const std::size_t at = out.size();
  out.resize(at + static_cast<std::size_t>(t.bytes()));
  t.copy_to_host(out.data() + at);
  return out;
}

}  // namespace

NamedTensors decode_npz(std::span<const std::uint8_t> bytes, std::string_view name, Device device) {
  const Archive archive(bytes, name);
  NamedTensors tensors;
  std::set<std::string> seen;
  for (const Member& m : archive.members()) {
    constexpr std::string_view kEnding = ".npy";
    if (m.name.size() <= kEnding.size() || !m.name.ends_with(kEnding))
      fail(kOp, "{}: a member is called '{}', expected a name and .npy", name, m.name.substr(0, 80));
    if (!seen.insert(m.name).second) fail(kOp, "{}: two members are called {}", name, m.name);
    const std::string short_name = m.name.substr(0, m.name.size() - kEnding.size());
    tensors.emplace_back(short_name,
                         decode_npy(archive.bytes_of(m), fmt::format("{}: {}", name, m.name)).to(device));
  }
  return tensors;
}

NamedTensors read_npz(const std::string& path, Device device) {
  return decode_npz(read_file(kOp, path), path, device);
}

std::vector<std::uint8_t> encode_npz(const NamedTensors& tensors) {
  std::vector<std::uint8_t> out, directory;
  std::set<std::string> seen;
  for (const auto& [name, tensor] : tensors) {
    if (name.empty() || !tensor.defined() || !seen.insert(name).second)
      fail(kOp, "tensor '{}' has no name, is undefined or comes twice", name);
    const std::string file = name + ".npy";
    const std::vector<std::uint8_t> bytes = encode_npy(tensor);
    constexpr std::size_t kMost = 0xfffffffeu;
    const std::size_t more = kLocalHeader + file.size() + bytes.size();
    if (file.size() > 0xffff || more > kMost || out.size() > kMost - more || seen.size() > 65534)
      fail(kOp, "the archive would have more than 4 GiB or 65534 members");
    const auto local = static_cast<std::uint32_t>(out.size());
    // The common part of both headers: version, flags (UTF-8 name), stored, midnight of 1 January 1980,
    // checksum, sizes.
    std::vector<std::uint8_t> common;
    for (const std::uint32_t v : {20u, 0x800u, 0u, 0u, 0x21u}) put(common, v, 2);
    put(common, static_cast<std::uint32_t>(crc32(0, bytes.data(), static_cast<unsigned>(bytes.size()))), 4);
    put(common, static_cast<std::uint32_t>(bytes.size()), 4);
    put(common, static_cast<std::uint32_t>(bytes.size()), 4);
    put(common, static_cast<std::uint32_t>(file.size()), 2);
    put(common, 0, 2);
    put(out, kLocal, 4);
    put(out, common);
    put(out, file);
    put(out, bytes);
    put(directory, kCentral, 4);
    put(directory, 20, 2);
    put(directory, common);
    for (const int count : {2, 2, 2, 4}) put(directory, 0, count);  // comment, disk, attributes
    put(directory, local, 4);
    put(directory, file);
  }
  const auto from = static_cast<std::uint32_t>(out.size());
  put(out, directory);
  put(out, kEnd, 4);
  put(out, 0, 4);
  for (int i = 0; i < 2; ++i) put(out, static_cast<std::uint32_t>(tensors.size()), 2);
  put(out, static_cast<std::uint32_t>(directory.size()), 4);
  put(out, from, 4);
  put(out, 0, 2);
  return out;
}

void write_npz(const std::string& path, const NamedTensors& tensors) {
  const std::vector<std::uint8_t> bytes = encode_npz(tensors);
  write_atomically(path, [&](Writer& writer) { writer.write(bytes.data(), bytes.size()); });
}

}  // namespace isobit::io
