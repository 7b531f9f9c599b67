// NumPy's archives: what is written is read, what NumPy writes is read, and what is damaged is refused.
#include <gtest/gtest.h>
#include <isobit/error.h>
#include <isobit/npz.h>
#include <isobit/ops.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "tests/support/files.h"

namespace isobit {
namespace {

using Bytes = std::vector<std::uint8_t>;

void put(Bytes& to, std::uint32_t v, int count) {
  for (int i = 0; i < count; ++i) to.push_back(static_cast<std::uint8_t>(v >> (8 * i)));
}
void put(Bytes& to, const std::string& text) {
  to.insert(to.end(), text.begin(), text.end());
}

Bytes npy(const std::string& header, const Bytes& elements) {
  Bytes out{0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
  put(out, static_cast<std::uint32_t>(header.size()), 2);
  put(out, header);
  out.insert(out.end(), elements.begin(), elements.end());
  return out;
}
const char* const kVector = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n";

struct Zip {
  std::string name = "a.npy";
  Bytes content = npy(kVector, Bytes(8));
  bool deflate = false;
  std::uint32_t flags = 0, method = 8, checksum_off = 0, size_off = 0, local_off = 0, count = 1;
  std::string second = {};  ///< name of the directory's second entry, if another
};
Bytes zip(const Zip& z) {
  Bytes packed = z.content;
  if (z.deflate) {
    z_stream stream{};
    deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
    packed.resize(z.content.size() + 100);
    Bytes in = z.content;
    stream.next_in = in.data();
    stream.avail_in = static_cast<unsigned>(in.size());
    stream.next_out = packed.data();
    stream.avail_out = static_cast<unsigned>(packed.size());
    deflate(&stream, Z_FINISH);
    packed.resize(packed.size() - stream.avail_out);
    deflateEnd(&stream);
  }
  Bytes out;
  put(out, 0x04034b50, 4);
  put(out, 45, 2);  // as numpy.savez writes: sizes of the local header in an extra field
  put(out, z.flags, 2);
  put(out, z.deflate ? z.method : 0, 2);
  put(out, 0, 4);
  put(out, 0, 4);
  put(out, 0xffffffffu, 4);
  put(out, 0xffffffffu, 4);
  put(out, static_cast<std::uint32_t>(z.name.size()), 2);
  put(out, 20, 2);
  put(out, z.name);
  out.resize(out.size() + 20);
  out.insert(out.end(), packed.begin(), packed.end());
  const auto from = static_cast<std::uint32_t>(out.size());
  for (std::uint32_t i = 0; i < z.count; ++i) {
    put(out, 0x02014b50, 4);
    put(out, 20, 2);
    put(out, 45, 2);
    put(out, z.flags, 2);
    put(out, z.deflate ? z.method : 0, 2);
    put(out, 0, 4);
    put(out,
        static_cast<std::uint32_t>(crc32(0, z.content.data(), static_cast<unsigned>(z.content.size()))) +
            z.checksum_off,
        4);
    put(out, static_cast<std::uint32_t>(packed.size()), 4);
    put(out, static_cast<std::uint32_t>(z.content.size()) + z.size_off, 4);
    const std::string& name = i == 1 && !z.second.empty() ? z.second : z.name;
    put(out, static_cast<std::uint32_t>(name.size()), 2);
    out.resize(out.size() + 12);
    put(out, z.local_off, 4);
    put(out, name);
  }
  const auto size = static_cast<std::uint32_t>(out.size()) - from;
  put(out, 0x06054b50, 4);
  put(out, 0, 4);
  put(out, z.count, 2);
  put(out, z.count, 2);
  put(out, size, 4);
  put(out, from, 4);
  put(out, 0, 2);
  return out;
}

std::string refusal(const Bytes& bytes) {
  try {
    io::decode_npz(bytes, "test.npz");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}
void expect_refused(const Zip& z, const std::string& words) {
  const std::string why = refusal(zip(z));
  EXPECT_NE(why.find(words), std::string::npos) << "'" << why << "', expected '" << words << "'";
}

TEST(Npz, RoundTrip) {
  test::TemporaryFolder folder;
  const std::string path = folder.path() + "/a.npz";
  const io::NamedTensors given{
      {"x", random_normal({2, 3, 4}, {1, 1})},
      {"3.weight", random_normal({5}, {1, 2}, 0, 1, {.dtype = DType::f64})},
      {"half", random_normal({2, 2}, {1, 3}).to(DType::f16)},
      {"scalar", full({}, 2.5)},
      {"empty", zeros({0, 3})},
      {"labels", from_vector(std::vector<std::int64_t>{-1, 7}, {2})},
      {"few", from_vector(std::vector<std::int32_t>{-1, 7}, {1, 2})},
      {"bytes", from_vector(std::vector<std::uint8_t>{1, 255}, {2, 1})},
      {"truth", from_vector(std::vector<std::uint8_t>{1, 0}, {2}).to(DType::boolean)}};
  io::write_npz(path, given);
  const io::NamedTensors read = io::read_npz(path);
  ASSERT_EQ(read.size(), given.size());
  for (std::size_t i = 0; i < given.size(); ++i) {
    EXPECT_EQ(read[i].first, given[i].first);
    EXPECT_TRUE(equal_bits(read[i].second, given[i].second)) << given[i].first;
  }
  const Tensor brain = random_normal({3}, {1, 4}).to(DType::bf16);
  const io::NamedTensors widened = io::decode_npz(io::encode_npz({{"b", brain}}), "memory");
  EXPECT_TRUE(equal_bits(widened[0].second, brain.to(DType::f32)));
  EXPECT_TRUE(io::decode_npz(io::encode_npz({}), "memory").empty());
  EXPECT_THROW(io::encode_npz({{"a", brain}, {"a", brain}}), Error);
  EXPECT_THROW(io::encode_npz({{"", brain}}), Error);
  EXPECT_THROW(io::encode_npz({{"a", Tensor()}}), Error);
}

TEST(Npz, WhatNumPyWrites) {
  Zip z;
  EXPECT_EQ(io::decode_npz(zip(z), "n")[0].second.shape(), (Shape{2}));
  z.content = npy(kVector, {0, 0, 128, 63, 0, 0, 0, 64});
  z.deflate = true;
  const io::NamedTensors packed = io::decode_npz(zip(z), "n");
  EXPECT_EQ(packed[0].first, "a");
  EXPECT_EQ(packed[0].second.to_vector<float>(), (std::vector<float>{1, 2}));
  // Fortran's order: columns first.
  z.content = npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }    \n", {1, 4, 2, 5, 3, 6});
  const Tensor turned = io::decode_npz(zip(z), "n")[0].second;
  EXPECT_EQ(turned.shape(), (Shape{2, 3}));
  EXPECT_EQ(turned.to_vector<std::uint8_t>(), (std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6}));
}

TEST(Npz, RefusesANameThatOccursTwice) {
  Bytes bytes = io::encode_npz({{"a", zeros({2})}, {"b", zeros({2})}});
  std::replace(bytes.begin(), bytes.end(), std::uint8_t{'b'}, std::uint8_t{'a'});
  EXPECT_NE(refusal(bytes).find("two members are called a.npy"), std::string::npos) << refusal(bytes);
}

TEST(Npz, RefusesDamage) {
  const Bytes good = zip({});
  for (std::size_t length = 0; length < good.size(); ++length)
    EXPECT_NE(refusal(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length))), "") << length;
  expect_refused({.checksum_off = 1}, "checksum");
  expect_refused({.size_off = 1}, "is stored as");
  expect_refused({.deflate = true, .size_off = 1}, "do not give");
  expect_refused({.deflate = true, .size_off = 0x7fffff00}, "cannot come from");
  expect_refused({.local_off = 3}, "does not begin");
  expect_refused({.flags = 1}, "password");
  expect_refused({.deflate = true, .method = 12}, "method 12");
  expect_refused({.count = 2, .second = "b.npy"}, "b.npy overlaps other members");
  expect_refused({.deflate = true, .count = 2, .second = "b.npy"}, "overlaps");
  expect_refused({.name = "a.txt"}, "expected a name and .npy");
  expect_refused({.content = Bytes{1, 2, 3}}, "no .npy array");
  expect_refused({.content = npy(kVector, Bytes(9))}, "9 bytes of elements");
  for (const char* header : {"", "{", "{}", "[1]", "{'descr': '<f4'}",
                             "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } x",
                             "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,), }",
                             "{'descr': '<f4', 'fortran_order': false, 'shape': (2,), }",
                             "{'descr': '<f4', 'fortran_order': False, 'shape': 2}",
                             "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", "{'descr: 2"}) {
    const std::string why = refusal(zip({.content = npy(header, Bytes(8))}));
    EXPECT_NE(why.find("unexpected"), std::string::npos) << header << ": " << why;
  }
  expect_refused({.content = npy("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", Bytes(8))},
                 "dtype '>f4'");
  expect_refused({.content = npy("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", Bytes(8))},
                 "dtype '|O'");
  expect_refused(
      {.content = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2)}", Bytes(8))},
      "more than 8 axes");
  EXPECT_NE(refusal(zip({.content = npy(
                             "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 8), }",
                             Bytes(8))})),
            "");
  expect_refused({.content = npy("{'descr': '|b1', 'fortran_order': False, 'shape': (1,), }", {2})},
                 "a bool is 2");
  // Every byte of an archive flipped: read as something or refused, never more.
  const Bytes packed = zip({.deflate = true});
  for (std::size_t i = 0; i < packed.size(); ++i)
    for (const int bit : {0, 3, 7}) {
      Bytes other = packed;
      other[i] ^= static_cast<std::uint8_t>(1 << bit);
      refusal(other);
    }
}

}  // namespace
}  // namespace isobit
