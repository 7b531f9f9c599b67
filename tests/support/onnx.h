// ONNX files made byte by byte, for tests of what reads them: messages of Protocol Buffers with the fields'
// numbers of onnx.proto.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace isobit::test {

/// A message, field by field.
class Message {
 public:
  using Bytes = std::vector<std::uint8_t>;

  Message& number(int field, std::uint64_t value) {
    varint(static_cast<std::uint64_t>(field) << 3);
    varint(value);
    return *this;
  }
  Message& bytes(int field, const Bytes& value) {
    varint(static_cast<std::uint64_t>(field) << 3 | 2);
    varint(value.size());
    for (const std::uint8_t byte : value) out_.push_back(byte);  // insert: g++ 12 warns of what cannot be
    return *this;
  }
  Message& text(int field, std::string_view value) { return bytes(field, Bytes(value.begin(), value.end())); }
  Message& message(int field, const Message& value) { return bytes(field, value.out_); }
  const Bytes& done() const { return out_; }

 private:
  void varint(std::uint64_t v) {
    for (; v >= 128; v >>= 7) out_.push_back(static_cast<std::uint8_t>(v | 128));
    out_.push_back(static_cast<std::uint8_t>(v));
  }
  Bytes out_;
};

/// A TensorProto: extents, element type (1 is f32, 3 is int8, 7 is i64), little-endian elements.
inline Message tensor(const std::vector<std::int64_t>& extents, int type, const Message::Bytes& raw) {
  Message t;
  for (const std::int64_t e : extents) t.number(1, static_cast<std::uint64_t>(e));
  return t.number(2, static_cast<std::uint64_t>(type)).bytes(9, raw);
}
inline Message::Bytes floats(const std::vector<float>& values) {
  Message::Bytes raw(values.size() * sizeof(float));
  if (!values.empty()) std::memcpy(raw.data(), values.data(), raw.size());
  return raw;
}

/// An AttributeProto.
inline Message attribute(std::string_view name, std::int64_t value) {
  return Message().text(1, name).number(3, static_cast<std::uint64_t>(value)).number(20, 2);
}
inline Message attribute(std::string_view name, const std::vector<std::int64_t>& values) {
  Message a = Message().text(1, name);
  for (const std::int64_t v : values) a.number(8, static_cast<std::uint64_t>(v));
  return a.number(20, 7);
}

/// A ModelProto of one node, y = op(reads...), of operator set 21; the model's input is x; both are of that
/// element type.
inline Message model(const std::string& op, const std::vector<Message>& attributes = {}, int type = 1,
                     const std::vector<std::string>& reads = {"x"}) {
  const auto value = [&](const char* name) {
    const Message shapeless = Message().number(1, static_cast<std::uint64_t>(type));
    return Message().text(1, name).message(2, Message().message(1, shapeless));
  };
  Message node;
  for (const std::string& name : reads) node.text(1, name);
  node.text(2, "y").text(4, op);
  for (const Message& a : attributes) node.message(5, a);
  const Message graph = Message().message(1, node).message(11, value("x")).message(12, value("y"));
  return Message().number(1, 8).message(7, graph).message(8, Message().text(1, "").number(2, 21));
}

}  // namespace isobit::test
