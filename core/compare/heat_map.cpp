// Heat maps: numbers as colours whose lightness grows with them.
#include <isobit/compare.h>
#include <isobit/error.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace isobit::compare {
namespace {

using Colour = std::array<double, 3>;

/// Dark blue over green to yellow, nine points of the colour map viridis; between them straight lines.
Colour colour_of(double t) {
  constexpr std::array<Colour, 9> kPoints{{{68, 1, 84},
                                           {71, 44, 122},
                                           {59, 81, 139},
                                           {44, 113, 142},
                                           {33, 144, 141},
                                           {39, 173, 129},
                                           {92, 200, 99},
                                           {170, 220, 50},
                                           {253, 231, 37}}};
  const double at = std::clamp(t, 0.0, 1.0) * 8;
  const auto low = static_cast<std::size_t>(std::min(at, 7.0));
  const double part = at - static_cast<double>(low);
  Colour c{};
  for (std::size_t i = 0; i < 3; ++i) c[i] = kPoints[low][i] + (kPoints[low + 1][i] - kPoints[low][i]) * part;
  return c;
}

}  // namespace

Tensor heat_map(const Tensor& values, double most, std::int64_t scale) {
  if (!values.defined() || values.rank() != 2) fail("heat_map", "values must be [rows, columns]");
  if (!(most > 0) || scale < 1) fail("heat_map", "most is {} and scale {}, expected above 0", most, scale);
  const std::int64_t rows = values.shape(0), columns = values.shape(1);
  const std::vector<double> from = values.to(Device::cpu()).to(DType::f64).to_vector<double>();
  std::vector<std::uint8_t> picture(static_cast<std::size_t>(rows * columns * scale * scale * 3));
  for (std::int64_t row = 0; row < rows * scale; ++row)
    for (std::int64_t column = 0; column < columns * scale; ++column) {
      const double v = from[static_cast<std::size_t>(row / scale * columns + column / scale)];
      const Colour c = std::isfinite(v) ? colour_of(v / most) : Colour{255, 255, 255};
      for (std::size_t i = 0; i < 3; ++i) {
        const int whole = static_cast<int>(c[i]);
        picture[static_cast<std::size_t>((row * columns * scale + column) * 3) + i] =
            static_cast<std::uint8_t>(c[i] - whole < 0.5 ? whole : whole + 1);
      }
    }
  return from_vector(picture, {rows * scale, columns * scale, 3});
}

}  // namespace isobit::compare
