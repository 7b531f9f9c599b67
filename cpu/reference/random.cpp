// The definition of random numbers and dropout: element i draws at counter first + i of the key's stream, in
// f32 for f16 and bf16.
//   uniform  fma(u, c(high) - c(low), c(low)); high itself, which rounding could give, becomes low
//   normal   fma(z, c(deviation), c(mean))
//   dropout  u < p (exactly, u being an f32) ? +0 : x * c(1 / (1 - p))
#include "core/numerics/fma.h"
#include "core/numerics/philox.h"
#include "core/numerics/random_values.h"
#include "cpu/reference/reference.h"
#include "cpu/reference/types.h"

namespace isobit::cpu::reference {

void random_uniform(RandomKey key, std::uint64_t first, double low, double high, View out) {
  with_floating("random_uniform", out.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    using V = Compute<S>;
    const V from = static_cast<V>(low), to = static_cast<V>(high);
    for (std::int64_t i = 0; i < out.numel; ++i) {
      const std::uint64_t counter = first + static_cast<std::uint64_t>(i);
      V u = 0;
      if constexpr (std::is_same_v<V, double>)
        u = numerics::uniform_f64(key, counter);
      else
        u = numerics::uniform_f32(key, counter);
      const V v = numerics::fma(u, to - from, from);
      store<S>(out, i, v < to ? v : from);
    }
  });
}

void random_normal(RandomKey key, std::uint64_t first, double mean, double deviation, View out) {
  with_floating("random_normal", out.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    using V = Compute<S>;
    for (std::int64_t i = 0; i < out.numel; ++i) {
      const std::uint64_t counter = first + static_cast<std::uint64_t>(i);
      V z = 0;
      if constexpr (std::is_same_v<V, double>)
        z = numerics::normal_f64(key, counter);
      else
        z = numerics::normal_f32(key, counter);
      store<S>(out, i, numerics::fma(z, static_cast<V>(deviation), static_cast<V>(mean)));
    }
  });
}

void dropout(RandomKey key, std::uint64_t first, double p, ConstView x, View out) {
  with_floating("dropout", x.dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    using V = Compute<S>;
    const V scale = static_cast<V>(1 / (1 - p));
    for (std::int64_t i = 0; i < out.numel; ++i) {
      const float u = numerics::uniform_f32(key, first + static_cast<std::uint64_t>(i));
      store<S>(out, i, static_cast<double>(u) < p ? V{0} : load<S>(x, i) * scale);
    }
  });
}

}  // namespace isobit::cpu::reference
