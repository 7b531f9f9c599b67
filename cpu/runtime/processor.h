// What kernels ask of the processor, where its caches' sizes do not tell.
#pragma once

namespace isobit::cpu {

/// Whether lines of the second-level cache that lie some kilobytes apart are read as fast as neighbours: on
/// AMD's processors (measured: Zen 5). On Intel's a matrix whose rows were copied together was faster.
bool reads_lines_apart();

}  // namespace isobit::cpu
