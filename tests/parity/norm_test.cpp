// The norm kernels against the reference: batch, layer and group norm, with and without the affine
// parameters.
#include "tests/parity/parity.h"

namespace isobit::parity {
namespace {

std::vector<NormGeometry> geometries() {
  std::vector<NormGeometry> list;
  const auto add = [&](std::int64_t a, std::int64_t b, std::int64_t g, std::int64_t d, bool over_batch) {
    NormGeometry n;
    n.a = a, n.b = b, n.g = g, n.d = d, n.over_batch = over_batch;
    list.push_back(n);
  };
  for (const std::int64_t g : {1, 3, 17, 64}) add(37, 5, g, 1, true);  // batch norm
  add(3, 300, 10, 1, true);
  add(70, 81, 32, 1, true);
  add(40, 1, 600, 1, true);
  add(9, 1, 1, 1, false);  // layer norm
  add(5, 1, 1, 63, false);
  add(33, 1, 1, 257, false);
  add(300, 1, 1, 500, false);
  add(3, 10, 4, 3, false);  // group norm
  add(2, 300, 2, 20, false);
  add(17, 12, 8, 65, false);
  add(0, 4, 3, 1, true);
  add(0, 2, 2, 5, false);
  return list;
}

TEST(NormParity, Statistics) {
  for (const NormGeometry& g : geometries()) {
    for (const DType dtype : kFloating) {
      for (const Values values : {Values::plain, Values::hard}) {
        SCOPED_TRACE(fmt::format("a{} b{} g{} d{} {}", g.a, g.b, g.g, g.d, dtype));
        const Array x = random_array(dtype, g.numel(), values);
        const Array statistic(compute_type(dtype), g.statistics());
        expect_parity("norm_statistics", {statistic, statistic}, [&](Backend& b, Outputs& out) {
          b.norm_statistics(g, x.view(), out[0].view(), out[1].view());
        });
        if (HasFailure()) return;
      }
    }
  }
}

/// What the other kernels read.
struct Inputs {
  Inputs(const NormGeometry& g, DType dtype)
      : x(random_array(dtype, g.numel(), Values::finite, 1)),
        dy(random_array(dtype, g.numel(), Values::finite, 2)),
        mean(random_array(compute_type(dtype), g.statistics(), Values::finite, 3)),
        variance(random_array(compute_type(dtype), g.statistics(), Values::finite, 4)),
        gamma(random_array(compute_type(dtype), g.channels(), Values::finite, 5)),
        beta(random_array(compute_type(dtype), g.channels(), Values::finite, 6)) {
    for (std::int64_t i = 0; i < g.statistics(); ++i) {
      if (dtype == DType::f64)
        variance.as<double>()[i] = std::fabs(variance.as<double>()[i]);
      else
        variance.as<float>()[i] = std::fabs(variance.as<float>()[i]);
    }
  }
  Array x, dy, mean, variance, gamma, beta;
};

TEST(NormParity, Apply) {
  for (const NormGeometry& g : geometries()) {
    for (const DType dtype : kFloating) {
      const Inputs in(g, dtype);
      for (int affine = 0; affine < 4; ++affine) {
        SCOPED_TRACE(fmt::format("a{} b{} g{} d{} {} affine {}", g.a, g.b, g.g, g.d, dtype, affine));
        const ConstView gamma = (affine & 1) != 0 ? in.gamma.view() : ConstView{};
        const ConstView beta = (affine & 2) != 0 ? in.beta.view() : ConstView{};
        expect_parity("norm_apply", {Array(dtype, g.numel())}, [&](Backend& b, Outputs& out) {
          b.norm_apply(g, 1e-5, in.x.view(), in.mean.view(), in.variance.view(), gamma, beta, out[0].view());
        });
        if (HasFailure()) return;
      }
    }
  }
}

TEST(NormParity, Backward) {
  for (const NormGeometry& g : geometries()) {
    for (const DType dtype : kFloating) {
      const Inputs in(g, dtype);
      for (const bool affine : {false, true}) {
        SCOPED_TRACE(fmt::format("a{} b{} g{} d{} {} affine {}", g.a, g.b, g.g, g.d, dtype, affine));
        const ConstView gamma = affine ? in.gamma.view() : ConstView{};
        expect_parity("norm_backward", {Array(dtype, g.numel())}, [&](Backend& b, Outputs& out) {
          b.norm_backward(g, 1e-5, in.dy.view(), in.x.view(), in.mean.view(), in.variance.view(), gamma,
                          out[0].view());
        });
        if (HasFailure()) return;
      }
      const Array channels(compute_type(dtype), g.channels());
      expect_parity("norm_backward_affine", {channels, channels}, [&](Backend& b, Outputs& out) {
        b.norm_backward_affine(g, 1e-5, in.dy.view(), in.x.view(), in.mean.view(), in.variance.view(),
                               out[0].view(), out[1].view());
      });
      expect_parity("norm_backward_affine", {channels}, [&](Backend& b, Outputs& out) {
        b.norm_backward_affine(g, 1e-5, in.dy.view(), in.x.view(), in.mean.view(), in.variance.view(), View{},
                               out[0].view());
      });
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace isobit::parity
