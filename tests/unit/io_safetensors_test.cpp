// safetensors: round trips, bytes made by hand, and files that lie.
#include <gtest/gtest.h>
#include <isobit/io.h>

#include <cstring>
#include <limits>

#include "tests/support/files.h"

namespace isobit {
namespace {

using test::Bytes;
using test::refuses;

Bytes file_of(std::string_view json, std::size_t data_bytes, std::uint64_t said_header = 0) {
  Bytes bytes(8);
  const std::uint64_t header = said_header != 0 ? said_header : json.size();
  std::memcpy(bytes.data(), &header, 8);
  bytes.insert(bytes.end(), json.begin(), json.end());
  for (std::size_t i = 0; i < data_bytes; ++i) bytes.push_back(static_cast<std::uint8_t>(i));
  return bytes;
}

testing::AssertionResult decode_refuses(std::string_view json, std::size_t data_bytes,
                                        std::initializer_list<std::string_view> parts) {
  const Bytes bytes = file_of(json, data_bytes);
  return refuses([&] { io::decode_safetensors(bytes, "file"); }, parts);
}

io::NamedTensors all_dtypes() {
  io::NamedTensors tensors;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  tensors.emplace_back("z.f32", from_vector<float>({1.5f, -0.0f, nan, 1e-40f, 3e38f, -2}, {2, 3}));
  tensors.emplace_back("f64", from_vector<double>({1.0 / 3, -1e300}, {2}));
  tensors.emplace_back("f16", from_vector<f16>({f16{0x3c00}, f16{0x7c00}, f16{0x0001}}, {3, 1}));
  tensors.emplace_back("bf16", from_vector<bf16>({bf16{0x3f80}}, {1}));
  tensors.emplace_back("i32", from_vector<std::int32_t>({-5, 2147483647}, {2, 1}));
  tensors.emplace_back("i64", from_vector<std::int64_t>({std::numeric_limits<std::int64_t>::min()}, {}));
  tensors.emplace_back("u8", from_vector<std::uint8_t>({0, 255, 7}, {3}));
  tensors.emplace_back("no elements", zeros({0, 4}));
  const std::uint8_t booleans[] = {1, 0, 1};
  tensors.emplace_back("bool \"quoted\" \xc3\xa9", from_bytes(booleans, {3}, {.dtype = DType::boolean}));
  return tensors;
}

TEST(Safetensors, RoundTripOfEveryDtypeThroughMemoryAndFile) {
  const io::NamedTensors tensors = all_dtypes();
  const io::Metadata metadata{{"step", "12"}, {"", "empty key"}, {"text", "line\nbreak \"quotes\""}};
  const test::TemporaryFolder folder;
  io::write_safetensors(folder / "a.safetensors", tensors, metadata);
  const Bytes encoded = io::encode_safetensors(tensors, metadata);
  EXPECT_EQ(test::read_bytes(folder / "a.safetensors"), encoded);
  EXPECT_EQ(folder.listing(), "a.safetensors");

  for (const io::SafeTensors& back :
       {io::read_safetensors(folder / "a.safetensors"), io::decode_safetensors(encoded, "memory")}) {
    EXPECT_EQ(back.metadata, metadata);
    ASSERT_EQ(back.tensors.size(), tensors.size());
    for (const auto& [name, tensor] : tensors) {
      ASSERT_TRUE(back.contains(name)) << name;
      EXPECT_TRUE(equal_bits(back.at(name), tensor)) << name;
    }
    EXPECT_EQ(io::digest(back.tensors), io::digest(tensors));
    EXPECT_EQ(io::encode_safetensors(back.tensors, back.metadata), encoded);
  }
}

TEST(Safetensors, BytesAreThoseOfTheFormat) {
  const io::NamedTensors tensors{{"b", from_vector<std::uint8_t>({9}, {1})},
                                 {"a", from_vector<float>({1.0f, -2.0f}, {1, 2})}};
  const Bytes bytes = io::encode_safetensors(tensors, {{"k", "v"}});
  std::string json = R"({"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
                     R"("b":{"dtype":"U8","shape":[1],"data_offsets":[8,9]}})";
  json.resize((json.size() + 7) / 8 * 8, ' ');
  Bytes expected = file_of(json, 0);
  for (const int byte : {0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 9})
    expected.push_back(static_cast<std::uint8_t>(byte));
  EXPECT_EQ(bytes, expected);
}

TEST(Safetensors, KeysOfAnyOrderAndTensorsOutOfOrder) {
  const Bytes bytes = file_of(
      R"({"y":{"shape":[2],"data_offsets":[4,6],"dtype":"U8"}, "x":{"data_offsets":[0,4],"dtype":"I32","shape":[]}})",
      6);
  const io::SafeTensors file = io::decode_safetensors(bytes, "file");
  ASSERT_EQ(file.tensors.size(), 2u);
  EXPECT_EQ(file.tensors[0].first, "x");
  EXPECT_EQ(file.at("x").item(), 0x03020100);
  EXPECT_EQ(file.at("y").to_vector<std::uint8_t>(), (std::vector<std::uint8_t>{4, 5}));
  EXPECT_TRUE(refuses([&] { static_cast<void>(file.at("w")); }, {"no tensor 'w'", "x, y"}));
}

TEST(Safetensors, EmptyFileOfTensors) {
  EXPECT_TRUE(io::decode_safetensors(file_of("{}", 0), "file").tensors.empty());
  const Bytes bytes = io::encode_safetensors({}, {});
  EXPECT_TRUE(io::decode_safetensors(bytes, "file").tensors.empty());
}

TEST(Safetensors, LyingLengths) {
  for (std::size_t n = 0; n < 8; ++n)
    EXPECT_TRUE(refuses([&] { io::decode_safetensors(Bytes(n), "file"); }, {"file", "too few"}));
  for (const std::uint64_t said :
       {std::uint64_t{3}, std::uint64_t{1} << 40, ~std::uint64_t{0}, ~std::uint64_t{7}}) {
    const Bytes bytes = file_of("{}", 0, said);
    EXPECT_TRUE(refuses([&] { io::decode_safetensors(bytes, "file"); }, {"header", std::to_string(said)}));
  }
  EXPECT_TRUE(decode_refuses("", 0, {"does not begin"}));
  EXPECT_TRUE(decode_refuses("[]", 0, {"does not begin"}));
}

TEST(Safetensors, LyingOffsets) {
  const auto two = [](const char* first, const char* second) {
    return fmt::format(R"({{"a":{{"dtype":"U8","shape":[4],"data_offsets":{}}},)"
                       R"("b":{{"dtype":"U8","shape":[4],"data_offsets":{}}}}})",
                       first, second);
  };
  EXPECT_NO_THROW(io::decode_safetensors(file_of(two("[0,4]", "[4,8]"), 8), "file"));
  EXPECT_TRUE(decode_refuses(two("[0,4]", "[3,7]"), 7, {"'b'", "byte 3", "expected 4", "overlap"}));
  EXPECT_TRUE(decode_refuses(two("[0,4]", "[0,4]"), 4, {"overlap"}));
  EXPECT_TRUE(decode_refuses(two("[0,4]", "[5,9]"), 9, {"'b'", "byte 5", "holes"}));
  EXPECT_TRUE(decode_refuses(two("[1,5]", "[5,9]"), 9, {"'a'", "byte 1", "holes"}));
  EXPECT_TRUE(decode_refuses(two("[0,4]", "[4,8]"), 9, {"cover 8", "holds 9"}));
  EXPECT_TRUE(decode_refuses(two("[0,4]", "[4,8]"), 7, {"'b'", "ends at byte 8", "only 7"}));
  EXPECT_TRUE(decode_refuses(two("[0,4]", "[8,4]"), 8, {"'b'", "[8, 4]"}));
  EXPECT_TRUE(decode_refuses(two("[0,5]", "[5,9]"), 9, {"'a'", "4 bytes"}));
  EXPECT_TRUE(decode_refuses(two("[0,4]", "[4]"), 8, {"1 numbers"}));
  EXPECT_TRUE(decode_refuses(two("[0,4]", "[4,8,9]"), 8, {"more than 2"}));
  EXPECT_TRUE(decode_refuses(two("[0,4]", "[-4,0]"), 8, {"negative"}));
  EXPECT_TRUE(decode_refuses(two("[0,4]", "[4,18446744073709551616]"), 8, {"whole"}));
  EXPECT_TRUE(decode_refuses(two("[18446744073709551612,18446744073709551616]", "[0,4]"), 8, {"whole"}));
  EXPECT_TRUE(decode_refuses(two("[0,4]", "[18446744073709551611,18446744073709551615]"), 8, {"'b'"}));
}

TEST(Safetensors, OverflowingShapes) {
  const auto shape = [](const char* text) {
    return fmt::format(R"({{"a":{{"dtype":"F64","shape":{},"data_offsets":[0,8]}}}})", text);
  };
  EXPECT_NO_THROW(io::decode_safetensors(file_of(shape("[1,1,1]"), 8), "file"));
  EXPECT_TRUE(decode_refuses(shape("[4611686018427387904,4]"), 8, {"tensor 'a'"}));
  EXPECT_TRUE(decode_refuses(shape("[2305843009213693953]"), 8, {"tensor 'a'"}));  // times 8 is 8 again
  EXPECT_TRUE(decode_refuses(shape("[9223372036854775808]"), 8, {"too large"}));
  EXPECT_TRUE(decode_refuses(shape("[0,9223372036854775807,9223372036854775807]"), 8, {"tensor 'a'"}));
  EXPECT_TRUE(decode_refuses(shape("[1,1,1,1,1,1,1,1,1]"), 8, {"axes"}));
  EXPECT_TRUE(decode_refuses(shape("[1.5]"), 8, {"whole"}));
  EXPECT_TRUE(decode_refuses(shape("[[1]]"), 8, {"array"}));
  EXPECT_TRUE(decode_refuses(shape("\"1\""), 8, {"string"}));
}

TEST(Safetensors, WrongHeaders) {
  EXPECT_TRUE(decode_refuses(R"({"a":{"dtype":"F8","shape":[1],"data_offsets":[0,1]}})", 1, {"'F8'", "F64"}));
  EXPECT_TRUE(decode_refuses(R"({"a":{"dtype":"U8","shape":[1]}})", 1, {"data_offsets is missing"}));
  EXPECT_TRUE(
      decode_refuses(R"({"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}})", 1, {"twice"}));
  EXPECT_TRUE(decode_refuses(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}})", 1,
                             {"unknown key 'x'"}));
  const std::string a = R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  EXPECT_TRUE(decode_refuses("{" + a + "," + a + "}", 1, {"'a'", "twice"}));
  EXPECT_TRUE(decode_refuses("{" + a, 1, {"not valid JSON"}));
  EXPECT_TRUE(decode_refuses("{" + a + "} x", 1, {"not valid JSON"}));
  EXPECT_TRUE(decode_refuses("{" + a + "}{}", 1, {"not valid JSON"}));
  EXPECT_TRUE(decode_refuses(R"({"a":3})", 0, {"'a'", "number"}));
  EXPECT_TRUE(decode_refuses(R"({"a":null})", 0, {"null"}));
  EXPECT_TRUE(decode_refuses(R"({"__metadata__":{"k":1}})", 0, {"'k'", "number"}));
  EXPECT_TRUE(decode_refuses(R"({"__metadata__":{"k":{}}})", 0, {"'k'", "object"}));
  EXPECT_TRUE(decode_refuses(R"({"__metadata__":{"k":"1","k":"2"}})", 0, {"'k'", "twice"}));
  EXPECT_TRUE(decode_refuses("{\"\xff\xfe\":{}}", 0, {"not valid JSON"}));
  EXPECT_TRUE(
      decode_refuses(R"({"a":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}})", 3, {"boolean 2", "2"}));
}

