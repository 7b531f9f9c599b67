// isobit filters: applies filters to a picture and draws what comes out.
#include <fmt/format.h>
#include <isobit/autograd.h>
#include <isobit/error.h>
#include <isobit/io.h>
#include <isobit/ops.h>
#include <isobit/picture.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "cli/commands.h"
#include "cli/filter_banks.h"
#include "cli/fit_picture.h"

namespace isobit::cli {
namespace {

struct FiltersArguments {
  std::string image, bank = "identity,edges,sharpen,blur", padding = "reflect", out, map = "auto",
                     device = "cpu";
  std::int64_t tile = 224, columns = 0;
  bool flip = false;
};

ConvOptions options_for(const Tensor& w, const FiltersArguments& a) {
  ConvOptions options;
  options.flip = a.flip;
  if (a.padding == "none") return options;
  const std::int64_t r = w.shape(0) - 1, s = w.shape(1) - 1;
  options.padding =
      Padding(std::vector<std::pair<std::int64_t, std::int64_t>>{{r / 2, r - r / 2}, {s / 2, s - s / 2}});
  for (int mode = 0; mode < kPadModes; ++mode)
    if (a.padding == name_of(static_cast<PadMode>(mode))) options.mode = static_cast<PadMode>(mode);
  return options;
}

// A filter of one channel over every channel of x[n, h, w, c] by itself, or one over all of them.
Tensor apply(const Tensor& x, const Tensor& w, const FiltersArguments& a) {
  ConvOptions options = options_for(w, a);
  const std::int64_t c = x.shape(3);
  if (w.shape(2) == 1 && c > 1) {
    options.groups = c;
    return conv(x, broadcast_to(w.reshape({w.shape(0), w.shape(1), 1, 1}), {w.shape(0), w.shape(1), 1, c}),
                {}, options);
  }
  return conv(x, w.reshape(w.shape().inserted(3, 1)), {}, options);
}

// The filter itself: its channels beside each other, blue below 0, orange above.
Tensor inset_of(const Tensor& w) {
  const std::int64_t r = w.shape(0), s = w.shape(1), c = w.shape(2);
  const std::int64_t cell = std::max<std::int64_t>(1, 30 / std::max(r, s));
  const picture::Range range = picture::symmetric(picture::range_of(w));
  const Tensor by_channel = permute(w, {2, 0, 1});
  picture::Canvas canvas(c * (s * cell + 2), r * cell + 2);
  for (std::int64_t i = 0; i < c; ++i) {
    const Tensor plane = by_channel.slice(i, i + 1).reshape({r, s});
    canvas.draw(i * (s * cell + 2) + 1, 1, picture::colourise(plane, picture::ColourMap::diverging, range),
                cell);
    canvas.frame(i * (s * cell + 2), 0, s * cell + 2, r * cell + 2, picture::kGray);
  }
  return canvas.tensor();
}

class Painter {
 public:
  Painter(const Tensor& image, const FiltersArguments& a) : a_(a) {
    const std::int64_t longer = std::max(image.shape(0), image.shape(1));
    factor_ = (longer + a.tile - 1) / a.tile;
    scale_ = std::max<std::int64_t>(1, a.tile / longer);
  }
  std::int64_t scale() const { return scale_; }

  picture::Tile original(const Tensor& image) const {
    return {"the picture",
            picture::shrunk(image, factor_),
            fmt::format("{} x {}", image.shape(0), image.shape(1)),
            {}};
  }
  /// y is [1, h, w, c]; `bright`: it has the picture's brightness.
  picture::Tile operator()(const NamedFilter& filter, const Tensor& y, bool bright) const {
    const Tensor values = y.reshape(y.shape().without(0)).to(Device::cpu());
    if (a_.map == "picture" || (a_.map == "auto" && bright))
      return {filter.name, picture::shrunk(picture::as_picture(values, {0, 1}), factor_), "0 .. 1",
              inset_of(filter.w)};
    const Tensor plane = values.reshape({values.shape(0), values.shape(1)});
    const picture::Range range = picture::range_of(values, 0.002);
    const bool is_signed = a_.map != "viridis";
    const picture::Range shown = is_signed ? picture::symmetric(range) : range;
    const auto map = is_signed ? picture::ColourMap::diverging : picture::ColourMap::viridis;
    return {filter.name, picture::shrunk(picture::colourise(plane, map, shown), factor_),
            fmt::format("{:.2g} .. {:.2g}", shown.low, shown.high), inset_of(filter.w)};
  }

