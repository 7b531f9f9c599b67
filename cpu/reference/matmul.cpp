// The definition of matmul: c[b, m, n] is a blocked chain over k of fma(a, b, sum).
#include "cpu/reference/order.h"
#include "cpu/reference/reference.h"
#include "cpu/reference/types.h"

namespace isobit::cpu::reference {
namespace {

template <class S>
void product(const MatmulGeometry& g, ConstView a, ConstView b, View c) {
  using V = Compute<S>;
  for (std::int64_t batch = 0; batch < g.batch; ++batch)
    for (std::int64_t m = 0; m < g.m; ++m)
      for (std::int64_t n = 0; n < g.n; ++n) {
        BlockedChain<V> chain;
        for (std::int64_t k = 0; k < g.k; ++k) {
          const std::int64_t in_a = g.transpose_a ? k * g.m + m : m * g.k + k;
          const std::int64_t in_b = g.transpose_b ? n * g.k + k : k * g.n + n;
          chain.fma(load<S>(a, batch * g.stride_a + in_a), load<S>(b, batch * g.stride_b + in_b));
        }
        store<S>(c, (batch * g.m + m) * g.n + n, chain.sum());
      }
}

}  // namespace

void matmul(const MatmulGeometry& g, ConstView a, ConstView b, View c) {
  with_floating("matmul", a.dtype, [&](auto tag) { product<typename decltype(tag)::type>(g, a, b, c); });
}

}  // namespace isobit::cpu::reference
