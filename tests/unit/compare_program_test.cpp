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

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
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

TEST_F(CompareProgram, TwoFaultyLayersAndNormsAreShrunk) {
  nn::Sequential net{nn::ReLU(), nn::GroupNorm(3), nn::AvgPool2D(2), nn::Flatten(), nn::Linear(5)};
  net.build({9, 10, 6}, {}, Seed{3});
  nn::save_model(model(), net, {});
  const ProgramResult result = run(
      {"--devices", "cpu,crooked", "--forward", "--case", file("case.npz"), "--report", file("page.html")},
      test::broken_program());
  EXPECT_EQ(result.code, 1) << result.err;
  EXPECT_NE(result.out.find("they part first at layer 1 (GroupNorm(3)), y: wrong"), std::string::npos)
      << result.out;
  EXPECT_NE(result.out.find("2 layers are wrong, each given the right input:\n  1 (GroupNorm(3)), y\n"
                            "  2 (AvgPool2D(2x2)), y: wrong divisor: not divided at all\n"),
            std::string::npos)
      << result.out;
  EXPECT_NE(result.out.find("case.npz: GroupNorm(1) y, x [1,1,1,3]"), std::string::npos) << result.out;
  std::ifstream in(file("page.html"));
  std::stringstream html;
  html << in.rdbuf();
  EXPECT_NE(html.str().find("2 layers are wrong"), std::string::npos);
  const nn::StateDict small = io::read_npz(file("case.npz"));
  const auto find = [&](const std::string& name) {
    for (const auto& [other, tensor] : small)
      if (other == name) return tensor;
    return Tensor();
  };
  // Three channels, which make no four: one or two may be right by chance (a group of one number is beta).
  EXPECT_EQ(find("gamma").shape(), (Shape{3}));
  EXPECT_FALSE(equal_bits(find("got"), find("expected")));
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
  io::write_npz(file("none.npz"), {{"x", zeros({0, 9, 10, 3})}});
  refused({"--devices", "cpu,simt", "--input", file("none.npz")}, "expected one sample or more");
  const ProgramResult torch = test::run_program(
      {test::isobit_program(), "compare", model(), "--against", "torch"}, {"ISOBIT_PYTHON=/bin/false"});
  EXPECT_EQ(torch.code, 1);
  EXPECT_NE(torch.err.find("--against torch"), std::string::npos) << torch.err;
}

TEST_F(CompareProgram, OneCaseForEachDevice) {
  run({"--devices", "cpu,tailless,simt", "--case", file("case.npz"), "--forward"}, test::broken_program());
  EXPECT_EQ(io::read_npz(file("case-tailless.npz")).size(), 4U);
  EXPECT_THROW(io::read_npz(file("case.npz")), Error);
}

// Where Python has them: PyTorch and ONNX.
TEST_F(CompareProgram, OtherLibraries) {
  nn::Sequential net{nn::Conv2D(6, 3, {.padding = Same, .activation = Activate::relu}), nn::AvgPool2D(2),
                     nn::MaxPool2D(3, {.padding = 2}), nn::Flatten(), nn::Linear(5)};
  net.build({9, 10, 3}, {}, Seed{3});
  nn::save_model(model(), net, {});
  int compared = 0;
  for (const char* library : {"torch", "onnx"}) {
    const ProgramResult result = run({"--against", library, "--json", "--batch", "16"});
    if (result.err.find("ISOBIT_PYTHON names another Python") != std::string::npos ||
        result.err.find("could not be started") != std::string::npos ||
        result.err.find("No module named") != std::string::npos)
      continue;
    ++compared;
    EXPECT_EQ(result.code, 0) << result.err;
    const json all = parsed(result);
    EXPECT_EQ(all["ok"], true) << result.err;
    for (const char* layer : {"0", "1", "4"})
      EXPECT_FALSE(entry(all, layer, "y").is_null()) << library << ", layer " << layer << "\n" << result.err;
    EXPECT_EQ(entry(all, "0", "weight").is_null(), library == std::string("onnx"));
    // A padding wider than half the window: PyTorch refuses it, and the other layers are compared.
    if (library == std::string("torch")) {
      EXPECT_NE(result.err.find("not served: layer 2"), std::string::npos) << result.err;
    }
  }
  if (compared == 0) GTEST_SKIP() << "neither PyTorch nor ONNX is there";
}

