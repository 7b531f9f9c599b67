// safetensors: 8 bytes length of the header (little endian), the header (JSON, padded with spaces to a
// multiple of 8), then the elements of every tensor, little endian, one tensor after the other.
#include <isobit/error.h>
#include <isobit/io.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "core/io/file.h"
#include "core/io/safetensors_header.h"
#include "core/io/sha256.h"

namespace isobit::io {
namespace {

constexpr std::string_view op = "safetensors";
static_assert(std::endian::native == std::endian::little, "elements are stored as they lie in memory");

// Copies `count` bytes from `offset` of the file; both were checked against its size.
using Fetch = std::function<void(std::uint64_t offset, void* destination, std::size_t count)>;

Tensor fetch_tensor(const HeaderEntry& entry, std::uint64_t data_begin, const Fetch& fetch,
                    std::string_view file, Device device) {
  Tensor tensor = empty(entry.shape, {.dtype = entry.dtype});
  if (tensor.numel() > 0)
    fetch(data_begin + entry.begin, tensor.mutable_raw(), static_cast<std::size_t>(tensor.bytes()));
  if (entry.dtype == DType::boolean) {
    // Another value in a C++ bool would be undefined behaviour.
    const auto* bytes = static_cast<const std::uint8_t*>(tensor.raw());
    for (std::int64_t i = 0; i < tensor.numel(); ++i)
      if (bytes[i] > 1)
        fail(op, "{}: tensor '{}': boolean {} has the value {}", file, entry.name, i, bytes[i]);
  }
  return tensor.to(device);
}

SafeTensors decode(std::uint64_t size, const Fetch& fetch, std::string_view file, Device device) {
  if (size < 8) fail(op, "{}: {} bytes are too few for a safetensors file", file, size);
  std::uint64_t header_bytes = 0;
  fetch(0, &header_bytes, 8);
  if (header_bytes > size - 8)
    fail(op, "{}: the header is said to have {} bytes, the file holds {} behind its length", file,
         header_bytes, size - 8);
  if (header_bytes > max_header_bytes)
    fail(op, "{}: the header has {} bytes, at most {} are read", file, header_bytes, max_header_bytes);
  std::string json(static_cast<std::size_t>(header_bytes), '\0');
  fetch(8, json.data(), json.size());
  if (json.empty() || json.front() != '{') fail(op, "{}: the header does not begin with '{{'", file);
  const std::uint64_t data_begin = 8 + header_bytes;
  Header header = parse_header(json, size - data_begin, file);

  SafeTensors result;
  result.metadata = std::move(header.metadata);
  result.tensors.reserve(header.entries.size());
  for (const HeaderEntry& entry : header.entries)
    result.tensors.emplace_back(entry.name, fetch_tensor(entry, data_begin, fetch, file, device));
  return result;
}

void require_unique(std::string_view who, const NamedTensors& tensors) {
  std::set<std::string_view> names;
  for (const auto& [name, tensor] : tensors) {
    if (!names.insert(name).second) fail(who, "the name '{}' occurs twice", name);
    if (!tensor.defined()) fail(who, "tensor '{}' is undefined", name);
  }
}

// The order of the elements in the file.
std::vector<const std::pair<std::string, Tensor>*> file_order(const NamedTensors& tensors) {
  std::vector<const std::pair<std::string, Tensor>*> order;
  for (const auto& entry : tensors) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    const auto size_a = size_of(a->second.dtype()), size_b = size_of(b->second.dtype());
    return size_a != size_b ? size_a > size_b : a->first < b->first;
  });
  return order;
}

