// dropout: a lane owns an element, a task a range. The uniforms are multiples of 2^-24, so u < p is asked in
// f32 against the smallest multiple that is not below p.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/dropout.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/philox-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

template <class S>
void drop(RandomKey key, std::uint64_t first, float limit, double scale, const S* x, S* out, std::int64_t n) {
  using T = Compute<S>;
  for_ranges(n, 2 * sizeof(S) + 8, [&](std::int64_t begin, std::int64_t end) {
    for_uniforms<float>(
        key, first, begin, end, [&](std::int64_t i, std::int64_t count, const float* u, std::int64_t skip) {
          const Vec<T> factor(static_cast<T>(scale)), below(static_cast<T>(limit)), zero(T{0});
          for_vectors<T>(count, [&](auto tail, std::int64_t k, std::int64_t lanes) HWY_ATTR {
            const Mask<T> dropped = load_some<T, tail.value>(u + skip + k, lanes) < below;
            const Vec<T> v = load_some<T, tail.value>(x + i + k, lanes) * factor;
            store_some<tail.value>(select(dropped, zero, v), out + i + k, lanes);
          });
        });
  });
}

}  // namespace

void run_dropout(RandomKey key, std::uint64_t first, float limit, double scale, ConstView x, View out) {
  with_floating(x.dtype, [&](auto type) {
    using S = decltype(type);
    drop(key, first, limit, scale, x.as<S>(), out.as<S>(), out.numel);
  });
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(run_dropout);

namespace kernels {
void dropout(RandomKey key, std::uint64_t first, double p, ConstView x, View out) {
  const double steps = p * 0x1p24;  // exact
  const auto below = static_cast<std::int64_t>(steps);
  const std::int64_t limit = static_cast<double>(below) < steps ? below + 1 : below;
  HWY_DYNAMIC_DISPATCH(run_dropout)(key, first, static_cast<float>(limit) * 0x1p-24f, 1 / (1 - p), x, out);
}
}  // namespace kernels
}  // namespace isobit::cpu
#endif
