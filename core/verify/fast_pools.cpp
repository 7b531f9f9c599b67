// Pooling of fast mode: averages and gradients by the bound of sums whose operands are not rounded, maxima
// and their places exactly.
#include <algorithm>
#include <memory>

#include "core/numerics/philox.h"
#include "core/verify/device_array.h"
#include "core/verify/families.h"
#include "core/verify/fast_problem.h"

namespace isobit::verify {
namespace {

std::int64_t x_size(const PoolGeometry& g) {
  return g.n * g.c * g.axis[0].in * g.axis[1].in * g.axis[2].in;
}
std::int64_t y_size(const PoolGeometry& g) {
  return g.n * g.c * g.positions();
}

/// Sets the elements of [..., extent, c] whose coordinate on the last axis is `first` modulo `step` to zero.
void clear_columns(std::vector<double>& v, std::int64_t extent, std::int64_t c, std::int64_t first,
                   std::int64_t step) {
  for (std::size_t i = 0; i < v.size(); ++i)
    if ((static_cast<std::int64_t>(i) / c % extent - first) % step == 0) v[i] = 0;
}

FastProblem pool_problem(const char* kernel, const PoolGeometry& g) {
  FastProblem p;
  p.kernel = kernel;
  p.name = g.to_string();
  p.rounds_operands = false;
  p.multiply_adds = static_cast<double>(y_size(g));
  for (const AxisGeometry& a : g.axis)
    p.multiply_adds *= static_cast<double>(g.adaptive ? a.in / a.out + 1 : a.filter);
  return p;
}

/// Forgets a tap of every window: a plane of the last axis.
void forget_in_x(FastProblem& p, const PoolGeometry& g) {
  const AxisGeometry& a = g.axis[2];
  const std::int64_t step = g.adaptive ? 2 : a.stride,
                     first = g.adaptive ? 0 : (a.filter / 2) * a.dilation - a.pad_before;
  p.forget = [=](std::vector<double>& x) { clear_columns(x, a.in, g.c, first, step); };
}
/// Every other window.
void forget_in_y(FastProblem& p, const PoolGeometry& g) {
  p.forget = [=](std::vector<double>& dy) { clear_columns(dy, g.axis[2].out, g.c, 0, 2); };
}

/// Whether a sum divided by its window's count has no more digits than the sum.
bool divides_exactly(PoolGeometry g) {
  const auto power_of_two = [](double v) {
    const auto count = static_cast<std::int64_t>(v);
    return (count & (count - 1)) == 0;
  };
  if (g.count_include_pad)
    return power_of_two(static_cast<double>(g.axis[0].filter * g.axis[1].filter * g.axis[2].filter));
  g.sum = true;
  const std::vector<double> ones(static_cast<std::size_t>(x_size(g)), 1.0);
  std::vector<double> counts(static_cast<std::size_t>(y_size(g)));
  backend(Device::cpu())
      .avg_pool(g, {ones.data(), DType::f64, x_size(g)}, {counts.data(), DType::f64, y_size(g)});
  return std::all_of(counts.begin(), counts.end(), power_of_two);
}

void add_averages(PoolGeometry g, std::vector<FastProblem>& problems) {
  PoolGeometry counting = g;
  counting.sum = true;
  const bool exact = y_size(g) > 0 && divides_exactly(g);
  FastProblem forward = pool_problem("avg_pool", g);
  forward.integers = exact;
  forward.b = x_size(g), forward.out = y_size(g);
  forward.call = [g](Backend& d, Math math, double, ConstView, ConstView b, View out) {
    const MathScope scope(math);
    d.avg_pool(g, b, out);
  };
  forward.count = [counting](Backend& d, ConstView b, View out) { d.avg_pool(counting, b, out); };
  forget_in_x(forward, g);
  problems.push_back(std::move(forward));

  FastProblem backward = pool_problem("avg_pool_backward", g);
  backward.integers = exact;
  backward.b = y_size(g), backward.out = x_size(g);
  backward.call = [g](Backend& d, Math math, double, ConstView, ConstView b, View out) {
    const MathScope scope(math);
    d.avg_pool_backward(g, b, out);
  };
  backward.count = [counting](Backend& d, ConstView b, View out) { d.avg_pool_backward(counting, b, out); };
  forget_in_y(backward, g);
  problems.push_back(std::move(backward));
}

void add_maxima(const PoolGeometry& g, std::vector<FastProblem>& problems) {
  const std::int64_t y = y_size(g);
  // Of what max_pool gives, the maxima or their places.
  for (const bool places : {false, true}) {
    FastProblem p = pool_problem("max_pool", g);
    p.name += places ? " places" : " values";
    p.exact = true;
    p.b = x_size(g), p.out = y;
    p.call = [=](Backend& d, Math math, double, ConstView, ConstView b, View out) {
      const MathScope scope(math);
      const DeviceArray values(d, HostArray(b.dtype, y), 0, DeviceArray::Kind::output),
          index(d, HostArray(DType::i64, y), 0, DeviceArray::Kind::output);
      d.max_pool(g, b, places ? values.view() : out, index.view());
      if (places) d.cast(index.view(), out);
      d.synchronize();
    };
    forget_in_x(p, g);
    problems.push_back(std::move(p));
  }
  // Places as max_pool gives them for numbers of one seed; whether they are right is its own affair.
  const auto index = std::make_shared<HostArray>(DType::i64, y);
  if (y > 0) {
    const HostArray x = random_array(DType::f32, x_size(g), Values::plain,
                                     random_key(Seed{1}, "places of maxima " + g.to_string()));
    HostArray highest(DType::f32, y);
    backend(Device::cpu()).max_pool(g, x.view(), highest.view(), index->view());
  }
  FastProblem p = pool_problem("max_pool_backward", g);
  p.b = y, p.out = x_size(g);
  p.call = [=](Backend& d, Math math, double, ConstView, ConstView b, View out) {
    const MathScope scope(math);
    const DeviceArray on_index(d, *index, 0, DeviceArray::Kind::input);
    d.max_pool_backward(g, b, on_index.view(), out);
    d.synchronize();
  };
  forget_in_y(p, g);
  problems.push_back(std::move(p));
}

}  // namespace

void add_fast_pools(std::vector<FastProblem>& problems) {
  for (PoolGeometry g : pool_geometries()) {
    add_maxima(g, problems);
    for (const bool include : {false, true}) {
      g.count_include_pad = include;
      if (!include || !g.adaptive) add_averages(g, problems);
    }
  }
}

}  // namespace isobit::verify
