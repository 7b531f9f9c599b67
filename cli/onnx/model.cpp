// Protocol Buffers to plain values. Nothing in a message is trusted: extents and counts are compared with the
// data that is there before memory is taken for them.
#include "cli/onnx/model.h"

#include <isobit/error.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <limits>
#include <optional>
#include <set>

namespace isobit::cli::onnx {
namespace {

static_assert(std::endian::native == std::endian::little, "ONNX keeps raw data in little-endian order");

std::optional<DType> dtype_of_code(int code) {
  switch (code) {
    case ::onnx::TensorProto::FLOAT:
      return DType::f32;
    case ::onnx::TensorProto::DOUBLE:
      return DType::f64;
    case ::onnx::TensorProto::FLOAT16:
      return DType::f16;
    case ::onnx::TensorProto::BFLOAT16:
      return DType::bf16;
    case ::onnx::TensorProto::INT32:
      return DType::i32;
    case ::onnx::TensorProto::INT64:
      return DType::i64;
    case ::onnx::TensorProto::UINT8:
      return DType::u8;
    case ::onnx::TensorProto::BOOL:
      return DType::boolean;
    default:
      return {};
  }
}

/// Debian's header ends with number 16.
std::string unsupported_type(int code) {
  constexpr const char* newer[] = {"FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "UINT4",
                                   "INT4",         "FLOAT4E2M1",     "FLOAT8E8M0", "UINT2",          "INT2"};
  constexpr int first = 17;
  if (code >= first && code < first + static_cast<int>(std::size(newer)))
    return fmt::format("element type {}", newer[code - first]);
  if (!::onnx::TensorProto::DataType_IsValid(code)) return fmt::format("element type number {}", code);
  return "element type " + ::onnx::TensorProto::DataType_Name(::onnx::TensorProto::DataType(code));
}

/// Of `values`, one an element, as `To`; `From` is what the message keeps them as.
template <class To, class From>
std::vector<To> narrowed(const google::protobuf::RepeatedField<From>& values, const std::string& name) {
  std::vector<To> out;
  out.reserve(static_cast<std::size_t>(values.size()));
  for (const From v : values) {
    if (v < From{std::numeric_limits<To>::min()} || v > From{std::numeric_limits<To>::max()})
      fail("onnx", "{}: an element is {}, which its element type cannot hold", name, v);
    out.push_back(static_cast<To>(v));
  }
  return out;
}

Tensor from_elements(const void* data, std::int64_t count, const Shape& shape, DType dtype,
                     const std::string& name) {
  if (count != shape.numel())
    fail("onnx", "{}: a tensor of shape {} has {} elements, {} are there", name, shape, shape.numel(), count);
  return from_bytes(data, shape, {dtype, Device::cpu()});
}

Tensor from_raw(const std::string& raw, const Shape& shape, DType dtype, const std::string& name) {
  const auto bytes = static_cast<std::int64_t>(raw.size());
  if (bytes != shape.numel() * size_of(dtype))
    fail("onnx", "{}: a tensor of shape {} and type {} has {} bytes, {} are there", name, shape, dtype,
         shape.numel() * size_of(dtype), bytes);
  if (dtype != DType::boolean) return from_bytes(raw.data(), shape, {dtype, Device::cpu()});
  std::vector<std::uint8_t> truth(raw.size());
  std::transform(raw.begin(), raw.end(), truth.begin(), [](char c) { return std::uint8_t{c != 0}; });
  return from_bytes(truth.data(), shape, {dtype, Device::cpu()});
}

Tensor from_typed(const ::onnx::TensorProto& t, const Shape& shape, DType dtype, const std::string& name) {
  const auto whole = [&](const auto& values) {
    return from_elements(values.data(), static_cast<std::int64_t>(values.size()), shape, dtype, name);
  };
  switch (dtype) {
    case DType::f32:
      return whole(t.float_data());
    case DType::f64:
      return whole(t.double_data());
    case DType::i64:
      return whole(t.int64_data());
    case DType::i32:
      return whole(t.int32_data());
    case DType::f16:
    case DType::bf16:  // the bits
      return whole(narrowed<std::uint16_t>(t.int32_data(), name));
    case DType::u8:
      return whole(narrowed<std::uint8_t>(t.int32_data(), name));
    case DType::boolean: {
      std::vector<std::uint8_t> truth;
      for (const auto v : t.int32_data()) truth.push_back(v != 0);
      return whole(truth);
    }
  }
  fail("onnx", "{}: element type {} has no elements", name, dtype);
}

Tensor to_tensor(const ::onnx::TensorProto& t, const std::string& name) {
  const std::optional<DType> dtype = dtype_of_code(t.data_type());
  if (!dtype) throw Unsupported(unsupported_type(t.data_type()));
  if (t.data_location() == ::onnx::TensorProto::EXTERNAL) throw Unsupported("data in a file of its own");
  if (t.has_segment()) throw Unsupported("a tensor in segments");
  if (t.dims_size() > Shape::max_rank) throw Unsupported(fmt::format("rank {}", t.dims_size()));
  Shape shape;
  try {
    shape = Shape(std::span(t.dims().data(), static_cast<std::size_t>(t.dims_size())));
  } catch (const Error& error) {
    fail("onnx", "{}: {}", name, error.what());
  }
  return t.has_raw_data() ? from_raw(t.raw_data(), shape, *dtype, name) : from_typed(t, shape, *dtype, name);
}

Attribute to_attribute(const ::onnx::AttributeProto& a, const std::string& name) {
  switch (a.type()) {
    case ::onnx::AttributeProto::INT:
      return a.i();
    case ::onnx::AttributeProto::FLOAT:
      return double{a.f()};
    case ::onnx::AttributeProto::STRING:
      return a.s();
    case ::onnx::AttributeProto::INTS:
      return std::vector<std::int64_t>(a.ints().begin(), a.ints().end());
    case ::onnx::AttributeProto::FLOATS:
      return std::vector<double>(a.floats().begin(), a.floats().end());
    case ::onnx::AttributeProto::STRINGS:
      return std::vector<std::string>(a.strings().begin(), a.strings().end());
    case ::onnx::AttributeProto::TENSOR:
      try {
        return to_tensor(a.t(), name);
      } catch (const Unsupported&) {
        return std::monostate();
      }
    default:
      return std::monostate();
  }
}

Model::Value to_value(const ::onnx::ValueInfoProto& v) {
  Model::Value value{v.name(), ""};
  if (v.type().has_tensor_type()) {
    const int code = v.type().tensor_type().elem_type();
    if (!dtype_of_code(code)) value.unsupported = unsupported_type(code);
  } else if (v.type().has_sequence_type()) {
    value.unsupported = "a sequence";
  } else if (v.type().has_optional_type()) {
    value.unsupported = "an optional value";
  } else {
    value.unsupported = "a value that is no tensor";
  }
  return value;
}

template <class Message>
Message parsed(std::span<const std::uint8_t> bytes, const std::string& name, const char* what) {
  Message message;
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()) ||
      !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    fail("onnx", "{}: this is no ONNX {}, or it is damaged", name, what);
  return message;
}

}  // namespace

