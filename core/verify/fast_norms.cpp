// Norms of fast mode, against f64. Bounds, with u = 2^-23 for each rounding, cut or not, K the terms of a
// mean, m the mean, v the variance, r = 1 / sqrt(v + eps):
//   mean        dm = (K + 1) u mean|x|
//   variance    dv = (K + 4) u (v + |m| sqrt(v)) + dm^2     two passes, or one that follows the mean
//   (Welford) r           dr = dv / (2 (v + eps)) + 3 u               relative y           |gamma| r (dm + |x
//   - m| dr + 4 u (|x| + |m|)) + 2 u (|beta| + |y|)
//               (x - m) r gamma + beta in any grouping, x (r gamma) + (beta - m r gamma) among them
//   statistics  dm of the mean; of the variance, which comes back from r, dv + 6 u (v + eps)
//   dx          r (d1 + |h| d2 + 8 u (|e| + |s1| + a |s2|)), e = gamma dy, h = (x - m) r, a = (|x| + |m|) r,
//               s1, s2 the means of e and e h; d1 = (K + 1) u mean|e|, d2 = (K + 6) u mean(|e| a):
//               means of e (x - m) or of e x and e, combined
#include <algorithm>
#include <cmath>
#include <memory>

#include "core/describe.h"
#include "core/fused_norm.h"
#include "core/verify/device_array.h"
#include "core/verify/families.h"
#include "core/verify/fast_problem.h"

