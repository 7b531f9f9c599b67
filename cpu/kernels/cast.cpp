// cast: any element type to any. What a register conversion or a compiler's vector loop does exactly goes
// that way (halves through f32; integers to floats; u8 images); the rest is core/numerics/casts.h element by
// element. A task owns a range of elements.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/cast.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/tiles-inl.h"
#include "core/typed.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

template <class From, class To>
void plain(const From* in, To* out, std::int64_t n) {
  if constexpr (std::is_same_v<From, bool>) {  // foreign memory may hold other bytes than 0 and 1
    const auto* byte = reinterpret_cast<const std::uint8_t*>(in);
    for (std::int64_t i = 0; i < n; ++i) out[i] = numerics::cast<To>(byte[i] != 0);
    return;
  }
  for (std::int64_t i = 0; i < n; ++i) out[i] = numerics::cast<To>(in[i]);
}

/// To f32 first: exact for u8 and for halves, so the one rounding is the last.
template <class From, class To>
void through_f32(const From* in, To* out, std::int64_t n) {
  HWY_ALIGN float wide[kTile];
  for (std::int64_t i = 0; i < n; i += kTile) {
    const std::int64_t count = std::min(kTile, n - i);
    if constexpr (numerics::is_half<From>) {
      convert_tile(in + i, wide, count);
    } else {
      plain(in + i, wide, count);
    }
    if constexpr (numerics::is_half<To>) {
      convert_tile(static_cast<const float*>(wide), out + i, count);
    } else {
      plain(static_cast<const float*>(wide), out + i, count);
    }
  }
}

template <class From, class To>
void convert(const From* in, To* out, std::int64_t n) {
  for_ranges(n, sizeof(From) + sizeof(To), [&](std::int64_t begin, std::int64_t end) {
    const From* from = in + begin;
    To* to = out + begin;
    const std::int64_t count = end - begin;
    constexpr bool kHalves = numerics::is_half<From> || numerics::is_half<To>;
    if constexpr (std::is_same_v<From, To> && !std::is_same_v<From, bool>) {
      std::copy_n(from, count, to);
    } else if constexpr ((numerics::is_half<From> && std::is_same_v<To, float>) ||
                         (numerics::is_half<To> && std::is_same_v<From, float>)) {
      convert_tile(from, to, count);
    } else if constexpr (kHalves && (numerics::is_half<From> || sizeof(From) == 1)) {
      through_f32(from, to, count);
    } else {
      plain(from, to, count);
    }
  });
}

}  // namespace

void run_cast(ConstView in, View out) {
  with_dtype(in.dtype, [&](auto from_type) {
    with_dtype(out.dtype, [&](auto to_type) {
      using From = decltype(from_type);
      using To = decltype(to_type);
      convert(in.as<From>(), out.as<To>(), out.numel);
    });
  });
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(run_cast);

namespace kernels {
void cast(ConstView in, View out) {
  HWY_DYNAMIC_DISPATCH(run_cast)(in, out);
}
}  // namespace kernels
}  // namespace isobit::cpu
#endif
