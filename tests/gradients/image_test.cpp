// Derivatives of interpolation, windows, blocks and instance norm.
#include <gtest/gtest.h>

#include "tests/support/gradcheck.h"

namespace isobit::test {
namespace {

using Inputs = std::vector<Tensor>;

constexpr Coordinates kCoordinates[] = {Coordinates::half_pixel,         Coordinates::half_pixel_symmetric,
                                        Coordinates::pytorch_half_pixel, Coordinates::align_corners,
                                        Coordinates::asymmetric,         Coordinates::tf_crop_and_resize};

ResizeOptions options_of(Coordinates coordinates, Interpolation mode, std::size_t spatial) {
  ResizeOptions o;
  o.mode = mode;
  o.coordinates = coordinates;
  o.extrapolation = 0.5;
  if (coordinates == Coordinates::tf_crop_and_resize) o.roi.assign(spatial, {-0.2, 0.9});
  return o;
}

TEST(ResizeGradient, Differences) {
  for (const Coordinates coordinates : kCoordinates)
    for (const Interpolation mode : {Interpolation::nearest, Interpolation::linear})
      for (const PerAxis& extents : {PerAxis(5, 2), PerAxis(2, 7)})
        check_gradients(fmt::format("resize {} {} to {}", static_cast<int>(coordinates),
                                    static_cast<int>(mode), extents.value[0]),
                        [&](const Inputs& in) {
                          return square(resize(in[0], extents, options_of(coordinates, mode, 2)));
                        },
                        {random_values({2, 3, 4, 2}, 1)}, {.roundings = 64});
  check_gradients("resize with antialias",
                  [](const Inputs& in) {
                    return square(resize(in[0], {2, 3}, {.antialias = true}));
                  },
                  {random_values({1, 5, 7, 2}, 2)}, {.roundings = 64});
  check_gradients("resize by scales, order 3",
                  [](const Inputs& in) { return square(resize_by(in[0], {1.7})); },
                  {random_values({1, 3, 2}, 3)}, {.order = 3, .roundings = 64});
  check_gradients("upsample of a volume",
                  [](const Inputs& in) {
                    return square(upsample(in[0], {2, 1, 2}, Interpolation::linear));
                  },
                  {random_values({1, 2, 2, 2, 1}, 4)}, {.roundings = 128});
}

TEST(ResizeGradient, AdjointsAreExactOnIntegers) {
  // Scales by powers of two: every weight is exact.
  const Tensor x = random_integers({2, 4, 8, 3}, 1, 8);
  check_adjoint("upsample nearest", x, [](const Tensor& t) { return upsample(t, {3, 2}); });
  check_adjoint("upsample linear", x, [](const Tensor& t) {
    return upsample(t, {2, 4}, Interpolation::linear);
  });
  check_adjoint("resize down", x, [](const Tensor& t) { return resize(t, {2, 2}); });
  check_adjoint("resize antialias", x, [](const Tensor& t) {
    return resize(t, {2, 4}, {.antialias = true});
  });
  check_adjoint("resize corners", random_integers({1, 5, 2}, 2, 8),
                [](const Tensor& t) { return resize(t, 9, {.coordinates = Coordinates::align_corners}); });
  check_adjoint("resize one channel", random_integers({3, 40, 1}, 3, 8),
                [](const Tensor& t) { return upsample(t, 4, Interpolation::linear); });
}

TEST(ResizeGradient, OfTheGradientIsTheOp) {
  // The gradient is linear in dy: what flows back through it is the resize of what flows in.
  Tensor x = random_values({2, 3, 5, 4}, 1).set_requires_grad();
  const Tensor y = resize(x, {7, 3});
  Tensor dy = random_values(y.shape(), 2).set_requires_grad();
  const Tensor dx = grad(y, {x}, dy, {.create_graph = true})[0];
  const Tensor u = random_values(x.shape(), 3);
  EXPECT_TRUE(equal_bits(grad(dx, {dy}, u)[0], resize(u, {7, 3})));
}

TEST(WindowGradient, DifferencesInEveryMode) {
  for (int mode = 0; mode < kPadModes; ++mode) {
    WindowOptions o;
    o.padding = Padding(std::vector<std::pair<std::int64_t, std::int64_t>>{{1, 2}, {2, 0}});
    o.stride = {1, 2};
    o.mode = {static_cast<PadMode>(mode), static_cast<PadMode>((mode + 1) % kPadModes)};
    o.pad_value = 0.25;
    check_gradients(fmt::format("unfold {}", mode),
                    [&](const Inputs& in) {
                      return square(unfold(in[0], {2, 3}, o));
                    },
                    {random_values({1, 3, 4, 2}, 1)}, {.roundings = 128});
    const Shape columns = unfold(zeros({1, 3, 4, 2}), {2, 3}, o).shape();
    check_gradients(fmt::format("fold {}", mode),
                    [&](const Inputs& in) {
                      return square(fold(in[0], {1, 3, 4, 2}, {2, 3}, o));
                    },
                    {random_values(columns, 2)}, {.roundings = 128});
  }
}

TEST(WindowGradient, AdjointsAreExactOnIntegers) {
  for (int mode = 0; mode < kPadModes; ++mode)
    for (const std::int64_t dilation : {1, 2})
      for (const std::int64_t channels : {1, 3, 20}) {
        WindowOptions o;
        o.padding = Padding(std::vector<std::pair<std::int64_t, std::int64_t>>{{7, 1}, {-1, 5}});
        o.stride = {1, 2};
        o.dilation = dilation;
        o.mode = static_cast<PadMode>(mode);
        const Shape shape{2, 4, 5, channels};
        const std::string where = fmt::format(" mode {} dilation {} c {}", mode, dilation, channels);
        check_adjoint("unfold" + where, random_integers(shape, 1, 8), [&](const Tensor& t) {
          return unfold(t, {3, 2}, o);
        });
        const Shape columns = unfold(zeros(shape), {3, 2}, o).shape();
        check_adjoint("fold" + where, random_integers(columns, 2, 8), [&](const Tensor& t) {
          return fold(t, shape, {3, 2}, o);
        });
      }
}

TEST(BlockGradient, BothWaysAndOrders) {
  for (const ChannelOrder order : {ChannelOrder::dcr, ChannelOrder::crd}) {
    check_gradients("depth_to_space",
                    [&](const Inputs& in) {
                      return square(depth_to_space(in[0], {2, 1}, order));
                    },
                    {random_values({1, 2, 2, 4}, 1)}, {.order = 3});
    check_gradients("space_to_depth",
                    [&](const Inputs& in) {
                      return square(space_to_depth(in[0], {1, 2}, order));
                    },
                    {random_values({1, 2, 4, 2}, 2)}, {.order = 3});
    const Tensor x = random_integers({2, 2, 3, 2, 8}, 3, 8);
    check_adjoint("depth_to_space", x, [&](const Tensor& t) { return depth_to_space(t, 2, order); });
  }
}

TEST(InstanceNormGradient, Differences) {
  const auto run = [](const std::string& name, const Shape& shape, int order) {
    check_gradients(name, [](const Inputs& in) { return instance_norm(in[0], in[1], in[2], {.eps = 1e-2}); },
                    {random_values(shape, 1, -2, 2), random_values({shape[-1]}, 2, 0.5, 1.5),
                     random_values({shape[-1]}, 3)},
                    {.order = order, .roundings = 1024});
  };
  run("instance_norm", {2, 3, 2, 3}, 2);
  run("instance_norm, order 3", {1, 3, 2}, 3);
}

TEST(InstanceNormGradient, OfAChannelAloneHasTheBitsThatItHasAmongOthers) {
  Tensor many = random_values({3, 300, 20}, 1).to(DType::f32).detach().set_requires_grad();
  const Tensor dy = random_values({3, 300, 20}, 2).to(DType::f32);
  const auto cut = [](const Tensor& t) { return pad(t, {{0, 0}, {0, 0}, {-7, -12}}); };
  Tensor one = cut(many).detach().clone().set_requires_grad();
  const Tensor all = grad(instance_norm(many, {}, {}), {many}, dy)[0];
  EXPECT_TRUE(equal_bits(cut(all), grad(instance_norm(one, {}, {}), {one}, cut(dy))[0]));
}

}  // namespace
}  // namespace isobit::test
