// norm_statistics and norm_apply of layer, group and instance norm in one: a sample is normalised while what
// was read for its statistics is in a cache, of layer and group norm while the next one is read: a core that
// reads and writes at once moves more than one that does either. The same bits as one after the other, in
// which halves, and samples too few for the threads, still go. No twin: CUDA runs the two kernels one after
// the other (cuda/kernels/norm_statistics.cu, norm_apply.cu).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/norm_fused.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/norm_fused.h"
#include "cpu/kernels/norm_samples-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

/// Normalises samples, by the statistics that are there by then.
template <bool kOne, bool kStream, class T>
class Normalised {
 public:
  static constexpr bool kWrites = true;
  static constexpr bool serves(bool one) { return one == kOne; }

  Normalised(const NormGeometry& g, T eps, const T* x, const T* mean, const T* variance, const T* gamma,
             const T* beta, T* y)
      : g_(g),
        eps_(eps),
        x_(x),
        mean_(mean),
        variance_(variance),
        gamma_(gamma),
        beta_(beta),
        y_(y),
        rstd_(g.g),
        spread_mean_(is_repeated(g) ? g.channels() : 0),
        spread_rstd_(is_repeated(g) ? g.channels() : 0) {}
  ~Normalised() {
    if (kStream) hwy::FlushStream();
  }
  Normalised(const Normalised&) = delete;
  Normalised& operator=(const Normalised&) = delete;

  /// Of sample a; as long as there is no next one.
  Normalise<kOne, kStream, T> rows(std::int64_t a) const {
    const std::int64_t first = a * g_.b * g_.channels();
    reciprocal_deviation(variance_ + a * g_.g, eps_, g_.g, rstd_.data());
    const Affine<T> p{as_read(mean_ + a * g_.g, spread_mean_), as_read(rstd_.data(), spread_rstd_), gamma_,
                      beta_};
    return {x_ + first, p, y_ + first, g_.channels()};
  }

 private:
  const T* as_read(const T* statistics, const Scratch<T>& room) const {
    if (!is_repeated(g_)) return statistics;
    spread_sample(g_, statistics, room.data());
    return room.data();
  }

  const NormGeometry& g_;
  const T eps_;
  const T *x_, *mean_, *variance_, *gamma_, *beta_;
  T* y_;
  const Scratch<T> rstd_, spread_mean_, spread_rstd_;
};

}  // namespace

bool run_norm_fused(const NormGeometry& g, double eps, ConstView x, ConstView gamma, ConstView beta,
                    View mean, View variance, View y) {
  if (size_of(x.dtype) == 2 || !by_samples(g)) return false;
  with_compute(x.dtype, [&](auto type) {
    using T = decltype(type);
    const Scratch<T> ones(gamma.data == nullptr ? g.channels() : 0),
        zeros(beta.data == nullptr ? g.channels() : 0);
    const T *const scale = or_all(gamma.as<T>(), T{1}, ones), *const shift =
                                                                  or_all(beta.as<T>(), -T{0}, zeros);
    const auto run = [&](auto one, auto stream) {
      statistics_of_samples(g, x.as<T>(), mean.as<T>(), variance.as<T>(), [&] {
        return Normalised<decltype(one)::value, decltype(stream)::value, T>(
            g, static_cast<T>(eps), x.as<T>(), mean.as<T>(), variance.as<T>(), scale, shift, y.as<T>());
      });
    };
    const std::int64_t row_bytes = g.channels() * static_cast<std::int64_t>(sizeof(T));
    const bool past = past_caches(y.data, g.a * g.b * row_bytes, row_bytes);
    constexpr std::true_type yes;
    constexpr std::false_type no;
    if (one_for_row(g)) return past ? run(yes, yes) : run(yes, no);
    past ? run(no, yes) : run(no, no);
  });
  return true;
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(run_norm_fused);

namespace kernels {
bool norm_fused(const NormGeometry& g, double eps, ConstView x, ConstView gamma, ConstView beta, View mean,
                View variance, View y) {
  return HWY_DYNAMIC_DISPATCH(run_norm_fused)(g, eps, x, gamma, beta, mean, variance, y);
}
}  // namespace kernels
}  // namespace isobit::cpu
#endif
