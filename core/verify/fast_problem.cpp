#include "core/verify/fast_problem.h"

#include <algorithm>
#include <cmath>

namespace isobit::verify {
namespace {

/// Elements [from, to) of every run of `run`.
void clear_in_runs(std::vector<double>& v, std::int64_t run, std::int64_t from, std::int64_t to) {
  for (std::size_t i = 0; i < v.size(); ++i) {
    const std::int64_t at = static_cast<std::int64_t>(i) % run;
    if (at >= from && at < to) v[i] = 0;
  }
}

/// The last of `count` things that are forgotten together: an eighth of them, at least one.
std::int64_t first_forgotten(std::int64_t count) {
  return count - std::max<std::int64_t>(1, count / 8);
}

FastProblem conv_problem(const ConvShape& shape, const char* kernel) {
  const ConvGeometry& g = shape.geometry;
  FastProblem p;
  p.kernel = kernel;
  p.name = fmt::format("{} {} {}", shape.place, shape.name, g.to_string());
  p.multiply_adds = static_cast<double>(g.y_size()) * static_cast<double>(g.terms());
  p.pad_value = g.pad_value;
  return p;
}

ConvGeometry with(ConvGeometry g, double pad) {
  g.pad_value = pad;
  return g;
}

void add_convolutions(const ConvShape& shape, std::vector<FastProblem>& problems) {
  const ConvGeometry g = shape.geometry;
  const std::int64_t cg = g.c_per_group(), kg = g.k_per_group();
  // In filters [t, r, s, c, k] the first tap, or of a single one some of its channels.
  const std::int64_t tap = cg * g.k, from = g.taps() > 1 ? 0 : first_forgotten(cg) * g.k;

  FastProblem forward = conv_problem(shape, "conv_forward");
  forward.a = g.x_size(), forward.b = g.w_size(), forward.out = g.y_size();
  forward.call = [g](Backend& d, Math math, double pad, ConstView a, ConstView b, View out) {
    const MathScope scope(math);
    d.conv_forward(with(g, pad), a, b, {}, out);
  };
  forward.forget = [=](std::vector<double>& w) { clear_in_runs(w, g.taps() * tap, from, tap); };
  problems.push_back(std::move(forward));

  FastProblem input = conv_problem(shape, "conv_backward_input");
  input.stored_between = g.folds();
  input.a = g.y_size(), input.b = g.w_size(), input.out = g.x_size();
  input.call = [g](Backend& d, Math math, double pad, ConstView a, ConstView b, View out) {
    const MathScope scope(math);
    d.conv_backward_input(with(g, pad), a, b, out);
  };
  // Every stride phase has taps of its own: some filters of each group are in all.
  input.forget = [=](std::vector<double>& w) { clear_in_runs(w, kg, first_forgotten(kg), kg); };
  problems.push_back(std::move(input));

  FastProblem filter = conv_problem(shape, "conv_backward_filter");
  filter.a = g.x_size(), filter.b = g.y_size(), filter.out = g.w_size();
  filter.call = [g](Backend& d, Math math, double pad, ConstView a, ConstView b, View out) {
    const MathScope scope(math);
    d.conv_backward_filter(with(g, pad), a, b, out);
  };
  const std::int64_t positions = g.n * g.positions();
  filter.forget = [=](std::vector<double>& dy) {
    clear_in_runs(dy, positions * g.k, first_forgotten(positions) * g.k, positions * g.k);
  };
  problems.push_back(std::move(filter));
}

void add_matmul(std::int64_t m, std::int64_t k, std::int64_t n, std::int64_t batch,
                std::vector<FastProblem>& problems) {
  for (const bool ta : {false, true})
    for (const bool tb : {false, true}) {
      MatmulGeometry g;
      g.batch = batch, g.m = m, g.n = n, g.k = k;
      g.transpose_a = ta, g.transpose_b = tb;
      g.stride_a = m * k;
      g.stride_b = batch == 3 ? 0 : k * n;  // repeated in some
      FastProblem p;
      p.kernel = "matmul";
      p.name = g.to_string();
      p.a = batch * m * k;
      p.b = g.stride_b == 0 ? k * n : batch * k * n;
      p.out = batch * m * n;
      p.multiply_adds = static_cast<double>(p.out) * static_cast<double>(k);
      p.call = [g](Backend& d, Math math, double, ConstView a, ConstView b, View out) {
        const MathScope scope(math);
        d.matmul(g, a, b, out);
      };
      p.forget = [=](std::vector<double>& b) {
        if (tb)
          clear_in_runs(b, k, first_forgotten(k), k);
        else
          clear_in_runs(b, k * n, first_forgotten(k) * n, k * n);
      };
      problems.push_back(std::move(p));
    }
}

}  // namespace

FastOracle fast_oracle(const FastProblem& p, double pad, const HostArray& a, const HostArray& b) {
  if (p.oracle) return p.oracle(a, b);
  const auto widened = [](const HostArray& from) {
    std::vector<double> v(static_cast<std::size_t>(from.numel()));
    for (std::int64_t i = 0; i < from.numel(); ++i)
      v[static_cast<std::size_t>(i)] = element_value(from.view(), i);
    return v;
  };
  const auto mapped = [](std::vector<double> v, double (*f)(double)) {
    for (double& e : v) e = f(e);
    return v;
  };
  Backend& cpu = backend(Device::cpu());
  const auto sums = [&](const std::vector<double>& x, const std::vector<double>& y, double outside) {
    std::vector<double> out(static_cast<std::size_t>(p.out));
    p.call(cpu, Math::exact, outside, {x.data(), DType::f64, p.a}, {y.data(), DType::f64, p.b},
           {out.data(), DType::f64, p.out});
    return out;
  };
  const auto square = [](double v) { return v * v; };
  const auto magnitude = [](double v) { return std::abs(v); };
  const auto counted = [](double v) { return v != 0 ? 1.0 : 0.0; };
  const std::vector<double> x = widened(a), y = widened(b);
  FastOracle oracle;
  oracle.value = sums(x, y, pad);
  oracle.squares = sums(mapped(x, square), mapped(y, square), square(pad));
  oracle.magnitudes = sums(mapped(x, magnitude), mapped(y, magnitude), magnitude(pad));
  if (p.count) {
    const std::vector<double> there = mapped(y, counted);
    oracle.terms.resize(static_cast<std::size_t>(p.out));
    p.count(cpu, {there.data(), DType::f64, p.b}, {oracle.terms.data(), DType::f64, p.out});
  } else {
    oracle.terms = sums(mapped(x, counted), mapped(y, counted), counted(pad));
  }
  std::vector<double> less = y;
  p.forget(less);
  oracle.lacking = sums(x, less, pad);
  return oracle;
}

std::vector<FastProblem> fast_problems(std::span<const ConvShape> shapes, bool all) {
  std::vector<FastProblem> problems;
  for (const ConvShape& shape : shapes) add_convolutions(shape, problems);
  if (all) {
    constexpr std::int64_t kShapes[][4] = {{1, 1, 1, 1},     {5, 7, 9, 3},     {16, 8, 8, 1},
                                           {64, 64, 64, 1},  {65, 33, 63, 1},  {130, 40, 136, 1},
                                           {72, 300, 40, 2}, {13, 513, 31, 3}, {200, 129, 260, 1},
                                           {8, 2048, 16, 1}, {5, 0, 8, 1}};
    for (const auto& [m, k, n, batch] : kShapes) add_matmul(m, k, n, batch, problems);
    add_fast_pools(problems);
    add_fast_norms(problems);
  }
  return problems;
}

}  // namespace isobit::verify
