// Convolutions with one to twelve columns (conv_pass.h): few filters forward, few input channels in
// backward_input. A register tile whose lanes are columns would leave most of them idle; here the lanes are
// neighbouring positions of the output.
//
// Passes that read the same source, the stride phases of a backward_input, run together: the source is
// brought into the order of the lanes once for all of them.
#pragma once
#include <array>
#include <span>

#include "cpu/kernels/conv_pass.h"

namespace isobit::cpu::gemm {

/// What one of several passes that share the rest of their description has of its own. None lacks taps.
using PassAxes = std::array<PassAxis, 3>;

constexpr std::int64_t kMostSpacePhases = 64;
constexpr std::int64_t kMostSpaceColumns = 12;

/// Null where the lanes are worth being positions. Looks at extents only; a choice between fast algorithms.
const char* refuse_over_space(const Pass& pass, std::span<const PassAxes> phases);
/// How many of the last columns, none to twelve, are worth being left to run_over_space: those that would be
/// few in a vector of their own.
std::int64_t columns_over_space(const Pass& pass, std::span<const PassAxes> phases);
/// T is the type computed in. Of `pass`, `axis` is not read.
template <class T>
void run_over_space(const Pass& pass, std::span<const PassAxes> phases);

}  // namespace isobit::cpu::gemm
