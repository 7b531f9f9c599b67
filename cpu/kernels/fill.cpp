// fill, arange, one_hot: what is written from a few numbers. Plain loops that compilers vectorise; a task
// owns a range of elements or rows.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/fill.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/tiles-inl.h"
#include "core/typed.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

template <class U>
void fill_elements(U* out, std::int64_t n, U value) {
  for_ranges(n, sizeof(U),
             [&](std::int64_t begin, std::int64_t end) { std::fill(out + begin, out + end, value); });
}

}  // namespace

void run_fill(View out, std::uint64_t bits) {
  switch (size_of(out.dtype)) {
    case 1:
      return fill_elements(out.as<std::uint8_t>(), out.numel, static_cast<std::uint8_t>(bits));
    case 2:
      return fill_elements(out.as<std::uint16_t>(), out.numel, static_cast<std::uint16_t>(bits));
    case 4:
      return fill_elements(out.as<std::uint32_t>(), out.numel, static_cast<std::uint32_t>(bits));
    default:
      return fill_elements(out.as<std::uint64_t>(), out.numel, bits);
  }
}

void run_arange(double start, double step, View out) {
  with_dtype(out.dtype, [&](auto type) {
    using R = decltype(type);
    R* to = out.as<R>();
    for_ranges(out.numel, 8, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i)
        to[i] = numerics::cast<R>(start + static_cast<double>(i) * step);
    });
  });
}

template <class R>
void one_hot_rows(const std::int64_t* label, std::int64_t rows, std::int64_t classes, R on, R off, R* out) {
  for_rows(rows, classes * static_cast<std::int64_t>(sizeof(R)), [&](std::int64_t begin, std::int64_t end) {
    std::fill(out + begin * classes, out + end * classes, off);
    for (std::int64_t i = begin; i < end; ++i)
      if (label[i] >= 0 && label[i] < classes) out[i * classes + label[i]] = on;
  });
}

void run_one_hot(ConstView label, std::int64_t classes, double on, double off, View out) {
  with_dtype(out.dtype, [&](auto type) {
    using R = decltype(type);
    one_hot_rows(label.as<std::int64_t>(), label.numel, classes, numerics::cast<R>(on),
                 numerics::cast<R>(off), out.as<R>());
  });
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(run_fill);
HWY_EXPORT(run_arange);
HWY_EXPORT(run_one_hot);

namespace kernels {
void fill(View out, Scalar value) {
  std::uint64_t bits = 0;
  with_dtype(out.dtype, [&](auto type) {
    using R = decltype(type);
    const R v = value.is_integer ? numerics::cast<R>(value.integer) : numerics::cast<R>(value.real);
    std::memcpy(&bits, &v, sizeof(R));  // the low bytes: every supported processor is little-endian
  });
  HWY_DYNAMIC_DISPATCH(run_fill)(out, bits);
}
void arange(double start, double step, View out) {
  HWY_DYNAMIC_DISPATCH(run_arange)(start, step, out);
}
void one_hot(ConstView label, std::int64_t classes, double on, double off, View out) {
  HWY_DYNAMIC_DISPATCH(run_one_hot)(label, classes, on, off, out);
}
}  // namespace kernels
}  // namespace isobit::cpu
#endif
