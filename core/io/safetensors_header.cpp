// Parses a safetensors header with nlohmann_json's event interface: it never builds a tree, so nesting costs
// nothing and is refused at once, and a key that occurs twice is seen (a tree would silently keep the last
// one). The JSON it accepts is
//   {"__metadata__": {text: text, ...}, name: {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
//   ...}
#include "core/io/safetensors_header.h"

#include <isobit/error.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

namespace isobit::io {
namespace {

constexpr std::string_view op = "safetensors";
constexpr std::string_view metadata_key = "__metadata__";

constexpr std::pair<std::string_view, DType> dtypes[] = {
    {"F64", DType::f64}, {"F32", DType::f32}, {"F16", DType::f16}, {"BF16", DType::bf16},
    {"I64", DType::i64}, {"I32", DType::i32}, {"U8", DType::u8},   {"BOOL", DType::boolean},
};

// A name as it may be printed: cut where it is long, control characters shown as '?'.
std::string shown(std::string_view name) {
  std::string text(name.substr(0, 80));
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return name.size() > 80 ? text + "..." : text;
}

// Receives the events; false stops the parser, `problem` says why.
class Events {
 public:
  using json = nlohmann::json;

  std::string problem;
  Header header;

  bool null() { return refuse("null"); }
  bool boolean(bool) { return refuse("a boolean"); }
  bool number_float(json::number_float_t, const std::string&) {
    return refuse("a number that is not a whole one of 64 bits");
  }
  bool binary(json::binary_t&) { return refuse("binary data"); }
  bool number_integer(json::number_integer_t value) {
    if (value < 0) return stop("{}: negative number {}", where(), value);
    return number_unsigned(static_cast<json::number_unsigned_t>(value));
  }

  bool number_unsigned(json::number_unsigned_t value) {
    if (place_ == Place::shape) {
      if (extents_.size() >= Shape::max_rank)
        return stop("{}: more than {} axes, isobit holds up to that many", where(), Shape::max_rank);
      if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        return stop("{}: extent {} is too large", where(), value);
      extents_.push_back(static_cast<std::int64_t>(value));
      return true;
    }
    if (place_ == Place::offsets) {
      if (offsets_.size() >= 2) return stop("{}: data_offsets has more than 2 numbers", where());
      offsets_.push_back(value);
      return true;
    }
    return refuse("a number");
  }

  bool string(std::string& value) {
    if (place_ == Place::metadata) {
      header.metadata[key_] = value;
      return true;
    }
    if (place_ != Place::tensor || key_ != "dtype") return refuse("a string");
    const auto* found =
        std::find_if(std::begin(dtypes), std::end(dtypes), [&](const auto& d) { return d.first == value; });
    if (found == std::end(dtypes))
      return stop("{}: dtype '{}' is not one of F64 F32 F16 BF16 I64 I32 U8 BOOL", where(), shown(value));
    dtype_ = found->second;
    return true;
  }

  bool start_object(std::size_t) {
    switch (place_) {
      case Place::outside:
        place_ = Place::file;
        return true;
      case Place::file:
        place_ = key_ == metadata_key ? Place::metadata : Place::tensor;
        name_ = key_;
        seen_.clear();
        extents_.clear();
        offsets_.clear();
        return true;
      default:
        return refuse("an object");
    }
  }

  bool end_object() {
    if (place_ == Place::tensor) {
      for (const char* key : {"dtype", "shape", "data_offsets"})
        if (!seen_.contains(key)) return stop("{}: {} is missing", where(), key);
      if (!finish_tensor()) return false;
    }
    place_ = place_ == Place::file ? Place::after : Place::file;
    return true;
  }

  bool start_array(std::size_t) {
    if (place_ != Place::tensor || (key_ != "shape" && key_ != "data_offsets")) return refuse("an array");
    place_ = key_ == "shape" ? Place::shape : Place::offsets;
    return true;
  }

