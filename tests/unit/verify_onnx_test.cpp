// `isobit verify --onnx` as a user meets it: the packaged cases of ONNX where they are installed, and cases
// made here, byte by byte, whole and damaged.
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "tests/support/files.h"
#include "tests/support/onnx.h"
#include "tests/support/paths.h"
#include "tests/support/program.h"

namespace isobit {
namespace {

using nlohmann::json;
using test::attribute;
using test::Bytes;
using test::floats;
using test::Message;
using test::model;
using test::ProgramResult;
using test::tensor;

constexpr const char* packaged = "/usr/share/libonnx-testdata/data";

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

ProgramResult onnx(std::vector<std::string> more) {
  more.insert(more.begin(), {test::isobit_program(), "verify", "--onnx"});
  return test::run_program(more);
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
  EXPECT_GE(j["passed"], 661) << "fewer cases than when this was written";
  EXPECT_GT(j["seconds"].get<double>(), 0);
  EXPECT_EQ(j["devices"], json::array({"cpu"}));
  int skipped = 0;
  for (const auto& [reason, count] : j["skips"].items()) {
    EXPECT_FALSE(reason.empty());
    EXPECT_FALSE(contains(reason, "Conv") || contains(reason, "Norm") || contains(reason, "Loss")) << reason;
    skipped += count.get<int>();
  }
  EXPECT_EQ(j["skipped"], skipped);
  for (const char* op : {"Conv",
                         "ConvTranspose",
                         "Pad",
                         "AveragePool",
                         "MaxPool",
                         "GlobalAveragePool",
                         "GlobalMaxPool",
                         "MaxUnpool",
                         "BatchNormalization",
                         "InstanceNormalization",
                         "LRN",
                         "Softmax",
                         "LogSoftmax",
                         "SoftmaxCrossEntropyLoss",
                         "NegativeLogLikelihoodLoss",
                         "Momentum",
                         "Adam",
                         "Resize",
                         "Upsample",
                         "DepthToSpace",
                         "SpaceToDepth"})
    EXPECT_GT(j["operators"].value(op, 0), 0) << op;
}

TEST_F(OnnxCases, CountsWhatPassedFailedAndWasLeftOut) {
  write_good("a_good");
  write_good("b/nested");
  write_case("c_int8", model("Relu", {}, 3), tensor({3}, 3, {0, 1, 2}), tensor({3}, 3, {0, 1, 2}));
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
  write_case("int8", model("Relu", {}, 3), tensor({3}, 3, {0, 1, 2}), tensor({3}, 3, {0, 1, 2}));
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
  write_case("one", model("Relu", {}, 1, {"nothing"}), x, x);
  expect_failure("Relu", "reads 'nothing', which nothing made");
  write_case("one", model("Conv"), x, x);  // no filters, no channels
  expect_failure("Conv", "input 1 is missing");
  write_case("one", model("MaxPool"), tensor({1, 1, 3}, 1, floats({1, 2, 3})), x);
  expect_failure("MaxPool", "kernel_shape is missing");
  test::write_text(file("one", "model.onnx"), "");
  expect_failure("model.onnx", "no nodes");
}

// Numbers that no operator can mean: refused by its name, before memory is taken for them.
TEST_F(OnnxCases, AttributesThatCannotBe) {
  const Message x = tensor({1, 1, 4}, 1, floats({1, 2, 3, 4}));
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  const auto refused = [&](const std::string& op, const std::vector<Message>& attributes,
                           const std::vector<std::string>& reads = {"x"}) {
    write_case("one", model(op, attributes, 1, reads), x, x);
    const ProgramResult result = onnx({folder_.path(), "--json"});
    ASSERT_EQ(result.code, 1) << op << result.err;
    const json j = json::parse(result.last_line());
    EXPECT_EQ(j["failed"], 1) << op << j;
  };
  const Message kernel = attribute("kernel_shape", std::vector<std::int64_t>{2});
  for (const char* op : {"MaxPool", "AveragePool", "LpPool"}) {
    for (const std::int64_t bad : {std::int64_t{0}, std::int64_t{-1}, most, -most - 1}) {
      refused(op, {attribute("kernel_shape", std::vector<std::int64_t>{bad})});
      refused(op, {kernel, attribute("strides", std::vector<std::int64_t>{bad == most ? 0 : bad})});
    }
    refused(op, {attribute("kernel_shape", std::vector<std::int64_t>{2, 2})});
    refused(op, {kernel, attribute("pads", std::vector<std::int64_t>{1})});
    refused(op, {kernel, attribute("pads", std::vector<std::int64_t>{most, most})});
    refused(op, {kernel, attribute("pads", std::vector<std::int64_t>{-most, -9})});
    refused(op, {kernel, attribute("auto_pad", 3)});
    refused(op, {attribute("kernel_shape", 2)});
  }
  for (const std::int64_t bad : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{2}, most, -most - 1})
    for (const char* op : {"Conv", "ConvTranspose"}) refused(op, {attribute("group", bad)}, {"x", "x"});
  for (const std::int64_t bad : {std::int64_t{0}, std::int64_t{-1}, most, -most - 1}) {
    refused("ConvTranspose", {attribute("output_shape", std::vector<std::int64_t>{bad})}, {"x", "x"});
    refused("ConvTranspose", {attribute("strides", std::vector<std::int64_t>{bad})}, {"x", "x"});
    refused("DepthToSpace", {attribute("blocksize", bad)});
    refused("SpaceToDepth", {attribute("blocksize", bad)});
    refused("LpPool", {kernel, attribute("p", bad == most ? 0 : bad)});
  }
  refused("ConvTranspose", {attribute("output_padding", std::vector<std::int64_t>{most})}, {"x", "x"});
  refused("ConvTranspose", {attribute("pads", std::vector<std::int64_t>{most, most})}, {"x", "x"});
  refused("Resize", {attribute("axes", std::vector<std::int64_t>{0, 7})}, {"x", "", "x"});
  refused("MaxUnpool", {kernel}, {"x", "x"});
  for (const std::int64_t bad : {std::int64_t{3}, std::int64_t{-4}, most, -most - 1}) {
    refused("Softmax", {attribute("axis", bad)});
    refused("Concat", {attribute("axis", bad)}, {"x", "x"});
    refused("Transpose", {attribute("perm", std::vector<std::int64_t>{0, 1, bad})});
  }
  refused("Transpose", {attribute("perm", std::vector<std::int64_t>{0, 0, 0})});
  for (const std::int64_t bad : {std::int64_t{0}, std::int64_t{-3}, -most - 1})
    refused("LRN", {attribute("size", bad)});
  for (const std::int64_t bad : {std::int64_t{0}, std::int64_t{-3}, std::int64_t{2}, most})
    refused("GroupNormalization", {attribute("num_groups", bad)}, {"x", "x", "x"});
}

}  // namespace
}  // namespace isobit