Model decode_model(std::span<const std::uint8_t> bytes, const std::string& name) {
  const auto message = parsed<::onnx::ModelProto>(bytes, name, "model");
  const ::onnx::GraphProto& graph = message.graph();
  if (graph.node_size() == 0) fail("onnx", "{}: the model has no nodes", name);
  Model model;
  for (const auto& set : message.opset_import())
    model.opsets[set.domain() == "ai.onnx" ? "" : set.domain()] = set.version();
  std::set<std::string> given;
  for (const auto& t : graph.initializer()) {
    given.insert(t.name());
    try {
      model.initializers[t.name()] = to_tensor(t, fmt::format("{}, initializer '{}'", name, t.name()));
    } catch (const Unsupported& reason) {
      model.unsupported = reason.what();
    }
  }
  if (graph.sparse_initializer_size() > 0) model.unsupported = "a sparse tensor";
  for (const auto& v : graph.input())
    if (!given.contains(v.name())) model.inputs.push_back(to_value(v));
  for (const auto& v : graph.output()) model.outputs.push_back(to_value(v));
  for (const auto& n : graph.node()) {
    GraphNode node{n.domain() == "ai.onnx" ? "" : n.domain(), n.op_type(), {}, {}, {}};
    node.inputs.assign(n.input().begin(), n.input().end());
    node.outputs.assign(n.output().begin(), n.output().end());
    for (const auto& a : n.attribute())
      node.attributes[a.name()] =
          to_attribute(a, fmt::format("{}, attribute '{}' of {}", name, a.name(), n.op_type()));
    model.nodes.push_back(std::move(node));
  }
  return model;
}

Tensor decode_tensor(std::span<const std::uint8_t> bytes, const std::string& name) {
  return to_tensor(parsed<::onnx::TensorProto>(bytes, name, "tensor"), name);
}

std::vector<std::uint8_t> read_bytes(const std::string& path) {
  constexpr std::streamoff limit = std::streamoff{1} << 30;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file ? static_cast<std::streamoff>(file.tellg()) : -1;
  if (size < 0) fail("onnx", "{}: cannot be read", path);
  if (size > limit) fail("onnx", "{}: {} bytes, more than 1 GiB", path, size);
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(size));
  file.seekg(0);
  if (!file.read(reinterpret_cast<char*>(bytes.data()), size)) fail("onnx", "{}: cannot be read", path);
  return bytes;
}

}  // namespace isobit::cli::onnx