  bool end_array() {
    if (place_ == Place::offsets && offsets_.size() != 2)
      return stop("{}: data_offsets has {} numbers, expected begin and end", where(), offsets_.size());
    place_ = Place::tensor;
    return true;
  }

  bool key(std::string& value) {
    key_ = value;
    if (place_ == Place::file) {
      if (!names_.insert(value).second) return stop("the name '{}' occurs twice", shown(value));
      return true;
    }
    if (!seen_.insert(value).second) return stop("{}: the key '{}' occurs twice", where(), shown(value));
    if (place_ == Place::tensor && value != "dtype" && value != "shape" && value != "data_offsets")
      return stop("{}: unknown key '{}'", where(), shown(value));
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const json::exception&) {
    return stop("the header is not valid JSON at its byte {}", position);
  }

 private:
  enum class Place { outside, file, metadata, tensor, shape, offsets, after };

  template <class... Args>
  bool stop(fmt::format_string<Args...> format, Args&&... args) {
    if (problem.empty()) problem = fmt::format(format, std::forward<Args>(args)...);
    return false;
  }
  bool refuse(std::string_view what) { return stop("{}: {} where none may be", where(), what); }

  std::string where() const {
    switch (place_) {
      case Place::outside:
      case Place::after:
        return "the header";
      case Place::file:
        return fmt::format("'{}'", shown(key_));
      case Place::metadata:
        return fmt::format("metadata '{}'", shown(key_));
      default:
        return fmt::format("tensor '{}'", shown(name_));
    }
  }

  bool finish_tensor() {
    std::uint64_t bytes = static_cast<std::uint64_t>(size_of(dtype_));
    Shape shape;
    try {
      shape = Shape(std::span<const std::int64_t>(extents_));
    } catch (const Error& error) {
      return stop("{}: {}", where(), error.what());
    }
    bytes *= static_cast<std::uint64_t>(shape.numel());  // Shape guarantees that 8 bytes an element fit
    const auto begin = offsets_[0], end = offsets_[1];
    if (end < begin || end - begin != bytes)
      return stop("{}: data_offsets [{}, {}] do not span the {} bytes of {} {}", where(), begin, end, bytes,
                  dtype_, shape);
    header.entries.push_back({name_, dtype_, shape, begin, end});
    return true;
  }

  Place place_ = Place::outside;
  std::string key_, name_;
  std::set<std::string> names_, seen_;
  DType dtype_ = DType::f32;
  std::vector<std::int64_t> extents_;
  std::vector<std::uint64_t> offsets_;
};

}  // namespace

std::string_view format_name(DType dtype) {
  for (const auto& [name, value] : dtypes)
    if (value == dtype) return name;
  fail(op, "dtype {} has no name in the format", dtype);
}

Header parse_header(std::string_view json, std::uint64_t data_bytes, std::string_view file) {
  Events events;
  const bool good = nlohmann::json::sax_parse(json.begin(), json.end(), &events);
  if (!good || !events.problem.empty())
    fail(op, "{}: {}", file, events.problem.empty() ? "the header is not valid JSON" : events.problem);
  auto& entries = events.header.entries;
  // Empty tensors share their offset with the tensor that follows: the end breaks the tie.
  std::stable_sort(entries.begin(), entries.end(), [](const HeaderEntry& a, const HeaderEntry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t covered = 0;
  for (const HeaderEntry& entry : entries) {
    if (entry.begin != covered)
      fail(op, "{}: tensor '{}' begins at byte {} of the data, expected {}: offsets may not {}", file,
           shown(entry.name), entry.begin, covered, entry.begin < covered ? "overlap" : "leave holes");
    if (entry.end > data_bytes)
      fail(op, "{}: tensor '{}' ends at byte {} of the data, the file holds only {}", file, shown(entry.name),
           entry.end, data_bytes);
    covered = entry.end;
  }
  if (covered != data_bytes)
    fail(op, "{}: the tensors cover {} bytes of data, the file holds {}", file, covered, data_bytes);
  return std::move(events.header);
}

}  // namespace isobit::io