TEST(CompareNetwork, EndToEnd) {
  nn::Sequential net{nn::Linear(3)};
  net.build({4}, {}, Seed{3});
  const Tensor x = random_normal({2, 4}, {1, 2});
  Tensor expected;
  {
    const NoGrad off;
    expected = net(x);
  }
  const auto with = [&](const Tensor& output) {
    return compare::compare_network(net, x, compare::on_device(net), {.output = output});
  };
  const auto spoiled = [&](std::size_t at, float value) {
    Tensor y = expected.clone();
    y.mutable_data<float>()[at] = value;
    return with(y).end_to_end;
  };
  EXPECT_EQ(with(expected).end_to_end, 0);
  EXPECT_TRUE(with(expected).end_to_end_equal);
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  for (const std::size_t at : {0, 3, 5}) EXPECT_TRUE(std::isinf(spoiled(at, kNaN))) << at;
  EXPECT_TRUE(std::isinf(spoiled(5, std::numeric_limits<float>::infinity())));
  EXPECT_GT(spoiled(1, 100), 0);
  EXPECT_THROW(with(zeros({2, 2})), Error);
  EXPECT_THROW(compare::compare_network(net, zeros({0, 4}), compare::on_device(net)), Error);
  // NaNs and infinities that both sides have are no difference.
  Tensor hostile = x.clone();
  hostile.mutable_data<float>()[0] = kNaN;
  hostile.mutable_data<float>()[4] = std::numeric_limits<float>::infinity();
  Tensor output;
  {
    const NoGrad off;
    output = net(hostile);
  }
  EXPECT_EQ(compare::compare_network(net, hostile, compare::on_device(net), {.output = output}).end_to_end,
            0);
}

TEST(CompareNetwork, FrozenParameters) {
  const nn::Sequential net = small_net(), other = small_net();
  const Tensor x = random_normal({2, 9, 10, 3}, {1, 2});
  for (auto [name, tensor] : net.named_parameters())
    if (name[0] == '0' || name == "1.body.1.gamma") tensor.set_requires_grad(false);
  const compare::NetworkComparison result = compare::compare_network(net, x, compare::on_device(other));
  EXPECT_TRUE(result.ok());
  const auto has = [&](const std::string& path, const std::string& tensor) {
    return std::any_of(result.layers.begin(), result.layers.end(),
                       [&](const compare::LayerResult& r) { return r.path == path && r.tensor == tensor; });
  };
  EXPECT_TRUE(has("0", "y"));
  EXPECT_FALSE(has("0", "weight"));
  EXPECT_FALSE(has("1.body.1", "gamma"));
  EXPECT_TRUE(has("1.body.1", "beta"));
  EXPECT_TRUE(has("7", "weight"));
}

TEST(CompareNetwork, EveryModuleKeepsItsMode) {
  const nn::Sequential net = small_net();
  net.train();
  net[6].eval();
  compare::compare_network(net, random_normal({2, 9, 10, 3}, {1, 2}),
                           [](const compare::LayerCall&) { return nn::StateDict(); });
  EXPECT_TRUE(net.training());
  EXPECT_TRUE(net[1].training());
  EXPECT_FALSE(net[6].training());
}

TEST(CompareNetwork, ASharedLayerHasANameForEachPlace) {
  const nn::Linear shared(4);
  nn::Sequential net{shared, nn::ReLU(), shared};
  net.build({4}, {}, Seed{3});
  const Tensor x = random_normal({2, 4}, {1, 2});
  const compare::Implementation honest = compare::on_device(net);
  const compare::NetworkComparison result =
      compare::compare_network(net, x, [&](const compare::LayerCall& call) {
        nn::StateDict all = honest(call);
        if (call.path == "2") all[0].second = mul_scalar(all[0].second, 2);
        return all;
      });
  ASSERT_NE(result.first_difference(), nullptr);
  EXPECT_EQ(result.first_difference()->path, "2");
  EXPECT_EQ(result.layers.front().path, "0");
  EXPECT_EQ(result.layers.front().judgement.verdict, compare::Verdict::bit_equal);
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
