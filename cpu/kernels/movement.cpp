// gather_rows: runs of bytes that move as they are, so nothing here depends on the instruction set. A task
// owns rows of the output.
#include <algorithm>
#include <cstring>

#include "cpu/kernels/kernels.h"
#include "cpu/runtime/thread_pool.h"

namespace isobit::cpu::kernels {
namespace {

constexpr std::int64_t kGrainBytes = 64 * 1024;

}  // namespace

void gather_rows(ConstView rows, ConstView index, std::int64_t row_size, View out) {
  const std::int64_t bytes = row_size * size_of(out.dtype);
  const auto* from = rows.as<unsigned char>();
  const auto* at = index.as<std::int64_t>();
  auto* to = out.as<unsigned char>();
  if (bytes == 0 || index.numel == 0) return;
  const auto run = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      std::memcpy(to + i * bytes, from + at[i] * bytes, static_cast<std::size_t>(bytes));
  };
  const std::int64_t grain = std::max<std::int64_t>(kGrainBytes / bytes, 1);
  if (index.numel <= 4 * grain) return run(0, index.numel);
  parallel_ranges(index.numel, grain, run);
}

}  // namespace isobit::cpu::kernels
