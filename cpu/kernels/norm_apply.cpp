// norm_apply: h = (x - mean) * rstd, then the affine part. A lane owns an element; a task owns rows of
// channels.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/norm_apply.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/norm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

template <bool kOne, class T>
void apply_rows(const NormGeometry& g, const T* x, const T* mean, const T* rstd, const T* gamma,
                const T* beta, T* y) {
  const std::int64_t channels = g.channels(), step = sample_step(g);
  for_rows(g.a * g.b, channels * static_cast<std::int64_t>(2 * sizeof(T)),
           [&](std::int64_t begin, std::int64_t end) {
             for (std::int64_t row = begin; row < end; ++row) {
               const T *m = mean + row / g.b * step, *r = rstd + row / g.b * step;
               const T* from = x + row * channels;
               T* to = y + row * channels;
               for_vectors<T>(channels, [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
                 Vec<T> v = load_some<T, tail.value>(from + i, lanes) -
                            load_statistic<kOne, tail.value>(m, i, lanes);
                 v = v * load_statistic<kOne, tail.value>(r, i, lanes);
                 if (gamma != nullptr && beta != nullptr) {
                   v = fma(v, load_some<T, tail.value>(gamma + i, lanes),
                           load_some<T, tail.value>(beta + i, lanes));
                 } else if (gamma != nullptr) {
                   v = v * load_some<T, tail.value>(gamma + i, lanes);
                 } else if (beta != nullptr) {
                   v = v + load_some<T, tail.value>(beta + i, lanes);
                 }
                 store_some<tail.value>(v, to + i, lanes);
               });
             }
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
    reciprocal_deviation(variance.as<T>(), static_cast<T>(eps), g.statistics(), rstd.data());
    const auto apply = one_for_row(g) ? apply_rows<true, T> : apply_rows<false, T>;
    apply(g, in.data(), spread(g, mean.as<T>(), room1.data()), spread<T>(g, rstd.data(), room2.data()),
          gamma.as<T>(), beta.as<T>(), out.data());
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