 private:
  const FiltersArguments& a_;
  std::int64_t factor_ = 1, scale_ = 1;
};

int filters(const FiltersArguments& a) {
  constexpr std::int64_t kMostPixels = std::int64_t{1} << 26;
  const Device device = Device::parse(a.device);
  const std::vector<NamedFilter> bank = load_bank(a.bank);
  const Tensor file = io::read_image(a.image, {kMostPixels});
  fmt::print(stderr, "{}: {} x {}, {}\n", a.image, file.shape(0), file.shape(1), colours(file.shape(2)));
  const Tensor image = with_channels(file, file.shape(2) < 3 ? 1 : 3);
  const auto pixels = [&](std::int64_t channels) {
    const Tensor wanted = channels == image.shape(2) ? image : with_channels(image, channels);
    return (wanted.to(DType::f32) / 255).reshape(wanted.shape().inserted(0, 1)).to(device);
  };
  const NoGrad no_grad;
  const Painter paint(image, a);
  std::vector<picture::Tile> tiles{paint.original(image)};
  fmt::print("{:<24} {:>7} {:>9} {:>9} {:>9} {:>9}  {}\n", "filter", "size", "its sum", "least", "mean",
             "most", "digest of the map");
  for (const NamedFilter& filter : bank) {
    const Tensor& w = filter.w;
    const double sum_of_filter = sum(w).item();
    const bool bright = w.shape(2) == 1 && std::abs(sum_of_filter - 1) < 0.01;
    // What keeps the brightness keeps the colours as well; other responses are of the gray picture.
    const bool each = w.shape(2) == 1 && (a.map == "picture" || (a.map == "auto" && bright));
    const Tensor y = apply(pixels(each ? image.shape(2) : w.shape(2)), w.to(device), a);
    fmt::print("{:<24} {:>7} {:>9.4g} {:>9.4g} {:>9.4g} {:>9.4g}  {}\n", filter.name,
               fmt::format("{}x{}{}", w.shape(0), w.shape(1), w.shape(2) == 1 ? "" : "x3"), sum_of_filter,
               min(y).item(), mean(y).item(), max(y).item(), y.digest().substr(0, 16));
    tiles.push_back(paint(filter, y, bright));
  }
  picture::MontageOptions options;
  options.columns = a.columns;
  options.scale = paint.scale();
  options.text = a.tile >= 200 ? 2 : 1;
  io::write_png(a.out, picture::montage(tiles, options));
  fmt::print("{}\n", a.out);
  return 0;
}

}  // namespace

void add_filters(CLI::App& app, Run& chosen) {
  auto a = std::make_shared<FiltersArguments>();
  CLI::App* command = app.add_subcommand("filters", "Apply filters to a picture and draw what comes out");
  command->footer(
      "Filters whose weights add up to 1 keep the brightness: what they give is drawn as a picture, in "
      "colour. "
      "What\n"
      "others give is drawn from the gray picture, blue below 0, white at 0, orange above. Pixels are 0 to "
      "1.\n"
      "A file of matrices has a row a line and an empty line between; '# words' before one names it.\n"
      "\n"
      "Examples:\n"
      "  isobit filters photo.jpg --out grid.png\n"
      "  isobit filters photo.jpg --bank gabor --padding symmetric --out gabor.png\n"
      "  isobit filters shoe.png --bank lenet.safetensors --out first_layer.png");
  command->add_option("image", a->image, "A PNG or JPEG file")->required();
  command
      ->add_option(
          "--bank", a->bank,
          "identity, edges, sharpen, blur, emboss, gabor, a file of matrices, or a .safetensors file; "
          "several with commas between")
      ->capture_default_str();
  command->add_option("--padding", a->padding, "What lies outside of the picture (docs/border.md)")
      ->check(CLI::IsMember({"constant", "reflect", "symmetric", "replicate", "circular", "none"}))
      ->capture_default_str();
  command->add_option("--out", a->out, "Write the feature maps here, as PNG")->required();
  command->add_option("--map", a->map, "How numbers become colours")
      ->check(CLI::IsMember({"auto", "picture", "signed", "viridis"}))
      ->capture_default_str();
  command->add_option("--tile", a->tile, "Pixels of the longer side of each map")
      ->check(CLI::Range(std::int64_t{16}, std::int64_t{4096}))
      ->capture_default_str();
  command->add_option("--columns", a->columns, "Maps in a row; 0: as many as make a square")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{256}))
      ->capture_default_str();
  command->add_flag("--flip", a->flip, "True convolution: reversed filters");
  command->add_option("--device", a->device, "Where to compute (isobit devices)")->capture_default_str();
  command->callback([&chosen, a] { chosen = [a] { return filters(*a); }; });
}

}  // namespace isobit::cli