TEST(Safetensors, DepthBomb) {
  std::string deep = "{\"a\":{\"shape\":";
  deep.append(2'000'000, '[');
  EXPECT_TRUE(decode_refuses(deep, 0, {"array where none may be"}));
  std::string objects = "{";
  for (int i = 0; i < 100'000; ++i) objects += "\"a\":{";
  EXPECT_TRUE(decode_refuses(objects, 0, {}));
}

TEST(Safetensors, RefusesToWriteWhatItCouldNotRead) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "a";
  const Tensor t = zeros({2});
  EXPECT_TRUE(refuses([&] { io::write_safetensors(path, {{"t", t}, {"t", t}}); }, {"'t'", "twice"}));
  EXPECT_TRUE(refuses([&] { io::write_safetensors(path, {{"__metadata__", t}}); }, {"reserved"}));
  EXPECT_TRUE(refuses([&] { io::write_safetensors(path, {{"t", Tensor()}}); }, {"'t'", "undefined"}));
  EXPECT_TRUE(refuses([&] { io::write_safetensors(path, {{"\xff", t}}); }, {"UTF-8"}));
  EXPECT_TRUE(refuses([&] { io::write_safetensors(path, {{"t", t}}, {{"k", "\xc3"}}); }, {"UTF-8"}));
  EXPECT_EQ(folder.listing(), "");
}

TEST(Digest, DependsOnNamesFormsAndValuesNotOnTheOrder) {
  const Tensor a = from_vector<float>({1, 2}, {2}), b = from_vector<float>({1, 2}, {1, 2});
  const std::string d = io::digest({{"x", a}, {"y", b}});
  EXPECT_EQ(d.size(), 64u);
  EXPECT_EQ(d, io::digest({{"y", b}, {"x", a}}));
  EXPECT_NE(d, io::digest({{"x", b}, {"y", a}}));
  EXPECT_NE(d, io::digest({{"x", a}, {"z", b}}));
  EXPECT_NE(d, io::digest({{"x", a}}));
  const auto bits = [](std::uint32_t v) { return from_bytes(&v, {1}, {.dtype = DType::f32}); };
  EXPECT_EQ(io::digest({{"n", bits(0x7fc00000)}}), io::digest({{"n", bits(0xffc12345)}}));
  EXPECT_NE(io::digest({{"n", bits(0)}}), io::digest({{"n", bits(0x80000000)}}));
  // sha256sum of no bytes
  EXPECT_EQ(io::digest({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_TRUE(refuses([&] { io::digest({{"x", a}, {"x", b}}); }, {"'x'", "twice"}));
}

}  // namespace
}  // namespace isobit