void encode(const NamedTensors& tensors, const Metadata& metadata, std::string_view file, Writer& out) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) {
    auto& text = header["__metadata__"] = nlohmann::ordered_json::object();
    for (const auto& [key, value] : metadata) text[key] = value;
  }
  const auto order = file_order(tensors);
  std::int64_t offset = 0;
  for (const auto* entry : order) {
    const auto& [name, tensor] = *entry;
    const auto extents = tensor.shape().extents();
    header[name] = {{"dtype", format_name(tensor.dtype())},
                    {"shape", std::vector<std::int64_t>(extents.begin(), extents.end())},
                    {"data_offsets", {offset, offset + tensor.bytes()}}};
    offset += tensor.bytes();
  }
  std::string json;
  try {
    json = header.dump();
  } catch (const nlohmann::json::exception&) {
    fail(op, "{}: a name or a metadata text is not valid UTF-8", file);
  }
  json.resize((json.size() + 7) / 8 * 8, ' ');
  if (json.size() > max_header_bytes)
    fail(op, "{}: the header would have {} bytes, the format allows {}", file, json.size(), max_header_bytes);
  const std::uint64_t header_bytes = json.size();
  out.write(&header_bytes, 8);
  out.write(json.data(), json.size());
  for (const auto* entry : order) {
    const Tensor host = entry->second.detach().to(Device::cpu());
    if (host.numel() > 0) out.write(host.raw(), static_cast<std::size_t>(host.bytes()));
  }
}

void check_before_writing(const NamedTensors& tensors) {
  require_unique(op, tensors);
  for (const auto& entry : tensors)
    if (entry.first == "__metadata__") fail(op, "the name '__metadata__' is reserved by the format");
}

class MemoryWriter : public Writer {
 public:
  std::vector<std::uint8_t> bytes;
  void write(const void* from, std::size_t count) override {
    const auto* begin = static_cast<const std::uint8_t*>(from);
    bytes.insert(bytes.end(), begin, begin + count);
  }
};

}  // namespace

const Tensor& SafeTensors::at(std::string_view name) const {
  std::string names;
  for (const auto& [known, tensor] : tensors) {
    if (known == name) return tensor;
    names += (names.empty() ? "" : ", ") + known;
  }
  fail(op, "no tensor '{}'; there are: {}", name, names.empty() ? "none" : names);
}

bool SafeTensors::contains(std::string_view name) const {
  return std::any_of(tensors.begin(), tensors.end(), [&](const auto& entry) { return entry.first == name; });
}

SafeTensors read_safetensors(const std::string& path, Device device) {
  const InputFile file(op, path);
  const Fetch fetch = [&](std::uint64_t offset, void* destination, std::size_t count) {
    file.read(offset, destination, count);
  };
  return decode(file.size(), fetch, fmt::format("'{}'", path), device);
}

SafeTensors decode_safetensors(std::span<const std::uint8_t> bytes, std::string_view name, Device device) {
  const Fetch fetch = [&](std::uint64_t offset, void* destination, std::size_t count) {
    if (count > 0) std::memcpy(destination, bytes.data() + offset, count);
  };
  return decode(bytes.size(), fetch, name, device);
}

void write_safetensors(const std::string& path, const NamedTensors& tensors, const Metadata& metadata) {
  check_before_writing(tensors);
  write_atomically(path, [&](Writer& out) { encode(tensors, metadata, fmt::format("'{}'", path), out); });
}

std::vector<std::uint8_t> encode_safetensors(const NamedTensors& tensors, const Metadata& metadata) {
  check_before_writing(tensors);
  MemoryWriter out;
  encode(tensors, metadata, "in memory", out);
  return std::move(out.bytes);
}

std::string digest(const NamedTensors& tensors) {
  require_unique("digest", tensors);
  std::vector<const std::pair<std::string, Tensor>*> order;
  for (const auto& entry : tensors) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->first < b->first; });
  Sha256 hash;
  for (const auto* entry : order) {
    const std::string line =
        fmt::format("{} {} {}\n", entry->first.size(), entry->first, entry->second.digest());
    hash.update(line.data(), line.size());
  }
  return hash.hex();
}

}  // namespace isobit::io
