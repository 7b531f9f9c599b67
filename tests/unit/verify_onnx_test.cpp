// `isobit verify --onnx` as a user meets it: the packaged cases of ONNX where they are installed, and cases
// made here, byte by byte, whole and damaged.
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "tests/support/files.h"
#include "tests/support/paths.h"
#include "tests/support/program.h"

namespace isobit {
namespace {

using nlohmann::json;
using test::Bytes;
using test::ProgramResult;

constexpr const char* packaged = "/usr/share/libonnx-testdata/data";

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

ProgramResult onnx(std::vector<std::string> more) {
  more.insert(more.begin(), {test::isobit_program(), "verify", "--onnx"});
  return test::run_program(more);
}

/// A message of Protocol Buffers, field by field.
class Message {
 public:
  Message& number(int field, std::uint64_t value) {
    varint(static_cast<std::uint64_t>(field) << 3);
    varint(value);
    return *this;
  }
  Message& bytes(int field, const Bytes& value) {
    varint(static_cast<std::uint64_t>(field) << 3 | 2);
    varint(value.size());
    out_.insert(out_.end(), value.begin(), value.end());
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

/// A TensorProto: extents, element type (1 is f32, 3 is int8), little-endian elements.
Message tensor(const std::vector<std::int64_t>& extents, int type, const Bytes& raw) {
  Message t;
  for (const std::int64_t e : extents) t.number(1, static_cast<std::uint64_t>(e));
  return t.number(2, static_cast<std::uint64_t>(type)).bytes(9, raw);
}
Bytes floats(const std::vector<float>& values) {
  Bytes raw(values.size() * sizeof(float));
  if (!values.empty()) std::memcpy(raw.data(), values.data(), raw.size());
  return raw;
}

/// y = op(x), both of that element type, of operator set 13.
Message model(const std::string& op, int type = 1, const std::string& reads = "x") {
  const auto value = [&](const char* name) {
    return Message().text(1, name).message(
        2, Message().message(1, Message().number(1, static_cast<std::uint64_t>(type))));
  };
  const Message node = Message().text(1, reads).text(2, "y").text(4, op);
  const Message graph = Message().message(1, node).message(11, value("x")).message(12, value("y"));
  return Message().number(1, 8).message(7, graph).message(8, Message().text(1, "").number(2, 13));
}

/// A folder with cases that say y = relu(x) of x = (-1, 2, 3).
class OnnxCases : public testing::Test {
 protected:
  void SetUp() override {
    const ProgramResult probe = onnx({"/nonexistent"});
    EXPECT_EQ(probe.code, 1);
    if (contains(probe.err, "reads no ONNX files")) {
      EXPECT_TRUE(contains(probe.err, "libonnx-dev")) << probe.err;
      GTEST_SKIP() << probe.err;
    }
    EXPECT_TRUE(contains(probe.err, "no folder '/nonexistent'") && contains(probe.err, "libonnx-testdata"))
        << probe.err;
  }
  void write_case(const std::string& name, const Message& m, const Message& x, const Message& y) const {
    const std::string set = folder_.folder(name + "/test_data_set_0");
    test::write_bytes(file(name, "model.onnx"), m.done());
    test::write_bytes(set + "/input_0.pb", x.done());
    test::write_bytes(set + "/output_0.pb", y.done());
  }
  void write_good(const std::string& name) const {
    write_case(name, model("Relu"), tensor({3}, 1, floats({-1, 2, 3})), tensor({3}, 1, floats({0, 2, 3})));
  }
  std::string file(const std::string& name, const std::string& of) const {
    return folder_ / (name + "/" + of);
  }

  /// The only case must fail; its message names the file and says `what`.
  void expect_failure(const std::string& named, const std::string& what) const {
    const ProgramResult result = onnx({folder_.path(), "--json"});
    ASSERT_EQ(result.code, 1) << result.err;
    const json j = json::parse(result.last_line());
    ASSERT_EQ(j["failed"], 1) << j;
    EXPECT_EQ(j["passed"], 0);
    EXPECT_EQ(j["ok"], false);
    const std::string error = j["failures"][0]["error"];
    EXPECT_TRUE(contains(error, named) && contains(error, what)) << error;
  }

  test::TemporaryFolder folder_;
};

TEST_F(OnnxCases, PackagedCasesPass) {
  if (!std::filesystem::is_directory(packaged))
    GTEST_SKIP() << "the package libonnx-testdata is not installed";
  const ProgramResult result = onnx({"--json"});
  ASSERT_EQ(result.code, 0) << result.err;
  const json j = json::parse(result.last_line());
  EXPECT_EQ(j["ok"], true);
  EXPECT_EQ(j["failed"], 0);
  EXPECT_GE(j["passed"], 500) << "fewer cases than when this was written";
  EXPECT_GT(j["seconds"].get<double>(), 0);
  EXPECT_EQ(j["devices"], json::array({"cpu"}));
  int skipped = 0;
  for (const auto& [reason, count] : j["skips"].items()) {
    EXPECT_FALSE(reason.empty());
    skipped += count.get<int>();
  }
  EXPECT_EQ(j["skipped"], skipped);
  for (const char* op : {"Conv", "AveragePool", "MaxPool", "BatchNormalization", "InstanceNormalization",
                         "LRN", "Softmax", "LogSoftmax", "Momentum", "Adam"})
    EXPECT_GT(j["operators"].value(op, 0), 0) << op;
}

TEST_F(OnnxCases, CountsWhatPassedFailedAndWasLeftOut) {
  write_good("a_good");
  write_good("b/nested");
  write_case("c_int8", model("Relu", 3), tensor({3}, 3, {0, 1, 2}), tensor({3}, 3, {0, 1, 2}));
  write_case("d_other", model("StringNormalizer"), tensor({}, 1, floats({0})), tensor({}, 1, floats({0})));
  const ProgramResult good = onnx({folder_.path()});
  EXPECT_EQ(good.code, 0) << good.err;
  EXPECT_TRUE(contains(good.out, "2 passed, 0 failed, 1 skipped, 1 of other operators, on cpu")) << good.out;
  EXPECT_TRUE(contains(good.out, "1: element type INT8\n    c_int8")) << good.out;
  write_case("e_wrong", model("Relu"), tensor({3}, 1, floats({-1, 2, 3})),
             tensor({3}, 1, floats({0, 2, 3.001f})));
  const ProgramResult bad = onnx({folder_.path()});
  EXPECT_EQ(bad.code, 1);
  EXPECT_TRUE(
      contains(bad.out, "e_wrong on cpu: test_data_set_0, output y: 1 of 3 elements differ, first [2]"))
      << bad.out;
  EXPECT_EQ(onnx({folder_.path(), "--only", "a_good"}).code, 0);
}

TEST_F(OnnxCases, NothingThatRanIsNoSuccess) {
  write_case("int8", model("Relu", 3), tensor({3}, 3, {0, 1, 2}), tensor({3}, 3, {0, 1, 2}));
  const ProgramResult result = onnx({folder_.path(), "--json"});
  EXPECT_EQ(result.code, 1);
  const json j = json::parse(result.last_line());
  EXPECT_EQ(j["ok"], false);
  EXPECT_EQ(j["skipped"], 1);
  EXPECT_EQ(j["skips"]["element type INT8"], 1);
  EXPECT_TRUE(contains(onnx({folder_.path(), "--only", "no such case"}).err, "no case in"));
  test::TemporaryFolder empty;
  EXPECT_TRUE(contains(onnx({empty.path()}).err, "no folder with a model.onnx"));
}

TEST_F(OnnxCases, TheToleranceRefusesNanAndKeepsInfinity) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const auto judged = [&](const std::vector<float>& x, const std::vector<float>& y) {
    const auto n = static_cast<std::int64_t>(x.size());
    write_case("one", model("Relu"), tensor({n}, 1, floats(x)), tensor({n}, 1, floats(y)));
    return onnx({folder_.path()}).code;
  };
  EXPECT_EQ(judged({inf, nan, 1}, {inf, nan, 1}), 0);
  EXPECT_EQ(judged({nan}, {1}), 1);
  EXPECT_EQ(judged({1}, {nan}), 1);
  EXPECT_EQ(judged({inf}, {3e38f}), 1);
  EXPECT_EQ(judged({3e38f}, {inf}), 1);
  EXPECT_EQ(judged({1}, {1.000009f}), 0);
  EXPECT_EQ(judged({1}, {1.000012f}), 1);
  EXPECT_EQ(judged({0}, {0.9e-7f}), 0);
  EXPECT_EQ(judged({0}, {1.1e-7f}), 1);
}

TEST_F(OnnxCases, EveryTruncatedModelIsToldFromAWholeOne) {
  write_good("one");
  const Bytes whole = model("Relu").done();
  for (std::size_t n = 0; n < whole.size(); n += 3) {
    test::write_bytes(file("one", "model.onnx"), {whole.data(), n});
    const ProgramResult result = onnx({folder_.path()});
    ASSERT_EQ(result.code, 1) << n << result.out;  // no signal, no success
  }
}

TEST_F(OnnxCases, DamagedTensorsAreNamed) {
  const std::string input = "one/test_data_set_0/input_0.pb";
  const auto with = [&](const Message& x) {
    write_good("one");
    test::write_bytes(folder_ / input, x.done());
  };
  with(tensor({3}, 1, floats({1, 2})));
  expect_failure(input, "has 12 bytes, 8 are there");
  with(tensor({-3}, 1, floats({1, 2, 3})));
  expect_failure(input, "-3");
  with(tensor({1 << 30, 1 << 30, 1 << 30, 1 << 30}, 1, floats({1})));
  expect_failure(input, "input_0.pb");
  with(tensor({std::int64_t{1} << 40}, 1, floats({1})));  // lies about what it has: no memory is asked for
  expect_failure(input, "4 are there");
  with(Message().number(1, 2).number(2, 1).bytes(4, floats({1})));  // float_data, one element of two
  expect_failure(input, "has 2 elements, 1 are there");
  with(Message().number(1, 1).number(2, 2).number(5, 300));  // u8 of 300
  expect_failure(input, "300");
  with(Message().text(9, std::string(40, 'x')).bytes(8, {0xff}));
  EXPECT_EQ(onnx({folder_.path()}).code, 1);
  const Bytes whole = tensor({3}, 1, floats({-1, 2, 3})).done();
  for (std::size_t n = 0; n < whole.size(); ++n) {
    test::write_bytes(folder_ / input, {whole.data(), n});
    ASSERT_EQ(onnx({folder_.path()}).code, 1) << n;
  }
  std::filesystem::remove(folder_ / input);
  expect_failure("test_data_set_0", "0 files input_K.pb for a model of 1");
}

TEST_F(OnnxCases, ModelsThatDoNotHoldTogetherAreErrors) {
  const Message x = tensor({3}, 1, floats({-1, 2, 3}));
  write_case("one", model("Relu", 1, "nothing"), x, x);
  expect_failure("Relu", "reads 'nothing', which nothing made");
  write_case("one", model("Conv"), x, x);  // no filters, no channels
  expect_failure("Conv", "input 1 is missing");
  write_case("one", model("MaxPool"), tensor({1, 1, 3}, 1, floats({1, 2, 3})), x);
  expect_failure("MaxPool", "kernel_shape is missing");
  test::write_text(file("one", "model.onnx"), "");
  expect_failure("model.onnx", "no nodes");
}

}  // namespace
}  // namespace isobit
