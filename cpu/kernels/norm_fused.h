// norm_statistics and norm_apply in one.
#pragma once
#include "core/backend.h"

namespace isobit::cpu::kernels {

/// mean, variance and y of layer, group or instance norm, with the bits of norm_statistics and norm_apply.
/// False, and nothing is written, where one after the other serves better.
bool norm_fused(const NormGeometry& g, double eps, ConstView x, ConstView gamma, ConstView beta, View mean,
                View variance, View y);

}  // namespace isobit::cpu::kernels
