// The definition of the norms over x[a, b, g, d] (NormGeometry): statistics of batch norm per g, over (a, b)
// by the batch tree; of layer and group norm per (a, g), a blocked chain over b of lanes over d. Statistics,
// gamma and beta are in the compute type.
#include <cmath>
#include <vector>

#include "cpu/reference/order.h"
#include "cpu/reference/reference.h"
#include "cpu/reference/types.h"

namespace isobit::cpu::reference {
namespace {

std::int64_t element(const NormGeometry& g, std::int64_t a, std::int64_t b, std::int64_t group,
                     std::int64_t d) {
  return ((a * g.b + b) * g.g + group) * g.d + d;
}

std::int64_t statistic(const NormGeometry& g, std::int64_t a, std::int64_t group) {
  return g.over_batch ? group : a * g.g + group;
}

// The sum over everything that statistic i covers of term(a, b, group, d).
template <class V, class Term>
V statistic_sum(const NormGeometry& g, std::int64_t i, const Term& term) {
  if (g.over_batch)
    return batch_tree<V>(g.a, g.b, [&](BlockedChain<V>& chain, std::int64_t a) {
      for (std::int64_t b = 0; b < g.b; ++b) chain.add(term(a, b, i, std::int64_t{0}));
    });
  const std::int64_t a = i / g.g, group = i % g.g;
  BlockedChain<V> chain;
  for (std::int64_t b = 0; b < g.b; ++b) {
    Lanes<V> lanes;
    for (std::int64_t d = 0; d < g.d; ++d) lanes.add(term(a, b, group, d));
    chain.add(lanes.sum());
  }
  return chain.sum();
}

template <class Fn>
void for_each_element(const NormGeometry& g, const Fn& fn) {
  for (std::int64_t a = 0; a < g.a; ++a)
    for (std::int64_t b = 0; b < g.b; ++b)
      for (std::int64_t group = 0; group < g.g; ++group)
        for (std::int64_t d = 0; d < g.d; ++d) fn(a, b, group, d);
}

// rstd and the normalised value h.
template <class S>
struct Normalised {
  using V = Compute<S>;
  const NormGeometry& g;
  V eps;
  ConstView x, mean, variance;
  V rstd(std::int64_t a, std::int64_t group) const {
    return V{1} / std::sqrt(load<V>(variance, statistic(g, a, group)) + eps);
  }
  V h(std::int64_t a, std::int64_t b, std::int64_t group, std::int64_t d) const {
    const V centred = load<S>(x, element(g, a, b, group, d)) - load<V>(mean, statistic(g, a, group));
    return centred * rstd(a, group);
  }
};

}  // namespace

void norm_statistics(const NormGeometry& g, ConstView x, View mean, View variance) {
  with_floating("norm_statistics", x.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    using V = Compute<S>;
    const V count = static_cast<V>(g.count());
    for (std::int64_t i = 0; i < g.statistics(); ++i) {
      const auto value = [&](auto a, auto b, auto group, auto d) {
        return load<S>(x, element(g, a, b, group, d));
      };
      const V m = statistic_sum<V>(g, i, value) / count;
      const auto square = [&](auto a, auto b, auto group, auto d) {
        const V distance = value(a, b, group, d) - m;
        return distance * distance;
      };
      store<V>(mean, i, m);
      store<V>(variance, i, statistic_sum<V>(g, i, square) / count);
    }
  });
}

void norm_apply(const NormGeometry& g, double eps, ConstView x, ConstView mean, ConstView variance,
                ConstView gamma, ConstView beta, View y) {
  with_floating("norm_apply", x.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    using V = Compute<S>;
    const Normalised<S> normalised{g, static_cast<V>(eps), x, mean, variance};
    for_each_element(g, [&](auto a, auto b, auto group, auto d) {
      const std::int64_t channel = group * g.d + d;
      V v = normalised.h(a, b, group, d);
      if (gamma.data != nullptr && beta.data != nullptr)
        v = numerics::fma(v, load<V>(gamma, channel), load<V>(beta, channel));
      else if (gamma.data != nullptr)
        v = v * load<V>(gamma, channel);
      else if (beta.data != nullptr)
        v = v + load<V>(beta, channel);
      store<S>(y, element(g, a, b, group, d), v);
    });
  });
}

void norm_backward(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                   ConstView variance, ConstView gamma, View dx) {
  with_floating("norm_backward", x.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    using V = Compute<S>;
    const V count = static_cast<V>(g.count());
    const Normalised<S> normalised{g, static_cast<V>(eps), x, mean, variance};
    const auto e = [&](auto a, auto b, auto group, auto d) {
      const V v = load<S>(dy, element(g, a, b, group, d));
      return gamma.data != nullptr ? v * load<V>(gamma, group * g.d + d) : v;
    };
    const auto product = [&](auto a, auto b, auto group, auto d) {
      return e(a, b, group, d) * normalised.h(a, b, group, d);
    };
    std::vector<V> mean_e, mean_eh;
    for (std::int64_t i = 0; i < g.statistics(); ++i) {
      mean_e.push_back(statistic_sum<V>(g, i, e) / count);
      mean_eh.push_back(statistic_sum<V>(g, i, product) / count);
    }
    for_each_element(g, [&](auto a, auto b, auto group, auto d) {
      const auto i = static_cast<std::size_t>(statistic(g, a, group));
      const V inner = numerics::fma(-normalised.h(a, b, group, d), mean_eh[i], e(a, b, group, d) - mean_e[i]);
      store<S>(dx, element(g, a, b, group, d), normalised.rstd(a, group) * inner);
    });
  });
}

void norm_backward_affine(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                          ConstView variance, View dgamma, View dbeta) {
  with_floating("norm_backward_affine", x.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    using V = Compute<S>;
    const Normalised<S> normalised{g, static_cast<V>(eps), x, mean, variance};
    for (std::int64_t channel = 0; channel < g.channels(); ++channel) {
      const std::int64_t group = channel / g.d, d = channel % g.d;
      if (dgamma.data != nullptr)
        store<V>(dgamma, channel, batch_tree<V>(g.a, g.b, [&](BlockedChain<V>& chain, std::int64_t a) {
                   for (std::int64_t b = 0; b < g.b; ++b)
                     chain.add(load<S>(dy, element(g, a, b, group, d)) * normalised.h(a, b, group, d));
                 }));
      if (dbeta.data != nullptr)
        store<V>(dbeta, channel, batch_tree<V>(g.a, g.b, [&](BlockedChain<V>& chain, std::int64_t a) {
                   for (std::int64_t b = 0; b < g.b; ++b) chain.add(load<S>(dy, element(g, a, b, group, d)));
                 }));
    }
  });
}

}  // namespace isobit::cpu::reference
