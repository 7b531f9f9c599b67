#include "cli/viz_views.h"

#include <fmt/format.h>
#include <isobit/autograd.h>
#include <isobit/error.h>
#include <isobit/ops.h>
#include <isobit/picture.h>

#include <algorithm>

namespace isobit::cli {
namespace {

using picture::ColourMap;

// Pixels of the screen for something `extent` wide: enlarged by a whole number, or its own width.
std::int64_t screen(std::int64_t extent, std::int64_t wanted) {
  return extent * std::max<std::int64_t>(1, wanted / std::max<std::int64_t>(extent, 1));
}

Tensor small(const Tensor& image, std::int64_t most) {
  return picture::shrunk(image, (std::max(image.shape(0), image.shape(1)) + most - 1) / most);
}

// Channel k of [..., c] as [...].
Tensor channel(const Tensor& t, std::int64_t k) {
  const std::int64_t c = t.shape(-1), rest = t.numel() / c;
  const Tensor by_channel = permute(t.reshape({rest, c}), {1, 0});
  return by_channel.slice(k, k + 1).reshape(t.shape().without(-1));
}

// A filter [r, s, c]: c 1 alone, c 3 as colours about gray, more as tiles.
Tensor filter_picture(const Tensor& w, picture::Range range, std::int64_t most) {
  const std::int64_t c = w.shape(2);
  if (c == 3) return picture::as_picture(w, range);
  std::vector<picture::Tile> tiles;
  for (std::int64_t i = 0; i < std::min(c, most); ++i)
    tiles.push_back({"", picture::colourise(channel(w, i), ColourMap::diverging, range), "", {}});
  if (tiles.size() == 1) return tiles[0].image;
  return picture::montage(tiles, {.text = 0, .gap = 1});
}

void show_filters(Page& page, const Tensor& weights, std::int64_t most) {
  const Tensor w = weights.detach().to(Device::cpu()).to(DType::f32);
  const std::int64_t c = w.shape(2), k = w.shape(3);
  const picture::Range range = picture::symmetric(picture::range_of(w, 0.002));
  page.paragraph(fmt::format("{} filters of {} x {} x {}{}{}; {}, range {:.2g} to {:.2g}.", k, w.shape(0),
                             w.shape(1), c, k > most ? fmt::format(", the first {}", most) : "",
                             c > most && c != 3 ? fmt::format(", of each the first {} channels", most) : "",
                             c == 3 ? "gray is 0" : "blue below 0, white 0, orange above", range.low,
                             range.high));
  page.begin_row();
  for (std::int64_t i = 0; i < std::min(k, most); ++i) {
    const Tensor image = filter_picture(channel(w, i), range, most);
    page.figure(image, screen(image.shape(1), c == 1 || c == 3 ? 50 : 110), fmt::format("{}", i));
  }
  page.end_row();
}

void show_maps(Page& page, const Tensor& output, std::int64_t most) {
  const Tensor y = output.to(Device::cpu()).to(DType::f32);
  const picture::Range full = picture::range_of(y, 0.001);
  const bool is_signed = full.low < 0;
  const picture::Range range = is_signed ? picture::symmetric(full) : picture::Range{0, full.high};
  const ColourMap map = is_signed ? ColourMap::diverging : ColourMap::viridis;
  const std::string scale =
      fmt::format("{}, range {:.2g} to {:.2g}",
                  is_signed ? "blue below 0, white 0, orange above" : "dark 0, yellow the largest", range.low,
                  range.high);
  if (y.rank() == 2) {  // a vector, in rows of 32
    const std::int64_t n = y.numel(), columns = std::min<std::int64_t>(n, 32),
                       rows = (n + columns - 1) / columns;
    const Tensor filled = pad(y.reshape({n}), {{0, rows * columns - n}}).reshape({rows, columns});
    page.paragraph(fmt::format("{} numbers, row by row; {}.", n, scale));
    page.begin_row();
    page.figure(picture::colourise(filled, map, range), screen(columns, 384), "");
    page.end_row();
    return;
  }
  const std::int64_t c = y.shape(3);
  page.paragraph(fmt::format("{} maps of {} x {}{}; {}.", c, y.shape(1), y.shape(2),
                             c > most ? fmt::format(", the first {}", most) : "", scale));
  page.begin_row();
  for (std::int64_t i = 0; i < std::min(c, most); ++i) {
    const Tensor plane = channel(y, i).reshape({y.shape(1), y.shape(2)});
    const Tensor image = small(picture::colourise(plane, map, range), 128);
    page.figure(image, screen(image.shape(1), 84), fmt::format("{}", i));
  }
  page.end_row();
}

// A picture with a frame around what a value depends on.
Tensor framed(const Tensor& image, const nn::InputView& view) {
  const std::int64_t longer = std::max(image.shape(0), image.shape(1));
  const std::int64_t scale = std::max<std::int64_t>(1, 112 / longer);
  picture::Canvas canvas(image.shape(1) * scale, image.shape(0) * scale);
  canvas.draw(0, 0, image, scale);
  if (view.bottom > view.top)
    canvas.frame(view.left * scale, view.top * scale, (view.right - view.left) * scale,
                 (view.bottom - view.top) * scale, picture::kOrange, 2);
  return canvas.tensor();
}

}  // namespace

Pixels::Pixels(data::Normalise normalise, std::int64_t channels, Device device)
    : normalise_(std::move(normalise)), device_(device) {
  // What is not given changes nothing, as in data::Batches.
  if (!normalise_.mean.empty() || !normalise_.deviation.empty())
    for (const auto& [values, missing] : {std::pair{&normalise_.mean, 0.0}, {&normalise_.deviation, 1.0}}) {
      const auto count = static_cast<std::size_t>(channels);
      if (values->size() < 2) values->resize(count, values->empty() ? missing : values->front());
      if (values->size() != count)
        fail("viz", "the model normalises {} channels, its input has {}", values->size(), channels);
    }
  for (std::size_t c = 0; c < normalise_.mean.size(); ++c) {
    const double dark = -normalise_.mean[c] / normalise_.deviation[c];
    const double bright = (1 - normalise_.mean[c]) / normalise_.deviation[c];
    low_ = c == 0 ? dark : std::min(low_, dark);
    high_ = c == 0 ? bright : std::max(high_, bright);
  }
}

Tensor Pixels::input(const Tensor& images) const {
  data::Dataset set;
  set.images = images;
  set.labels = zeros({images.shape(0)}, {DType::i64});
  set.classes = {"any"};
  set.name = "pictures";
  data::BatchOptions order;
  order.shuffle = false;
  order.prefetch = 0;
  order.normalise = normalise_;
  for (const data::Batch& batch : data::Batches(set, images.shape(0), Seed{}, device_, order))
    return batch.images;
  fail("viz", "no picture in {}", images.shape());
}

Tensor Pixels::picture(const Tensor& x) const {
  Tensor values = x.detach().to(Device::cpu()).to(DType::f64).reshape(x.shape().without(0));
  if (!normalise_.mean.empty()) {
    const auto channels = static_cast<std::int64_t>(normalise_.mean.size());
    values =
        values * from_vector(normalise_.deviation, {channels}) + from_vector(normalise_.mean, {channels});
  }
  return picture::as_picture(values, {0, 1});
}

Tensor magnitude_picture(const Tensor& gradient) {
  const Tensor g = gradient.detach().to(Device::cpu());
  const Tensor most = max(abs(g.reshape(g.shape().without(0))), {2});
  return picture::colourise(most, ColourMap::viridis, {0, picture::range_of(most, 0.002).high});
}

Tensor signed_picture(const Tensor& gradient) {
  const Tensor g = gradient.detach().to(Device::cpu());
  const Tensor image = g.reshape(g.shape().without(0));
  const picture::Range range = picture::symmetric(picture::range_of(image, 0.002));
  if (image.shape(2) == 3) return picture::as_picture(image, range);
  return picture::colourise(image.reshape({image.shape(0), image.shape(1)}), ColourMap::diverging, range);
}

void show_layers(Page& page, const nn::Layer& net, const std::vector<nn::Activation>& layers,
                 std::int64_t most) {
  const nn::StateDict parameters = net.named_parameters();
  for (const nn::Activation& layer : layers) {
    if (layer.kind == "Flatten" || layer.kind == "Dropout") continue;
    const bool maps = layer.y.rank() == 4 || layer.y.rank() == 2;
    if (!maps) continue;
    page.heading(2, fmt::format("Layer {}: {}", layer.path, layer.kind));
    if (layer.kind == "Conv2D")
      for (const auto& [name, weights] : parameters)
        if (name == layer.path + ".weight" && weights.rank() == 4) show_filters(page, weights, most);
    show_maps(page, layer.y, most);
  }
}

std::vector<Favourites> favourites(const nn::Layer& net, const std::vector<nn::Unit>& units,
                                   const data::Dataset& dataset, const Pixels& pixels, std::int64_t top) {
  constexpr std::int64_t batch = 64;
  std::vector<Favourites> best(units.size());
  for (std::int64_t first = 0; first < dataset.size(); first += batch) {
    const Tensor x = pixels.input(dataset.images.slice(first, std::min(first + batch, dataset.size())));
    for (std::size_t u = 0; u < units.size(); ++u) {
      std::int64_t row = first;
      for (const double value : nn::excitement(net, x, units[u])) best[u].emplace_back(value, row++);
      std::stable_sort(best[u].begin(), best[u].end(),
                       [](const auto& a, const auto& b) { return a.first > b.first; });
      best[u].resize(std::min(best[u].size(), static_cast<std::size_t>(top)));
    }
  }
  return best;
}

void show_unit(Page& page, const nn::Layer& net, const nn::Unit& unit, const Tensor& image,
               const Pixels& pixels, const data::Dataset* dataset, const Favourites& favourites,
               const UnitOptions& options) {
  page.heading(2, fmt::format("Filter {}:{}", unit.layer, unit.channel));
  const Tensor x = pixels.input(image.reshape(image.shape().inserted(0, 1)));
  const Tensor y = nn::activations(net, x, unit.layer).back().y.to(Device::cpu());
  const nn::InputView gradient = nn::saliency(net, x, unit), back = nn::deconvolution(net, x, unit);
  const std::int64_t width = screen(image.shape(1), 140);
  page.begin_row();
  if (y.rank() == 4) {
    const Tensor plane = channel(y, unit.channel).reshape({y.shape(1), y.shape(2)});
    const picture::Range range = picture::symmetric(picture::range_of(plane));
    page.figure(small(picture::colourise(plane, ColourMap::diverging, range), 256), width,
                fmt::format("its map for the picture, at most {:.3g}", gradient.value));
  }
  page.figure(framed(image, gradient), width, "what the largest value depends on");
  page.figure(signed_picture(gradient.gradient), width, "the gradient of that value");
  page.figure(signed_picture(back.gradient), width, "its deconvolution");
  nn::AscentOptions ascent;
  ascent.steps = options.steps;
  ascent.low = pixels.low();
  ascent.high = pixels.high();
  ascent.rate = (ascent.high - ascent.low) / 20;
  const nn::Ascent found = nn::exciting_input(net, unit, ascent);
  page.figure(pixels.picture(found.x), width, fmt::format("synthesised: the value is {:.3g}", found.value));
  page.end_row();
  if (dataset == nullptr) return;
  page.heading(3,
               fmt::format("The images of {} that excite it most, and their deconvolutions", dataset->name));
  page.begin_row();
  for (const auto& [value, row] : favourites) {
    const Tensor shown = dataset->images.slice(row, row + 1).reshape(dataset->image_shape());
    const Tensor sample = pixels.input(dataset->images.slice(row, row + 1));
    const nn::InputView view = nn::saliency(net, sample, unit);
    const auto label =
        static_cast<std::size_t>(dataset->labels.data<std::int64_t>()[static_cast<std::size_t>(row)]);
    page.begin_row();  // the two stay side by side
    page.figure(framed(shown, view), screen(shown.shape(1), 112),
                fmt::format("{:.3g}: {} (no. {})", value, dataset->classes[label], row));
    page.figure(signed_picture(nn::deconvolution(net, sample, unit).gradient), screen(shown.shape(1), 112),
                "");
    page.end_row();
  }
  page.end_row();
}

}  // namespace isobit::cli
