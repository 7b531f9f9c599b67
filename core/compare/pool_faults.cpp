// Faults that pools are known for: the divisor of an average, a pixel off, the padding of a maximum.
#include <isobit/autograd.h>
#include <isobit/error.h>

#include "core/compare/kernel.h"

namespace isobit::compare {
namespace {

using Sides = std::vector<std::pair<std::int64_t, std::int64_t>>;

/// Sums of the windows, or the gradient of that sum.
std::vector<double> sums_of(const Kernel& k, const Tensor& a) {
  const EnableGrad on;
  Tensor x = k.gradient ? k.chooser.detach().clone() : a;
  if (k.gradient) x.set_requires_grad();
  const Tensor y = sum_pool(x, k.window, k.pool);
  return values_of(k.gradient ? grad(y, {x}, a)[0] : y);
}

Reference divided(const Kernel& k, const Reference& base, double divisor) {
  Reference r = base;
  r.value = sums_of(k, k.a);
  r.magnitude = sums_of(k, abs(k.a));
  for (double& v : r.value) v /= divisor;
  for (double& v : r.magnitude) v /= divisor;
  return r;
}

Sides sides_of(const Kernel& k) {
  const PoolGeometry g = make_pool_geometry("compare", k.chooser.shape(), k.window, k.pool);
  Sides sides;
  for (int i = 0; i < k.spatial(); ++i) {
    const AxisGeometry& a = spatial_axis(g, k.spatial(), i);
    sides.emplace_back(a.pad_before, a.pad_after);
  }
  return sides;
}

}  // namespace

std::vector<Fault> pool_faults_of(const Kernel& k, const Reference& base) {
  std::vector<Fault> faults;
  if (!k.maximum) {
    double taps = 1;
    for (int i = 0; i < k.spatial(); ++i)
      taps *= static_cast<double>(k.window.value[k.window.count == 1 ? 0 : static_cast<std::size_t>(i)]);
    faults.push_back({k.pool.count_include_pad ? "wrong divisor: the padding is not counted"
                                               : "wrong divisor: the padding is counted",
                      [k] {
                        Kernel other = k;
                        other.pool.count_include_pad = !k.pool.count_include_pad;
                        return reference_of(other);
                      }});
    faults.push_back(
        {"wrong divisor: the whole window everywhere", [k, &base, taps] { return divided(k, base, taps); }});
    faults.push_back({"wrong divisor: not divided at all", [k, &base] { return divided(k, base, 1); }});
  } else if (!k.gradient) {
    faults.push_back({"padding counted as zeros", [k, &base] {
                        Reference r = base;
                        const Sides sides = sides_of(k);
                        Sides widths{{0, 0}};
                        widths.insert(widths.end(), sides.begin(), sides.end());
                        widths.emplace_back(0, 0);
                        PoolOptions dense = k.pool;
                        dense.padding = {};
                        r.value = values_of(max_pool(pad(k.a, widths), k.window, dense));
                        return r;
                      }});
  }
  for (int i = 0; i < k.spatial(); ++i)
    for (const int by : {1, -1})
      faults.push_back({fmt::format("windows off by one pixel on spatial axis {} ({:+})", i, by), [k, i, by] {
                          Kernel other = k;
                          Sides sides = sides_of(k);
                          sides[static_cast<std::size_t>(i)].first += by;
                          sides[static_cast<std::size_t>(i)].second -= by;
                          other.pool.padding = Padding(sides);
                          return reference_of(other);
                        }});
  return faults;
}

}  // namespace isobit::compare
