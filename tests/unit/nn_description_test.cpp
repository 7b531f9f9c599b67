// Descriptions: a network says what it is made of and is made again, in memory and in files.
#include <gtest/gtest.h>
#include <isobit/autograd.h>
#include <isobit/io.h>
#include <isobit/models.h>
#include <isobit/nn.h>
#include <isobit/ops.h>
#include <isobit/saved_model.h>
#include <isobit/train.h>

#include <set>

#include "tests/support/files.h"

namespace isobit {
namespace {

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

struct Case {
  nn::Layer layer;
  Shape sample;
};

// Every kind, with options that are not the defaults where it has any.
std::vector<Case> every_kind() {
  const Shape image{6, 8, 4}, line{9, 4}, volume{4, 5, 6, 4};
  const nn::ConvLayerOptions conv{.stride = 2,
                                  .padding = Same,
                                  .groups = 2,
                                  .bias = false,
                                  .activation = Activate::leaky_relu,
                                  .slope = 0.3,
                                  .mode = PadMode::replicate,
                                  .flip = true,
                                  .init = nn::xavier_normal(0.7)};
  const nn::ConvTransposeLayerOptions up{.stride = 2,
                                         .padding = 1,
                                         .groups = 2,
                                         .activation = Activate::tanh,
                                         .flip = true,
                                         .output_padding = 1,
                                         .init = nn::lecun_uniform(),
                                         .bias_init = nn::uniform(-0.1, 0.1)};
  return {
      {nn::Input(image, {.mean = 0.5, .deviation = 3}), image},
      {nn::Conv1D(4, 3, conv), line},
      {nn::Conv2D(6, {3, 1}, conv), image},
      {nn::Conv2D(2, 3, {.padding = Padding({{1, 0}, {2, 3}}), .dilation = {1, 2}, .pad_value = -0.25}),
       image},
      {nn::Conv2D(2, 3, {.padding = 1, .mode = {PadMode::symmetric, PadMode::circular}}), image},
      {nn::Conv2D(2, 3, {.padding = SameRule::full, .init = nn::kaiming_normal(0.3, nn::Fan::out)}), image},
      {nn::Conv3D(2, {1, 2, 3}, conv), volume},
      {nn::ConvTranspose1D(4, 3, up), line},
      {nn::ConvTranspose2D(4, {3, 4}, up), image},
      {nn::ConvTranspose2D(4, 3, {.stride = 2, .output_shape = PerAxis(13, 17)}), image},
      {nn::ConvTranspose3D(2, 2, up), volume},
      {nn::Linear(3, {.bias = false, .init = nn::normal(0, 0.01)}), image},
      {nn::Linear(3, {.init = nn::constant(0.125), .bias_init = nn::ones()}), {5}},
      {nn::MaxPool(2, {.stride = 1, .padding = Padding({{1, 0}}), .ceil_mode = true}), line},
      {nn::AvgPool({2, 3}, {.padding = 1, .dilation = 1, .count_include_pad = true}), image},
      {nn::LpPool(2, 2.5, {.stride = PerAxis(1, 2)}), image},
      {nn::MaxPool2D(3, {.stride = 2}), image},
      {nn::AvgPool2D({2, 1}), image},
      {nn::AdaptiveMaxPool({2, 3}), image},
      {nn::AdaptiveAvgPool(3), image},
      {nn::GlobalAvgPool(), image},
      {nn::GlobalMaxPool(), volume},
      {nn::GlobalLpPool(3), line},
      {nn::Upsample({2, 3}), image},
      {nn::Upsample(2, Interpolation::linear, true), image},
      {nn::Pad(Padding({{1, 2}, {0, -1}}), {.mode = {PadMode::reflect, PadMode::constant}, .value = 0.5}),
       image},
      {nn::Pad(1, {.value = -std::numeric_limits<double>::infinity()}), image},
      {nn::DepthToSpace(2), image},
      {nn::PixelShuffle({1, 2}), image},
      {nn::BatchNorm({.eps = 1e-3, .momentum = 0.3, .affine = false}), image},
      {nn::LayerNorm({.eps = 1e-3, .affine = true}), image},
      {nn::GroupNorm(2, {.eps = 1e-3}), image},
      {nn::InstanceNorm({.affine = false}), image},
      {nn::LocalResponseNorm(3, {.alpha = 5e-4, .beta = 0.5, .bias = 2}), image},
      {nn::ReLU(), image},
      {nn::LeakyReLU(0.2), image},
      {nn::ELU(0.7), image},
      {nn::GELU(), image},
      {nn::SiLU(), image},
      {nn::Sigmoid(), image},
      {nn::Tanh(), image},
      {nn::Softplus(), image},
      {nn::Softmax(), image},
      {nn::LogSoftmax(), image},
      {nn::Dropout(0.25), image},
      {nn::Flatten(), image},
      {nn::Sequential(), image},
      {nn::Sequential().add("first", nn::Linear(2)).add("then", nn::ReLU()), image},
      {nn::Residual(nn::Linear(2), nn::Linear(2)), image},
      {nn::Residual(nn::ReLU()), image},
      {nn::Concat{nn::Sequential{}, nn::Linear(3)}, image},
  };
}

void expect_equal_nets(const nn::Layer& a, const nn::Layer& b, const Shape& sample, const std::string& what) {
  const Tensor x = random_uniform(sample.inserted(0, 2), random_key(Seed{3}, "x"), -1, 1);
  EXPECT_EQ(digest(a), digest(b)) << what;
  EXPECT_TRUE(equal_bits(a.eval()(x), b.eval()(x))) << what;
}

TEST(NnDescription, EveryLayerIsMadeAgainFromItsDescription) {
  for (const Case& c : every_kind()) {
    const nn::Description d = nn::describe(c.layer);
    const std::string text = nn::to_text(d);
    const nn::Description parsed = nn::parse_description(text);
    EXPECT_TRUE(parsed == d) << text << "\n" << nn::to_text(parsed);
    const nn::Layer again = nn::from_description(parsed);
    EXPECT_TRUE(nn::describe(again) == d) << text << "\n" << nn::to_text(nn::describe(again));
    EXPECT_EQ(again.module().describe(), c.layer.module().describe());
    EXPECT_EQ(again.module().kind(), d.kind);
    c.layer.build(c.sample, Device::cpu(), Seed{7});
    again.build(c.sample, Device::cpu(), Seed{7});  // initialisers are part of the description
    expect_equal_nets(c.layer, again, c.sample, text);
  }
}

// The kinds that an error lists are those above: a new one needs a line there.
TEST(NnDescription, EveryKindIsTested) {
  const std::string message = message_of([] {
    nn::from_description(nn::Description{"no kind", {}, {}, {}});
  });
  const std::string lead = "there are ";
  std::string known = message.substr(message.find(lead) + lead.size()) + ", ";
  std::set<std::string> listed, tested;
  for (std::size_t stop = known.find(", "); stop != known.npos; stop = known.find(", ")) {
    listed.insert(known.substr(0, stop));
    known.erase(0, stop + 2);
  }
  for (const Case& c : every_kind()) tested.insert(c.layer.module().kind());
  EXPECT_EQ(tested, listed) << message;
}

TEST(NnDescription, EveryLayerComesBackFromAFile) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "net.safetensors";
  for (const Case& c : every_kind()) {
    c.layer.build(c.sample, Device::cpu(), Seed{7});
    for (Tensor& p : c.layer.parameters()) {
      NoGrad off;
      p.copy_from(random_uniform(p.shape(), random_key(Seed{4}, "p")));
    }
    nn::save_model(path, c.layer, {"a name", {"one", "two"}, {{0.25}, {0.5}}});
    const nn::SavedModel model = nn::load_model(path);
    EXPECT_EQ(model.input, c.sample);
    EXPECT_EQ(model.info.name, "a name");
    EXPECT_EQ(model.info.classes, (std::vector<std::string>{"one", "two"}));
    EXPECT_EQ(model.info.normalise.mean, std::vector<double>{0.25});
    EXPECT_EQ(model.info.normalise.deviation, std::vector<double>{0.5});
    EXPECT_FALSE(model.net.training());
    expect_equal_nets(c.layer, model.net, c.sample, c.layer.module().describe());
  }
}

TEST(NnDescription, ALayerAtTwoPlacesStaysOneLayer) {
  const nn::Sequential body{nn::Conv2D(4, 3, {.padding = Same}), nn::ReLU()};
  const nn::Sequential net{body, nn::Residual(body), body};
  const nn::Layer again = nn::from_description(nn::parse_description(nn::to_text(nn::describe(net))));
  net.build({5, 5, 4}, Device::cpu(), Seed{1});
  again.build({5, 5, 4}, Device::cpu(), Seed{1});
  EXPECT_EQ(again.parameters().size(), 2u);
  expect_equal_nets(net, again, {5, 5, 4}, "shared");
}

TEST(NnDescription, HalfPrecisionAndF64ComeBack) {
  const test::TemporaryFolder folder;
  for (const DType dtype : {DType::f16, DType::bf16, DType::f64}) {
    const nn::Sequential net{nn::Conv2D(4, 3), nn::BatchNorm(), nn::ReLU()};
    net.build({5, 5, 2}, Device::cpu(), Seed{9}, dtype);
    nn::save_model(folder / "net", net);
    const nn::SavedModel model = nn::load_model(folder / "net");
    EXPECT_EQ(model.net.state().dtype, dtype);
    EXPECT_EQ(model.net.state().seed.value, 9u);
    EXPECT_EQ(digest(model.net), digest(net));
  }
}

class Scale : public nn::Module {
 public:
  explicit Scale(double by) : by_(by) {}
  std::string kind() const override { return "Scale"; }
  std::optional<nn::OptionList> option_list() const override { return nn::OptionList{{"by", by_}}; }
  Tensor forward(const Tensor& x) override { return mul_scalar(x, by_); }

