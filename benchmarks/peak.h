// The most that this machine's multiply-adds can do: what percentages of peak are of.
#pragma once

namespace isobit::bench {

/// f32 GFLOP/s (a fused multiply-add counts two) of `threads` threads at once, measured now: chains that fit
/// in registers, in the widest vectors there are, each thread by its processor time, the best of `rounds`
/// of some ten milliseconds.
double peak_gflops(int threads, int rounds);

}  // namespace isobit::bench
