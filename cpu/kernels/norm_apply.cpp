// norm_apply: y = fma((x - mean) * rstd, gamma, beta), with gamma 1 and beta -0, which change no bit, where
// there is none. A lane owns an element; a task owns rows of channels. Results larger than the caches go past
// them.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/norm_apply.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/norm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

template <bool kOne, bool kStream, class T>
void apply_rows(const NormGeometry& g, const T* x, Affine<T> p, T* y) {
  const std::int64_t channels = g.channels(), step = sample_step(g);
  for_rows(g.a * g.b, channels * static_cast<std::int64_t>(2 * sizeof(T)),
           [=, b = g.b](std::int64_t begin, std::int64_t end) {
             std::int64_t a = begin / b;
             for (std::int64_t row = begin; row < end; ++a) {
               const Affine<T> of_sample{p.mean + a * step, p.rstd + a * step, p.gamma, p.beta};
               const Normalise<kOne, kStream, T> rows{x, of_sample, y, channels};
               for (const std::int64_t stop = std::min(end, (a + 1) * b); row < stop; ++row)
                 for_row<T>(rows, row);
             }
             if (kStream) hwy::FlushStream();
           });
}

}  // namespace

void run_norm_apply(const NormGeometry& g, double eps, ConstView x, ConstView mean, ConstView variance,
                    ConstView gamma, ConstView beta, View y) {
  if (g.numel() == 0) return;
  with_compute(x.dtype, [&](auto type) {
    using T = decltype(type);
    const Widened<T> in(x);
    const Rounded<T> out(y);
    Scratch<T> rstd(g.statistics()), room1(spread_size(g)), room2(spread_size(g));
    Scratch<T> ones(gamma.data == nullptr ? g.channels() : 0), zeros(beta.data == nullptr ? g.channels() : 0);
    reciprocal_deviation(variance.as<T>(), static_cast<T>(eps), g.statistics(), rstd.data());
    const Affine<T> p{spread(g, mean.as<T>(), room1.data()), spread<T>(g, rstd.data(), room2.data()),
                      or_all(gamma.as<T>(), T{1}, ones), or_all(beta.as<T>(), -T{0}, zeros)};
    const std::int64_t row_bytes = g.channels() * static_cast<std::int64_t>(sizeof(T));
    const auto run = [&](auto one) {
      constexpr bool kOne = decltype(one)::value;
      if (past_caches(out.data(), g.numel() * static_cast<std::int64_t>(sizeof(T)), row_bytes))
        return apply_rows<kOne, true>(g, in.data(), p, out.data());
      apply_rows<kOne, false>(g, in.data(), p, out.data());
    };
    if (one_for_row(g)) {
      run(std::true_type());
    } else {
      run(std::false_type());
    }
    out.finish();
  });
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(run_norm_apply);

namespace kernels {
void norm_apply(const NormGeometry& g, double eps, ConstView x, ConstView mean, ConstView variance,
                ConstView gamma, ConstView beta, View y) {
  HWY_DYNAMIC_DISPATCH(run_norm_apply)(g, eps, x, mean, variance, gamma, beta, y);
}
}  // namespace kernels
}  // namespace isobit::cpu
#endif
