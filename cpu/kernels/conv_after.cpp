// A convolution's elements after they are stored: y = fma((y - mean) * rstd, gamma, beta) as norm_apply does,
// with gamma 1 and beta -0, which change no bit, where there is none; then the activation. A lane owns an
// element, the calling task its part. Twin: activate in cuda/kernels/conv_forward.cu, which runs the kernels
// of these names over the whole result.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/conv_after.cpp"
#include "hwy/foreach_target.h"
#include "core/activation.h"
#include "cpu/kernels/conv_after.h"
#include "cpu/kernels/gemm_pack.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/norm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

template <class T>
kernels::After::Channels prepare(const ChannelNorm& norm, std::int64_t channels, T* room) {
  reciprocal_deviation(norm.variance.as<T>(), static_cast<T>(norm.eps), channels, room);
  T* const ones = room + channels;
  T* const zeros = ones + channels;
  std::fill_n(ones, channels, T{1});
  std::fill_n(zeros, channels, -T{0});
  return {norm.mean.data, room, norm.gamma.data != nullptr ? norm.gamma.data : ones,
          norm.beta.data != nullptr ? norm.beta.data : zeros};
}

template <class T>
void apply_rows(const kernels::After::Channels& c, std::int64_t first, std::int64_t count, std::int64_t rows,
                T* y) {
  const T* const mean = static_cast<const T*>(c.mean) + first;
  const T* const rstd = static_cast<const T*>(c.rstd) + first;
  const T* const gamma = static_cast<const T*>(c.gamma) + first;
  const T* const beta = static_cast<const T*>(c.beta) + first;
  for (std::int64_t row = 0; row < rows; ++row, y += count)
    for_vectors<T>(count, [=](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
      constexpr bool kTail = tail.value;
      const Vec<T> h = (load_some<T, kTail>(y + i, lanes) - load_some<T, kTail>(mean + i, lanes)) *
                       load_some<T, kTail>(rstd + i, lanes);
      store_some<kTail>(fma(h, load_some<T, kTail>(gamma + i, lanes), load_some<T, kTail>(beta + i, lanes)),
                        y + i, lanes);
    });
}

}  // namespace

kernels::After::Channels run_prepare_after(const ChannelNorm& norm, DType stored, std::int64_t channels,
                                           double* room) {
  if (stored == DType::f64) return prepare(norm, channels, room);
  return prepare(norm, channels, reinterpret_cast<float*>(room));
}

void run_norm_after(const kernels::After::Channels& channels, View part, std::int64_t first,
                    std::int64_t count) {
  const std::int64_t rows = part.numel / count;
  if (part.dtype == DType::f64) return apply_rows(channels, first, count, rows, part.as<double>());
  if (part.dtype == DType::f32) return apply_rows(channels, first, count, rows, part.as<float>());
  const Scratch<float> wide(part.numel);
  gemm::widen({part.data, part.dtype}, wide.data(), part.numel);
  apply_rows(channels, first, count, rows, wide.data());
  gemm::narrow(wide.data(), part.data, part.dtype, part.numel);
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(run_prepare_after);
HWY_EXPORT(run_norm_after);

namespace kernels {

After::After(const Epilogue& epilogue, DType stored, std::int64_t channels)
    : norm_(epilogue.norm.wanted()),
      function_(left_by_tiles(epilogue, stored)),
      slope_(epilogue.slope),
      room_(norm_ ? 3 * channels : 0) {
  if (norm_)
    channels_ = HWY_DYNAMIC_DISPATCH(run_prepare_after)(epilogue.norm, stored, channels, room_.data());
}

void After::apply(View part, std::int64_t first, std::int64_t count) const {
  if (part.numel == 0) return;
  if (norm_) HWY_DYNAMIC_DISPATCH(run_norm_after)(channels_, part, first, count);
  if (function_) unary(*function_, slope_, part, part);
}

}  // namespace kernels
}  // namespace isobit::cpu
#endif
