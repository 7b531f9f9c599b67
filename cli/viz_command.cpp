// isobit viz: what a trained network has learned and what it looks at, as one page.
#include <fmt/format.h>
#include <isobit/autograd.h>
#include <isobit/data.h>
#include <isobit/error.h>
#include <isobit/io.h>
#include <isobit/ops.h>
#include <isobit/picture.h>
#include <isobit/saved_model.h>
#include <isobit/visualise.h>

#include <algorithm>
#include <memory>
#include <numeric>

#include "cli/commands.h"
#include "cli/fit_picture.h"
#include "cli/page.h"
#include "cli/viz_views.h"

namespace isobit::cli {
namespace {

struct VizArguments {
  std::string model, image, out, data, device = "cpu";
  std::vector<std::string> filters;
  std::int64_t limit = 2000, most = 64;
  UnitOptions unit;
  bool invert = false;
};

std::string class_name(const nn::SavedModel& model, std::int64_t c) {
  const auto i = static_cast<std::size_t>(c);
  return i < model.info.classes.size() ? model.info.classes[i] : std::to_string(c);
}

// What the network says, its best classes first; gives the first of them.
std::int64_t show_answer(Page& page, const nn::SavedModel& model, const Tensor& logits) {
  const NoGrad off;
  const std::vector<double> p = softmax(logits).to(DType::f64).to_vector<double>();
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] > p[b]; });
  for (std::size_t i = 0; i < std::min<std::size_t>(5, order.size()); ++i)
    page.bar(class_name(model, static_cast<std::int64_t>(order[i])), p[order[i]],
             fmt::format("{:.1f} %", 100 * p[order[i]]));
  return static_cast<std::int64_t>(order.front());
}

// The filters to look at: those asked for, or of each convolution the one that the picture excites most.
std::vector<nn::Unit> units_for(const VizArguments& a, const std::vector<nn::Activation>& layers) {
  std::vector<nn::Unit> units;
  for (const std::string& text : a.filters) units.push_back(nn::parse_unit(text));
  if (!units.empty()) return units;
  const NoGrad off;
  for (const nn::Activation& layer : layers) {
    if (layer.kind != "Conv2D") continue;
    const Tensor largest =
        max(layer.y.reshape({layer.y.numel() / layer.y.shape(-1), layer.y.shape(-1)}), {0});
    units.push_back({layer.path, static_cast<std::int64_t>(argmax(largest).item())});
  }
  return units;
}

