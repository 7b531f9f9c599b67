// The elementary functions on registers: exp(Vec<float>) and so on, bit for bit what
// core/numerics/elementary.h gives for each lane. Included like simd-inl.h, which it brings along.
#if defined(ISOBIT_CPU_KERNELS_ELEMENTARY_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_ELEMENTARY_SIMD_INL_H_
#undef ISOBIT_CPU_KERNELS_ELEMENTARY_SIMD_INL_H_
#else
#define ISOBIT_CPU_KERNELS_ELEMENTARY_SIMD_INL_H_
#endif

#include "core/numerics/elementary.h"
#include "cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

namespace constants = numerics::constants;

template <typename F>
using LaneOf = typename F::Lane;

#include "core/numerics/elementary-inl.h"

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
