// The definition of local response normalisation over windows of channels of x[rows, c], and of its gradient.
#include <algorithm>
#include <vector>

#include "core/numerics/elementary.h"
#include "core/numerics/fma.h"
#include "cpu/reference/reference.h"
#include "cpu/reference/types.h"

namespace isobit::cpu::reference {
namespace {

// d and s of channel e of the row that begins at element `first`.
template <class V>
struct Response {
  V d, s;
};
template <class S>
Response<Compute<S>> response(const LocalResponseGeometry& g, ConstView x, std::int64_t first,
                              std::int64_t e) {
  using V = Compute<S>;
  V q = 0;
  for (std::int64_t j = std::max<std::int64_t>(0, e - g.before); j <= std::min(g.c - 1, e + g.after); ++j)
    q = numerics::fma(load<S>(x, first + j), load<S>(x, first + j), q);
  const V d = numerics::fma(static_cast<V>(g.scale), q, static_cast<V>(g.bias));
  return {d, numerics::exp(static_cast<V>(-g.beta) * numerics::log(d))};
}

}  // namespace

void local_response_norm(const LocalResponseGeometry& g, ConstView x, View y) {
  with_floating("local_response_norm", x.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    for (std::int64_t first = 0; first < g.rows * g.c; first += g.c)
      for (std::int64_t e = 0; e < g.c; ++e)
        store<S>(y, first + e, load<S>(x, first + e) * response<S>(g, x, first, e).s);
  });
}

void local_response_norm_backward(const LocalResponseGeometry& g, ConstView dy, ConstView x, View dx) {
  with_floating("local_response_norm_backward", x.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    using V = Compute<S>;
    const V factor = static_cast<V>(g.scale * (-2 * g.beta));
    std::vector<V> u(static_cast<std::size_t>(g.c)), s(u.size());
    for (std::int64_t first = 0; first < g.rows * g.c; first += g.c) {
      for (std::int64_t e = 0; e < g.c; ++e) {
        const auto at = static_cast<std::size_t>(e);
        const Response<V> r = response<S>(g, x, first, e);
        s[at] = r.s;
        u[at] = load<S>(dy, first + e) * ((load<S>(x, first + e) * r.s) / r.d);
      }
      for (std::int64_t e = 0; e < g.c; ++e) {
        V t = 0;
        for (std::int64_t j = std::max<std::int64_t>(0, e - g.after); j <= std::min(g.c - 1, e + g.before);
             ++j)
          t = t + u[static_cast<std::size_t>(j)];
        const V straight = load<S>(dy, first + e) * s[static_cast<std::size_t>(e)];
        store<S>(dx, first + e, numerics::fma(factor * load<S>(x, first + e), t, straight));
      }
    }
  });
}

}  // namespace isobit::cpu::reference
