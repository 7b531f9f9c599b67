// isobit compare as a user meets it: devices, operands, files, the report, the smallest case, and its exit
// codes.
#include <gtest/gtest.h>
#include <isobit/autograd.h>
#include <isobit/compare_network.h>
#include <isobit/error.h>
#include <isobit/explain.h>
#include <isobit/io.h>
#include <isobit/nn.h>
#include <isobit/npz.h>
#include <isobit/saved_model.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/files.h"
#include "tests/support/paths.h"
#include "tests/support/program.h"

namespace isobit {
namespace {

using nlohmann::json;
using test::ProgramResult;
using Arguments = std::vector<std::string>;

nn::Sequential small_net() {
  nn::Sequential net{nn::Conv2D(6, 3, {.stride = 2, .padding = Same, .activation = Activate::relu}),
                     nn::Residual(nn::Sequential{nn::Conv2D(6, 3, {.padding = Same, .groups = 2}),
                                                 nn::BatchNorm(), nn::ReLU()}),
                     nn::MaxPool2D(2),
                     nn::ConvTranspose2D(3, 3, {.stride = 2}),
                     nn::AvgPool2D(2),
                     nn::Flatten(),
                     nn::Dropout(0.5),
                     nn::Linear(5)};
  net.build({9, 10, 3}, {}, Seed{3});
  return net;
}

class CompareProgram : public ::testing::Test {
 protected:
  void SetUp() override {
    nn::ModelInfo info;
    info.name = "small";
    nn::save_model(model(), small_net(), info);
  }
  std::string file(const std::string& name) const { return folder_.path() + "/" + name; }
  std::string model() const { return file("small.safetensors"); }
  ProgramResult run(Arguments more, const std::string& program = test::isobit_program()) const {
    more.insert(more.begin(), {program, "compare", model()});
    return test::run_program(more);
  }
  static json parsed(const ProgramResult& result) { return json::parse(result.last_line(), nullptr, false); }
  static json entry(const json& all, const std::string& layer, const std::string& tensor) {
    for (const json& one : all["layers"])
      if (one["layer"] == layer && one["tensor"] == tensor) return one;
    return {};
  }
  test::TemporaryFolder folder_;
};

TEST_F(CompareProgram, DevicesGiveTheSameBits) {
  const ProgramResult result = run({"--devices", "cpu,simt", "--json"});
  const json all = parsed(result);
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(all["ok"], true);
  EXPECT_TRUE(all["first_difference"].is_null());
  EXPECT_EQ(all["end_to_end"]["equal"], true);
  for (const json& one : all["layers"]) EXPECT_EQ(one["verdict"], "bit-equal") << one;
  for (const char* tensor : {"y", "dx", "weight", "bias"})
    EXPECT_FALSE(entry(all, "1.body.0", tensor).is_null()) << tensor;
  EXPECT_FALSE(entry(all, "1.body.1", "gamma").is_null());
}

TEST_F(CompareProgram, RoundedOperandsHaveTheirName) {
  const ProgramResult result = run({"--operands", "tf32", "--report", file("report.html")});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find("operands rounded to tf32"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find(
                "they part first at layer 0 (Conv2D(6, 3x3, same, stride 2, relu)), y: lower precision"),
            std::string::npos)
      << result.out;
  EXPECT_EQ(result.out.find("wrong\n"), std::string::npos) << result.out;
  std::ifstream in(file("report.html"));
  std::stringstream html;
  html << in.rdbuf();
  EXPECT_EQ(html.str().substr(0, 15), "<!doctype html>");
  EXPECT_NE(html.str().find("data:image/png;base64,"), std::string::npos);
  EXPECT_EQ(html.str().find("src=\"http"), std::string::npos);
  EXPECT_EQ(html.str().find("<script"), std::string::npos);
}

TEST_F(CompareProgram, AFaultyDeviceIsNamedAndShrunk) {
  const ProgramResult result =
      run({"--devices", "cpu,tailless", "--case", file("case.npz"), "--json"}, test::broken_program());
  EXPECT_EQ(result.code, 1) << result.err;
  const json all = parsed(result);
  EXPECT_EQ(all["ok"], false);
  const json y = entry(all, "0", "y");
  EXPECT_EQ(y["verdict"], "wrong") << y;
  EXPECT_EQ(y["explanation"], "tail of 2 output channels left out") << y;
  EXPECT_NE(y["where"].get<std::string>().find("the last 2 channels (4 to 5)"), std::string::npos) << y;
  EXPECT_EQ(entry(all, "0", "weight")["verdict"], "bit-equal");
  EXPECT_EQ(entry(all, "7", "y")["verdict"], "bit-equal");
  EXPECT_EQ(all["end_to_end"]["equal"], false);
  // The smallest case: one channel, which makes no four.
  const nn::StateDict small = io::read_npz(file("case.npz"));
  for (const auto& [name, tensor] : small) {
    if (name == "w" || name == "got") {
      EXPECT_EQ(tensor.shape(-1), 1);
    }
  }
  const std::size_t at = result.err.find("tests/shapes/: ");
  ASSERT_NE(at, std::string::npos) << result.err;
  const std::string line = result.err.substr(at + 15, result.err.find('\n', at) - at - 15);
  EXPECT_EQ(parse_conv_problem(line).w.numel(), 2) << line;
}

TEST_F(CompareProgram, ArraysOfAFile) {
  const nn::Sequential net = small_net();
  net.eval();
  const NoGrad off;
  const Tensor x = random_normal({2, 9, 10, 3}, {8, 8});
  nn::StateDict arrays;
  Tensor y = x;
  for (std::size_t i = 0; i < net.size(); ++i) {
    y = net[i](y);
    // Layer 2 is right for what it got: all that comes after a wrong layer is judged by that layer's result.
    if (i == 0) y = add(y, full({}, 1));
    if (i != 1) arrays.emplace_back(std::to_string(i), y);
    if (i == 1) y = net[1](arrays[0].second);
  }
  io::write_npz(file("theirs.npz"), arrays);
  io::write_npz(file("x.npz"), {{"x", x}});
  const ProgramResult result = run({"--against", file("theirs.npz"), "--input", file("x.npz"), "--json"});
  const json all = parsed(result);
  EXPECT_EQ(result.code, 1) << result.err;
  EXPECT_EQ(entry(all, "0", "y")["verdict"], "wrong");
  for (const char* layer : {"2", "3", "4", "7"})
    EXPECT_EQ(entry(all, layer, "y")["verdict"], "bit-equal") << layer;
  EXPECT_NE(result.err.find("not compared: 1.body.0 Conv2D(6, 3x3, same, 2 groups); "), std::string::npos)
      << result.err;
}

TEST_F(CompareProgram, APictureAsInput) {
  io::write_png(file("photo.png"), zeros({4, 6, 1}, {DType::u8}));
  const ProgramResult result =
      run({"--devices", "cpu,simt", "--input", file("photo.png"), "--forward", "--json"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.err.find("resized to 9 x 10"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("a batch of 1"), std::string::npos) << result.err;
  EXPECT_TRUE(entry(parsed(result), "0", "dx").is_null());
}

TEST_F(CompareProgram, WrongUsage) {
  const auto refused = [&](const Arguments& a, const std::string& words) {
    const ProgramResult result = run(a);
    EXPECT_EQ(result.code, 1);
    EXPECT_NE(result.err.find(words), std::string::npos) << result.err;
  };
  refused({}, "one device alone");
  refused({"--devices", "simt"}, "expected cpu, which is the reference");
  refused({"--against", "tensorflow"}, "expected torch, onnx, or a file");
  refused({"--operands", "f8"}, "f8");
  refused({"--devices", "cpu,simt", "--input", file("none.npz")}, "none.npz");
  io::write_npz(file("small.npz"), {{"x", zeros({1, 4, 4, 3})}});
  refused({"--devices", "cpu,simt", "--input", file("small.npz")},
          "the model takes [n, ...] of samples [9,10,3]");
  const ProgramResult torch = test::run_program(
      {test::isobit_program(), "compare", model(), "--against", "torch"}, {"ISOBIT_PYTHON=/bin/false"});
  EXPECT_EQ(torch.code, 1);
  EXPECT_NE(torch.err.find("--against torch"), std::string::npos) << torch.err;
}

TEST(CompareNetwork, YardstickAndModes) {
  const nn::Sequential net = small_net();
  const Tensor x = random_normal({3, 9, 10, 3}, {1, 2});
  ASSERT_TRUE(net.training());
  const auto spoil = [&](const std::string& path, double by) {
    const compare::Implementation honest = compare::on_device(net);
    return compare::compare_network(net, x, [&, honest](const compare::LayerCall& call) {
      nn::StateDict all = honest(call);
      for (auto& [name, tensor] : all)
        if (call.path == path && name == "y") tensor = mul_scalar(tensor, by);
      return all;
    });
  };
  EXPECT_TRUE(spoil("none", 2).ok());
  EXPECT_EQ(spoil("none", 2).first_difference(), nullptr);
  const compare::NetworkComparison wrong = spoil("1.body.1", 1.5);
  EXPECT_FALSE(wrong.ok());
  ASSERT_NE(wrong.first_difference(), nullptr);
  EXPECT_EQ(wrong.first_difference()->path, "1.body.1");
  EXPECT_FALSE(wrong.first_difference()->derived);
  EXPECT_EQ(wrong.first_difference()->judgement.verdict, compare::Verdict::wrong);
  const compare::NetworkComparison near = spoil("1.body.1", 1 + 0x1p-23);
  EXPECT_EQ(near.first_difference()->judgement.verdict, compare::Verdict::reordered);
  EXPECT_TRUE(near.ok());
  EXPECT_THROW(compare::compare_network(net, x,
                                        [](const compare::LayerCall&) {
                                          return nn::StateDict{{"y", zeros({1})}};
                                        }),
               Error);
  net.train();
  const compare::NetworkComparison nothing =
      compare::compare_network(net, x, [](const compare::LayerCall&) { return nn::StateDict(); });
  EXPECT_FALSE(nothing.ok()) << "where nothing was compared, nothing is proven";
  EXPECT_EQ(nothing.skipped.size(), 10U);
  EXPECT_TRUE(net.training());
}

}  // namespace
}  // namespace isobit