namespace isobit::verify {
namespace {

constexpr double kRounding = 0x1p-23;
constexpr double kEps = 1e-5;

struct Statistic {
  double mean = 0, variance = 0, magnitude = 0;
};

/// Of which statistic element i of x[a, b, g, d] is, and of which channel.
std::size_t statistic_of(const NormGeometry& g, std::int64_t i) {
  const std::int64_t group = i / g.d % g.g, a = i / (g.b * g.g * g.d);
  return static_cast<std::size_t>(g.over_batch ? group : a * g.g + group);
}
std::size_t channel_of(const NormGeometry& g, std::int64_t i) {
  return static_cast<std::size_t>(i % g.channels());
}

std::vector<double> widened(const HostArray& from) {
  std::vector<double> v(static_cast<std::size_t>(from.numel()));
  for (std::int64_t i = 0; i < from.numel(); ++i)
    v[static_cast<std::size_t>(i)] = element_value(from.view(), i);
  return v;
}

/// Means over each statistic's elements of what `term` gives, or over the first of them alone.
template <class Term>
std::vector<double> means(const NormGeometry& g, std::int64_t first, const Term& term) {
  std::vector<double> sums(static_cast<std::size_t>(g.statistics()), 0.0);
  std::vector<std::int64_t> taken(sums.size(), 0);
  for (std::int64_t i = 0; i < g.numel(); ++i) {
    const std::size_t s = statistic_of(g, i);
    if (taken[s] < first) ++taken[s], sums[s] += term(static_cast<std::size_t>(i), s);
  }
  for (double& sum : sums) sum /= static_cast<double>(first);
  return sums;
}

/// All terms, or all but an eighth, at least one.
std::int64_t terms(const NormGeometry& g, bool lacking) {
  const std::int64_t all = g.count();
  return lacking && all > 1 ? all - std::max<std::int64_t>(1, all / 8) : all;
}

struct Affine {
  std::shared_ptr<HostArray> gamma, beta;  ///< null: none
  double scale(std::size_t c) const {
    return gamma ? element_value(gamma->view(), static_cast<std::int64_t>(c)) : 1;
  }
  double shift(std::size_t c) const {
    return beta ? element_value(beta->view(), static_cast<std::int64_t>(c)) : 0;
  }
};

/// What of a norm is judged.
enum class Part { result, means, variances };

FastOracle forward_oracle(const NormGeometry& g, const Affine& affine, Part part, const HostArray& b) {
  const std::vector<double> x = widened(b);
  const double k = static_cast<double>(g.count()), eps = static_cast<double>(static_cast<float>(kEps));
  FastOracle oracle;
  for (const bool lacking : {true, false}) {
    const std::int64_t first = terms(g, lacking);
    const auto mean = means(g, first, [&](std::size_t i, std::size_t) { return x[i]; });
    const auto variance =
        means(g, first, [&](std::size_t i, std::size_t s) { return (x[i] - mean[s]) * (x[i] - mean[s]); });
    const auto magnitude = means(g, first, [&](std::size_t i, std::size_t) { return std::abs(x[i]); });
    std::vector<double>& out = lacking ? oracle.lacking : oracle.value;
    if (part != Part::result) {
      out = part == Part::means ? mean : variance;
      oracle.bound.resize(out.size());
      for (std::size_t s = 0; s < out.size(); ++s) {
        const double dm = (k + 1) * kRounding * magnitude[s];
        const double dv =
            (k + 4) * kRounding * (variance[s] + std::abs(mean[s]) * std::sqrt(variance[s])) + dm * dm;
        oracle.bound[s] = part == Part::means ? dm : dv + 6 * kRounding * (variance[s] + eps);
      }
      continue;
    }
    out.resize(x.size());
    oracle.bound.resize(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::size_t s = statistic_of(g, static_cast<std::int64_t>(i)),
                        c = channel_of(g, static_cast<std::int64_t>(i));
      const double m = mean[s], v = variance[s], r = 1 / std::sqrt(v + eps), gamma = affine.scale(c);
      out[i] = (x[i] - m) * r * gamma + affine.shift(c);
      const double dm = (k + 1) * kRounding * magnitude[s];
      const double dv = (k + 4) * kRounding * (v + std::abs(m) * std::sqrt(v)) + dm * dm;
      const double dr = dv / (2 * (v + eps)) + 3 * kRounding;
      oracle.bound[i] = std::abs(gamma) * r *
                            (dm + std::abs(x[i] - m) * dr + 4 * kRounding * (std::abs(x[i]) + std::abs(m))) +
                        2 * kRounding * (std::abs(affine.shift(c)) + std::abs(out[i]));
    }
  }
  return oracle;
}

/// The statistics that the gradient is given: of x by the CPU, in f32.
std::pair<HostArray, HostArray> statistics(const NormGeometry& g, const HostArray& x) {
  std::pair<HostArray, HostArray> s{HostArray(DType::f32, g.statistics()),
                                    HostArray(DType::f32, g.statistics())};
  backend(Device::cpu()).norm_statistics(g, x.view(), s.first.view(), s.second.view());
  return s;
}

FastOracle backward_oracle(const NormGeometry& g, const Affine& affine, const HostArray& a,
                           const HostArray& b) {
  const std::vector<double> dy = widened(a), x = widened(b);
  const auto given = statistics(g, b);
  const std::vector<double> mean = widened(given.first), variance = widened(given.second);
  const double k = static_cast<double>(g.count()), eps = static_cast<double>(static_cast<float>(kEps));
  std::vector<double> r(variance.size());
  for (std::size_t s = 0; s < r.size(); ++s) r[s] = 1 / std::sqrt(variance[s] + eps);
  const auto e = [&](std::size_t i) {
    return dy[i] * affine.scale(channel_of(g, static_cast<std::int64_t>(i)));
  };
  const auto h = [&](std::size_t i, std::size_t s) { return (x[i] - mean[s]) * r[s]; };
  const auto large = [&](std::size_t i, std::size_t s) {
    return (std::abs(x[i]) + std::abs(mean[s])) * r[s];
  };
  FastOracle oracle;
  oracle.bound.resize(x.size());
  for (const bool lacking : {true, false}) {
    const std::int64_t first = terms(g, lacking);
    const auto s1 = means(g, first, [&](std::size_t i, std::size_t) { return e(i); });
    const auto s2 = means(g, first, [&](std::size_t i, std::size_t s) { return e(i) * h(i, s); });
    const auto m1 = means(g, first, [&](std::size_t i, std::size_t) { return std::abs(e(i)); });
    const auto m2 =
        means(g, first, [&](std::size_t i, std::size_t s) { return std::abs(e(i)) * large(i, s); });
    std::vector<double>& out = lacking ? oracle.lacking : oracle.value;
    out.resize(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::size_t s = statistic_of(g, static_cast<std::int64_t>(i));
      out[i] = r[s] * (e(i) - s1[s] - h(i, s) * s2[s]);
      oracle.bound[i] =
          r[s] * ((k + 1) * kRounding * m1[s] + std::abs(h(i, s)) * (k + 6) * kRounding * m2[s] +
                  8 * kRounding * (std::abs(e(i)) + std::abs(s1[s]) + large(i, s) * std::abs(s2[s])));
    }
  }
  return oracle;
}

FastProblem norm_problem(const char* kernel, const NormGeometry& g, const Affine& affine) {
  FastProblem p;
  p.kernel = kernel;
  p.name = describe(g) + (affine.gamma ? affine.beta ? " affine" : " gamma" : " plain");
  p.rounds_operands = p.integers = false;
  p.multiply_adds = 4 * static_cast<double>(g.numel());
  p.out = g.numel();
  return p;
}

/// On the device, or nothing.
ConstView on(std::vector<DeviceArray>& held, Backend& d, const HostArray* array) {
  if (array == nullptr) return {};
  held.emplace_back(d, *array, 0, DeviceArray::Kind::input);
  return held.back().view();
}

void add_norm(const NormGeometry& g, const Affine& affine, std::vector<FastProblem>& problems) {
  for (const Part part : {Part::result, Part::means, Part::variances}) {
    if (part != Part::result && affine.gamma) continue;
    FastProblem p = norm_problem("norm", g, affine);
    p.name += part == Part::result ? "" : part == Part::means ? " means" : " variances";
    p.b = g.numel();
    p.out = part == Part::result ? g.numel() : g.statistics();
    p.oracle = [=](const HostArray&, const HostArray& b) { return forward_oracle(g, affine, part, b); };
    p.call = [=](Backend& d, Math math, double, ConstView, ConstView b, View out) {
      const MathScope scope(math);
      std::vector<DeviceArray> held;
      held.reserve(4);
      const ConstView gamma = on(held, d, affine.gamma.get()), beta = on(held, d, affine.beta.get());
      const HostArray empty(DType::f32, g.statistics());
      const DeviceArray mean(d, empty, 0, DeviceArray::Kind::output),
          variance(d, empty, 0, DeviceArray::Kind::output),
          y(d, HostArray(b.dtype, g.numel()), 0, DeviceArray::Kind::output);
      dynamic_cast<HasFusedNorm&>(d).norm(g, kEps, b, gamma, beta, mean.view(), variance.view(),
                                          part == Part::result ? out : y.view());
      if (part != Part::result) d.cast(part == Part::means ? mean.view() : variance.view(), out);
      d.synchronize();
    };
    problems.push_back(std::move(p));
  }

  FastProblem backward = norm_problem("norm_backward", g, affine);
  backward.a = backward.b = g.numel();
  backward.oracle = [=](const HostArray& a, const HostArray& b) { return backward_oracle(g, affine, a, b); };
  backward.call = [=](Backend& d, Math math, double, ConstView a, ConstView b, View out) {
    const MathScope scope(math);
    std::vector<DeviceArray> held;
    held.reserve(4);
    const ConstView gamma = on(held, d, affine.gamma.get());
    HostArray x(b.dtype, b.numel);
    d.download(x.view().data, b.data, b.numel * static_cast<std::int64_t>(size_of(b.dtype)));
    const auto given = statistics(g, x);
    const ConstView mean = on(held, d, &given.first), variance = on(held, d, &given.second);
    d.norm_backward(g, kEps, a, b, mean, variance, gamma, out);
    d.synchronize();
  };
  problems.push_back(std::move(backward));
}

NormGeometry norm_over(std::int64_t a, std::int64_t b, std::int64_t g, std::int64_t d, bool batch) {
  NormGeometry n;
  n.a = a, n.b = b, n.g = g, n.d = d, n.over_batch = batch;
  return n;
}

}  // namespace

void add_fast_norms(std::vector<FastProblem>& problems) {
  const NormGeometry all[] = {
      norm_over(4, 49, 32, 1, true),   norm_over(16, 64, 8, 1, true), norm_over(33, 1, 64, 1, true),
      norm_over(2, 9, 5, 1, true),     norm_over(3, 7, 12, 1, true),  norm_over(20, 196, 16, 1, true),
      norm_over(64, 1, 1, 256, false), norm_over(7, 1, 1, 13, false), norm_over(130, 1, 1, 100, false),
      norm_over(3, 1, 1, 5000, false), norm_over(5, 1, 1, 1, false),  norm_over(4, 49, 32, 1, false),
      norm_over(2, 30, 33, 1, false),  norm_over(2, 16, 4, 8, false)};
  for (const NormGeometry& g : all) {
    const auto numbers = [&](const char* what) {
      return std::make_shared<HostArray>(
          random_array(DType::f32, g.channels(), Values::finite, random_key(Seed{1}, what + describe(g))));
    };
    const auto gamma = numbers("gamma "), beta = numbers("beta ");
    add_norm(g, {}, problems);
    add_norm(g, {gamma, beta}, problems);
    add_norm(g, {gamma, {}}, problems);
  }
}

}  // namespace isobit::verify
