// isobit predict: classifies a picture with a trained model.
#include <fmt/format.h>
#include <isobit/autograd.h>
#include <isobit/data.h>
#include <isobit/io.h>
#include <isobit/ops.h>
#include <isobit/saved_model.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cli/commands.h"
#include "cli/fit_picture.h"

namespace isobit::cli {
namespace {

struct PredictArguments {
  std::string model, image, device = "cpu";
  int top = 5;
  bool invert = false, json = false;
};

// Brings the picture to the model's shape and says what was done.
Tensor fit(const Tensor& image, const Shape& wanted, const PredictArguments& a) {
  const Shape before = image.shape();
  const FittedPicture fitted = fit_picture("predict", image, wanted, a.invert);
  fmt::print(stderr, "{}: {} x {}, {}{}{}\n", a.image, before[0], before[1], colours(before[2]),
             fitted.changes.empty() ? "" : ": ", fitted.changes);
  return fitted.image;
}

int predict(const PredictArguments& a) {
  const Device device = Device::parse(a.device);
  nn::SavedModel model = nn::load_model(a.model, device);
  if (model.input.rank() != 3)
    fail("predict", "{}: the model takes samples {}, not pictures [h, w, c]", a.model, model.input);
  const Tensor image = fit(io::read_image(a.image), model.input, a);
  data::Dataset one;
  one.images = image.reshape(image.shape().inserted(0, 1));
  one.labels = zeros({1}, {DType::i64});
  one.classes = {""};
  one.name = a.image;
  data::BatchOptions order;
  order.shuffle = false;
  order.prefetch = 0;
  order.normalise = model.info.normalise;
  NoGrad no_grad;
  std::vector<float> probability;
  for (const data::Batch& batch : data::Batches(one, 1, Seed{}, device, order))
    probability = softmax(model.net(batch.images)).to_vector<float>();
  std::vector<std::string>& classes = model.info.classes;
  if (classes.empty())  // nobody said: they are called by their numbers
    for (std::size_t c = 0; c < probability.size(); ++c) classes.push_back(std::to_string(c));
  if (probability.size() != classes.size())
    fail("predict", "{}: the model gives {} numbers for {} classes", a.model, probability.size(),
         classes.size());

  std::vector<std::size_t> order_of(probability.size());
  std::iota(order_of.begin(), order_of.end(), std::size_t{0});
  std::stable_sort(order_of.begin(), order_of.end(),
                   [&](std::size_t x, std::size_t y) { return probability[x] > probability[y]; });
  order_of.resize(std::min<std::size_t>(order_of.size(), static_cast<std::size_t>(a.top)));
  if (a.json) {
    nlohmann::ordered_json top = nlohmann::ordered_json::array();
    for (std::size_t c : order_of)
      top.push_back({{"class", classes[c]}, {"index", c}, {"probability", probability[c]}});
    const nlohmann::ordered_json result{{"image", a.image}, {"model", model.info.name}, {"top", top}};
    fmt::print("{}\n", result.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    return 0;
  }
  std::size_t width = 0;
  for (std::size_t c : order_of) width = std::max(width, classes[c].size());
  for (std::size_t c : order_of)
    fmt::print("{:<{}}  {:6.2f}%\n", classes[c], width, 100 * static_cast<double>(probability[c]));
  return 0;
}

}  // namespace

void add_predict(CLI::App& app, Run& chosen) {
  auto a = std::make_shared<PredictArguments>();
  CLI::App* command = app.add_subcommand("predict", "Classify a picture with a trained model");
  command->footer(
      "The picture is brought to the size and channels that the model was trained on, and the program says "
      "so.\n"
      "Fashion-MNIST shows bright clothes on black: for a dark object on a light ground give --invert.\n"
      "\n"
      "Examples:\n"
      "  isobit predict lenet.safetensors shoe.png\n"
      "  isobit predict lenet.safetensors photo.jpg --invert --top 3 --json");
  command->add_option("model", a->model, "A file of isobit train --out or of nn::save_model")->required();
  command->add_option("image", a->image, "A PNG or JPEG file")->required();
  command->add_option("--top", a->top, "How many classes to show")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  command->add_flag("--invert", a->invert, "Take the negative of the picture");
  command->add_option("--device", a->device, "Where to compute (isobit devices)")->capture_default_str();
  command->add_flag("--json", a->json, "Print one JSON object");
  command->callback([&chosen, a] { chosen = [a] { return predict(*a); }; });
}

}  // namespace isobit::cli