 private:
  double by_;
};

TEST(NnDescription, AKindOfOnesOwnIsMadeByItsMaker) {
  const test::TemporaryFolder folder;
  const nn::Sequential net{nn::Linear(2), nn::make<Scale>(3)};
  net.build({3});
  nn::save_model(folder / "net", net);
  EXPECT_TRUE(contains(message_of([&] { nn::load_model(folder / "net"); }), "Scale"));
  const std::map<std::string, nn::Maker> own = {
      {"Scale", [](const nn::OptionList& options, const std::vector<nn::Child>&) {
         return nn::make<Scale>(std::get<double>(options.at(0).second));
       }}};
  expect_equal_nets(net, nn::load_model(folder / "net", {}, own).net, {3}, "own");
}

TEST(NnDescription, ALambdaCannotSayWhatItIs) {
  const nn::Sequential net{nn::ReLU(), nn::Lambda("Square", [](const Tensor& x) { return square(x); })};
  EXPECT_FALSE(nn::describable(net));
  EXPECT_TRUE(nn::describable(nn::Sequential{nn::ReLU()}));
  const std::string message = message_of([&] { nn::describe(net); });
  EXPECT_TRUE(contains(message, "\"1\"") && contains(message, "Square")) << message;
}

TEST(NnDescription, WrongDescriptionsAreRefusedWithTheirPlace) {
  const struct {
    const char* text;
    std::vector<const char*> parts;
  } cases[] = {
      {"", {"JSON"}},
      {"[]", {"object"}},
      {R"({"kind": 3})", {"kind"}},
      {R"({"kind": "ReLU", "extra": 3})", {"extra"}},
      {R"({"kind": "Conv9D"})", {"Conv9D", "Conv2D"}},
      {R"({"kind": "ReLU", "options": {"slope": 1}})", {"slope", "ReLU"}},
      {R"({"kind": "Conv2D", "options": {"kernel": 3}})", {"filters", "missing"}},
      {R"({"kind": "Conv2D", "options": {"filters": 3, "kernel": "3"}})", {"kernel", "\x33"}},
      {R"({"kind": "Conv2D", "options": {"filters": 3.5, "kernel": 3}})", {"filters", "3.5"}},
      {R"({"kind": "Conv2D", "options": {"filters": 99999999999999999999, "kernel": 3}})", {"whole"}},
      {R"({"kind": "Conv2D", "options": {"filters": 9223372036854775808, "kernel": 3}})",
       {"9223372036854775808"}},
      {R"({"kind": "Conv2D", "options": {"filters": 3, "kernel": [3, 3, 3, 3]}})", {"kernel"}},
      {R"({"kind": "Conv2D", "options": {"filters": 3, "kernel": [0]}})",
       {"Conv2D", "kernel", "network itself"}},
      {R"({"kind": "Conv2D", "options": {"filters": 3, "kernel": 3, "padding": "round"}})",
       {"round", "same_lower"}},
      {R"({"kind": "Conv2D", "options": {"filters": 3, "kernel": 3, "padding": [1, 2, 3]}})", {"pairs"}},
      {R"({"kind": "Conv2D", "options": {"filters": 3, "kernel": 3, "mode": "reflect/wrap"}})",
       {"wrap", "circular"}},
      {R"({"kind": "Conv2D", "options": {"filters": 3, "kernel": 3, "init": "kaiming_normal 2"}})",
       {"kaiming"}},
      {R"({"kind": "Conv2D", "options": {"filters": 3, "kernel": 3, "init": "normal 2 3 4"}})",
       {"normal 2 3 4"}},
      {R"({"kind": "Conv2D", "options": {"filters": 3, "kernel": 3, "stride": {"a": 1}}})", {"stride"}},
      {R"({"kind": "ReLU", "layers": [{"name": "0", "kind": "ReLU"}]})", {"ReLU", "expected none"}},
      {R"({"kind": "Residual"})", {"Residual", "body"}},
      {R"({"kind": "Residual", "layers": [{"name": "a", "kind": "ReLU"}]})", {"body", "[a]"}},
      {R"({"kind": "Sequential", "layers": [{"kind": "ReLU"}]})", {"name"}},
      {R"({"kind": "Sequential", "layers": [{"name": "0", "kind": "Dropout", "options": {"p": 2}}]})",
       {"\"0\"", "p is 2"}},
      {R"({"kind": "Sequential", "layers": [{"name": "0", "kind": "Shared", "options": {"path": "1"}}]})",
       {"\"1\""}},
      {R"({"kind": "Shared", "options": {"path": ""}})", {"before it"}},
      {R"({"kind": "Sequential", "layers": [{"name": "a.b", "kind": "ReLU"}]})", {"a.b"}},
  };
  for (const auto& c : cases) {
    const std::string message = message_of([&] { nn::from_description(nn::parse_description(c.text)); });
    for (const char* part : c.parts) EXPECT_TRUE(contains(message, part)) << c.text << "\n" << message;
  }
  const nn::Description twice{"Dropout", {{"p", 0.5}, {"p", 0.25}}};
  EXPECT_TRUE(contains(message_of([&] { nn::from_description(twice); }), "twice"));
}

// Small texts that ask for much.
TEST(NnDescription, DepthNumberAndNamesAreBounded) {
  std::string deep, ends;
  for (int i = 0; i < 5000; ++i) {
    deep += R"({"name": "0", "kind": "Sequential", "layers": [)";
    ends += "]}";
  }
  EXPECT_TRUE(contains(message_of([&] { nn::parse_description(deep + ends); }), "deep"));
  EXPECT_TRUE(contains(message_of([&] { nn::parse_description(std::string(100'000, '[')); }), "deep"));
  nn::Description nested{"ReLU", {}, {}, "0"};
  for (int i = 0; i < 64; ++i) nested = {"Sequential", {}, {nested}, "0"};
  EXPECT_NO_THROW(nn::from_description(nn::parse_description(nn::to_text(nested))));
  nested = {"Sequential", {}, {nested}};
  EXPECT_TRUE(contains(message_of([&] { nn::from_description(nested); }), "64"));

  // Each layer stands twice in the next: 2^60 places.
  nn::Description doubled{"Sequential", {}, {{"ReLU", {}, {}, "0"}}};
  for (int i = 0; i < 60; ++i) {
    const nn::OptionList last{{"path", std::to_string(i)}};
    doubled.children.push_back(
        {"Sequential", {}, {{"Shared", last, {}, "a"}, {"Shared", last, {}, "b"}}, std::to_string(i + 1)});
  }
  EXPECT_TRUE(contains(message_of([&] { nn::from_description(doubled); }), "10000"));
  const nn::Description named{"Sequential", {}, {{"ReLU", {}, {}, std::string(201, 'n')}}};
  EXPECT_TRUE(contains(message_of([&] { nn::from_description(named); }), "200"));
}

TEST(NnDescription, AFileThatAsksForMoreThanItHoldsIsRefused) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "net";
  const nn::Sequential net{nn::Linear(1'000'000'000'000)};
  const std::string described = nn::to_text(nn::describe(net));
  const std::string text =
      R"({"format": 1, "name": "", "input": [1000], "dtype": "f32", "seed": 1, "classes": [], "mean": [], )"
      R"("deviation": [], "network": )" +
      described + "}";
  io::write_safetensors(path, {{"0.weight", zeros({2})}}, {{"isobit.network", text}});
  const std::string message = message_of([&] { nn::load_model(path); });
  EXPECT_TRUE(contains(message, path) && contains(message, "2 numbers")) << message;
  io::write_safetensors(path, {{"0.weight", zeros({2})}}, {{"isobit.network", "{}"}});
  EXPECT_TRUE(contains(message_of([&] { nn::load_model(path); }), "damaged"));
  io::write_safetensors(path, {{"0.weight", zeros({2})}});
  EXPECT_TRUE(contains(message_of([&] { nn::load_model(path); }), "without a network"));
}

TEST(NnDescription, CheckpointsAreLoadedToo) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "trained";
  data::Dataset set;
  set.images = zeros({32, 8, 8, 1}, {DType::u8});
  set.labels = zeros({32}, {DType::i64});
  set.classes = {"yes", "no"};
  set.name = "zeros";
  const nn::Sequential own{nn::Conv2D(2, 3), nn::BatchNorm(), nn::GlobalAvgPool(), nn::Linear(2)};
  train::Options options;
  options.epochs = 1;
  options.batch = 16;
  train::Trainer trainer(own, options, {set, {}}, Device::cpu(), "mine");
  trainer.run();
  train::Checkpoint checkpoint = trainer.checkpoint();
  train::save(path, checkpoint);
  const nn::SavedModel model = nn::load_model(path);
  EXPECT_EQ(model.info.name, "mine");
  EXPECT_EQ(model.info.classes, set.classes);
  EXPECT_EQ(digest(model.net), digest(own));
  EXPECT_EQ(train::load(path).network, checkpoint.network);

  // One of a time when checkpoints held the name of a ready-made model alone.
  const nn::Sequential lenet = models::lenet(2);
  train::Trainer named(lenet, options, {set, {}}, Device::cpu(), "lenet");
  checkpoint = named.checkpoint();
  checkpoint.network.clear();
  train::save(path, checkpoint);
  EXPECT_EQ(digest(nn::load_model(path).net), digest(lenet));
}

TEST(NnConcat, JoinsTheChannelsOfItsBranches) {
  const nn::Linear two(2), three(3);
  const nn::Concat net{two, nn::Sequential{}, three};
  net.build({4, 5}, Device::cpu(), Seed{1});
  EXPECT_EQ(net.output_shape({4, 5}), (Shape{4, 10}));
  const Tensor x = random_uniform({3, 4, 5}, random_key(Seed{2}, "x"));
  EXPECT_TRUE(equal_bits(net(x), concat(std::vector<Tensor>{two(x), x, three(x)}, -1)));
  EXPECT_EQ(net.named_parameters().size(), 4u);
  EXPECT_EQ(net.named_parameters()[2].first, "2.weight");
  const std::string message = message_of([] {
    nn::Concat{nn::Sequential{}, nn::MaxPool2D(2)}.build({4, 4, 1});
  });
  EXPECT_TRUE(contains(message, "[2,2,1]") && contains(message, "[4,4,1]")) << message;
  EXPECT_TRUE(contains(message_of([] { nn::Concat().build({4, 4, 1}); }), "no branches"));
  EXPECT_TRUE(contains(net.summary(), "Sequential"));
}

}  // namespace
}  // namespace isobit
