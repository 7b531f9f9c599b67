// Chains of multiply-adds in registers: how many a GPU does in a second when nothing else is in the way. No
// kernel of the seam: benchmarks/peak.cpp does the same on the CPU with its own vectors.
//
// A multiprocessor holds kChainBlocks blocks at once on every architecture, so that a grid of as many for
// each of them is one wave, and each scheduler has eight warps of kChains independent chains: more than the
// latency of any unit. Every thread does the same and writes one number, which tells that the work was done.
#pragma once
#include <cstdint>

namespace isobit::gpu {

inline constexpr int kChains = 8, kChainThreads = 256, kChainBlocks = 4;

/// A grid of chains: blocks of kChainThreads threads, each of which goes `passes` times round its loop and
/// writes out[thread of the grid].
struct ChainRun {
  std::int64_t blocks = 0;
  int passes = 0;
  std::int64_t threads() const { return blocks * kChainThreads; }
};

/// Operations of a run (a multiply-add is two), and what every thread of it writes.
struct ChainWork {
  double operations = 0, result = 0;
};

/// Multiply-adds of f32 (out: float*) or f64 (double*).
template <class T>
void run_multiply_adds(const ChainRun& run, T* out);
template <class T>
ChainWork multiply_adds_work(const ChainRun& run);

/// Products of the matrix unit with sums in f32 (cuda/mma.cuh).
enum class MatrixUnit { tf32, f16, bf16 };
void run_matrix_products(MatrixUnit unit, const ChainRun& run, float* out);
ChainWork matrix_products_work(MatrixUnit unit, const ChainRun& run);

}  // namespace isobit::gpu
