// What kernels ask of the processor, where its caches' sizes do not tell.
#pragma once

namespace isobit::cpu {

/// Whether lines of the second-level cache that lie some kilobytes apart are read as fast as neighbours: on
/// AMD's processors (measured: Zen 5). On Intel's a matrix whose rows were copied together was faster.
bool reads_lines_apart();

/// Whether vectors of 512 bits go through units of 256 bits, so that vectors of half the length take half as
/// long: on AMD's family 19h (Zen 4). Elsewhere (measured: Zen 5) a short vector takes as long as a long one.
bool halves_long_vectors();

}  // namespace isobit::cpu