int viz(const VizArguments& a) {
  const Device device = Device::parse(a.device);
  const nn::SavedModel model = nn::load_model(a.model, device);
  const Tensor file = io::read_image(a.image);
  const FittedPicture fitted = fit_picture("viz", file, model.input, a.invert);
  const std::string about =
      fmt::format("{} ({} x {}, {}{}{})", a.image, file.shape(0), file.shape(1), colours(file.shape(2)),
                  fitted.changes.empty() ? "" : ": ", fitted.changes);
  fmt::print(stderr, "{}\n", about);
  const Pixels pixels(model.info.normalise, model.input[2], device);
  const Tensor x = pixels.input(fitted.image.reshape(fitted.image.shape().inserted(0, 1)));
  const std::vector<nn::Activation> layers = nn::activations(model.net, x);
  if (layers.empty() || layers.back().y.rank() != 2)
    fail("viz", "{}: the network does not end in one number for each class", a.model);
  const std::vector<nn::Unit> units = units_for(a, layers);
  for (const nn::Unit& unit : units) nn::excitement(model.net, x, unit);  // is it there: before the long part

  Page page(fmt::format("What {} looks at", a.model));
  page.paragraph(about);
  const std::int64_t answer = show_answer(page, model, layers.back().y);
  const nn::InputView view = nn::saliency(model.net, x, {layers.back().path, answer});
  page.heading(2, "Saliency");
  page.paragraph(fmt::format(
      "The gradient of the answer \"{}\" at the input: how much each pixel moves it, bright where most, and "
      "in "
      "which direction, orange where a brighter pixel speaks for the answer, blue where it speaks against.",
      class_name(model, answer)));
  const std::int64_t width = std::max<std::int64_t>(1, 168 / model.input[1]) * model.input[1];
  page.begin_row();
  page.figure(fitted.image, width, "the picture, as the network takes it");
  page.figure(magnitude_picture(view.gradient), width, "magnitudes");
  page.figure(signed_picture(view.gradient), width, model.input[2] == 3 ? "signed, gray is 0" : "signed");
  page.end_row();
  show_layers(page, model.net, layers, a.most);

  data::Dataset dataset;
  std::vector<Favourites> best(units.size());
  if (!a.data.empty() && !units.empty()) {
    dataset = data::load(a.data).test.take(a.limit);
    if (dataset.image_shape() != model.input)
      fail("viz", "{} holds images {}, the model takes {}", a.data, dataset.image_shape(), model.input);
    if (dataset.classes.size() == model.info.classes.size())
      dataset.classes = model.info.classes;  // names instead of numbers
    fmt::print(stderr, "looking at {} images\n", dataset.size());
    best = favourites(model.net, units, dataset, pixels, a.unit.top);
  }
  for (std::size_t i = 0; i < units.size(); ++i) {
    fmt::print(stderr, "filter {}:{}\n", units[i].layer, units[i].channel);
    show_unit(page, model.net, units[i], fitted.image, pixels, a.data.empty() ? nullptr : &dataset, best[i],
              a.unit);
  }
  if (a.data.empty() && !units.empty())
    page.paragraph("With --data FOLDER the images of a dataset that excite each filter most stand here.");
  const std::string html = page.finish();
  io::write_atomically(a.out, [&](io::Writer& writer) { writer.write(html.data(), html.size()); });
  fmt::print("{}: {} layers, {} filters, {} kB\n", a.out, layers.size(), units.size(), html.size() / 1000);
  return 0;
}

}  // namespace

void add_viz(CLI::App& app, Run& chosen) {
  auto a = std::make_shared<VizArguments>();
  CLI::App* command =
      app.add_subcommand("viz", "What a trained network has learned and what it looks at: a page");
  command->footer(
      "Filters and feature maps of each layer, saliency, and for each --filter (without: of each convolution "
      "the "
      "one\n"
      "that the picture excites most) what excites it: images of a dataset, a synthesised one, a "
      "deconvolution.\n"
      "\n"
      "Examples:\n"
      "  isobit viz lenet.safetensors shoe.png --out page.html\n"
      "  isobit viz lenet.safetensors shoe.png --filter 3:17 --data /usr/share/datasets/fashion-mnist --out "
      "page.html");
  command->add_option("model", a->model, "A file written by isobit train --out")->required();
  command->add_option("image", a->image, "A PNG or JPEG file")->required();
  command->add_option("--out", a->out, "Write the page here")->required();
  command->add_option("--filter", a->filters, "layer:channel to look at, e.g. 0:7; may be repeated");
  command->add_option("--data", a->data, "Folder of a dataset, as isobit train takes it: its test images");
  command->add_option("--limit", a->limit, "The first so many of them")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40))
      ->capture_default_str();
  command->add_option("--top", a->unit.top, "How many of them to show")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{100}))
      ->capture_default_str();
  command->add_option("--steps", a->unit.steps, "Of the gradient ascent")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{100000}))
      ->capture_default_str();
  command->add_option("--most", a->most, "Filters and maps shown of a layer")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{4096}))
      ->capture_default_str();
  command->add_flag("--invert", a->invert, "Take the negative of the picture");
  command->add_option("--device", a->device, "Where to compute (isobit devices)")->capture_default_str();
  command->callback([&chosen, a] { chosen = [a] { return viz(*a); }; });
}

}  // namespace isobit::cli
