// The definition of interpolation along an axis: y[a, j, b] = row j of a matrix of few entries times the line
// x[a, :, b].
#include "core/numerics/fma.h"
#include "cpu/reference/reference.h"
#include "cpu/reference/types.h"

namespace isobit::cpu::reference {

void resample(const ResampleGeometry& g, ConstView x, ConstView start, ConstView column, ConstView weight,
              View y) {
  with_floating("resample", x.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    using V = Compute<S>;
    for (std::int64_t a = 0; a < g.outer; ++a)
      for (std::int64_t j = 0; j < g.out; ++j)
        for (std::int64_t b = 0; b < g.inner; ++b) {
          const std::int64_t begin = start.as<std::int64_t>()[j], end = start.as<std::int64_t>()[j + 1];
          V sum = 0;
          for (std::int64_t e = begin; e < end; ++e) {
            const std::int64_t from = (a * g.in + column.as<std::int64_t>()[e]) * g.inner + b;
            const V factor = load<V>(weight, e), value = load<S>(x, from);
            sum = e == begin ? factor * value : numerics::fma(factor, value, sum);
          }
          store<S>(y, (a * g.out + j) * g.inner + b, sum);
        }
  });
}

}  // namespace isobit::cpu::reference
