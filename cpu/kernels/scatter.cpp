// scatter_add_rows: a lane owns a column; a task owns a range of output rows and walks over the whole index,
// so that each element's chain runs in ascending position without any exchange between threads.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/scatter.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/tiles-inl.h"
#include "cpu/runtime/scratch.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

template <class S>
void scatter(const S* dy, const std::int64_t* index, std::int64_t count, std::int64_t rows,
             std::int64_t row_size, S* out) {
  using T = Compute<S>;
  if (rows == 0 || row_size == 0) return;
  const std::int64_t threads = thread_count();
  const bool parallel = (count + rows) * row_size > kParallelBytes / static_cast<std::int64_t>(sizeof(S));
  const std::int64_t tasks = parallel ? std::min(rows, threads) : 1;
  const std::int64_t step = (rows + tasks - 1) / tasks;
  parallel_for(tasks, [&](std::int64_t task) {
    const std::int64_t begin = std::min(task * step, rows), end = std::min(begin + step, rows);
    constexpr bool kWide = std::is_same_v<S, T>;
    Scratch<T> room(kWide ? 0 : (end - begin) * row_size);
    T* sums = room.data();
    if constexpr (kWide) sums = out + begin * row_size;
    std::fill_n(sums, (end - begin) * row_size, T{0});
    for (std::int64_t i = 0; i < count; ++i) {
      if (index[i] < begin || index[i] >= end) continue;
      T* to = sums + (index[i] - begin) * row_size;
      const S* from = dy + i * row_size;
      for_vectors<T>(row_size, [&](auto tail, std::int64_t j, std::int64_t lanes) HWY_ATTR {
        const Vec<T> sum =
            load_some<T, tail.value>(to + j, lanes) + load_some<T, tail.value>(from + j, lanes);
        store_some<tail.value>(sum, to + j, lanes);
      });
    }
    if constexpr (!kWide)
      convert_tile(static_cast<const T*>(sums), out + begin * row_size, (end - begin) * row_size);
  });
}

}  // namespace

void run_scatter_add_rows(ConstView dy, ConstView index, std::int64_t rows, std::int64_t row_size, View out) {
  with_floating(dy.dtype, [&](auto type) {
    using S = decltype(type);
    scatter(dy.as<S>(), index.as<std::int64_t>(), index.numel, rows, row_size, out.as<S>());
  });
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(run_scatter_add_rows);

namespace kernels {
void scatter_add_rows(ConstView dy, ConstView index, std::int64_t row_count, std::int64_t row_size,
                      View out) {
  HWY_DYNAMIC_DISPATCH(run_scatter_add_rows)(dy, index, row_count, row_size, out);
}
}  // namespace kernels
}  // namespace isobit::cpu
#endif
