// The process's one pool of threads. A parallel loop is a number of tasks; threads take the next task from
// one counter until none is left, the caller among them. Which thread runs a task decides no bit of any
// result: a task owns its outputs and sums in an order of its own (docs/numerics.md).
//
// Workers start with the first loop that needs them, spin for some microseconds after a loop (not at all when
// there are more threads than processors) and then sleep. One thread, one task and a loop inside a loop run
// inline without synchronisation; so does a loop that another thread's loop finds the pool busy with. Nothing
// is pinned; threads of one loop that meet on one processor part (places.h).
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>

#include "core/numerics/fp_mode.h"

namespace isobit::cpu {

namespace detail {

/// Whether this thread runs a task of a parallel loop now.
bool in_parallel_loop() noexcept;
/// Runs call(context, 0 .. tasks-1) on the pool. tasks >= 2.
void run_on_pool(std::int64_t tasks, void (*call)(const void* context, std::int64_t task),
                 const void* context);

}  // namespace detail

/// 0 for a thread that calls parallel_for, 1 .. threads()-1 for the pool's own. Several callers may be 0 at a
/// time: use it to spread, not to own (Scratch is owned by its thread).
int worker_index() noexcept;

/// Threads that parallel_for uses (isobit/device.h, threads()).
int thread_count();

/// Calls fn(task) once for every task in [0, tasks), in no order, and returns when all are done. The first
/// exception that a task throws is thrown here once the tasks that had begun are over; tasks not begun by
/// then are dropped.
template <class Fn>
void parallel_for(std::int64_t tasks, const Fn& fn) {
  if (tasks <= 0) return;
  if (tasks == 1 || detail::in_parallel_loop() || thread_count() == 1) {
    const numerics::FpMode mode;
    for (std::int64_t task = 0; task < tasks; ++task) fn(task);
    return;
  }
  detail::run_on_pool(
      tasks, [](const void* context, std::int64_t task) { (*static_cast<const Fn*>(context))(task); },
      std::addressof(fn));
}

/// Calls fn(begin, end) on consecutive ranges that cover [0, total): each a multiple of `grain` elements long
/// (but the last), about four for every thread when there is enough. Ranges must not matter to the result.
template <class Fn>
void parallel_ranges(std::int64_t total, std::int64_t grain, const Fn& fn) {
  if (total <= 0) return;
  grain = std::max<std::int64_t>(grain, 1);
  const std::int64_t grains = total / grain + (total % grain != 0 ? 1 : 0);
  const std::int64_t wanted =
      grains == 1 ? 1 : std::min<std::int64_t>(grains, 4 * std::int64_t{thread_count()});
  const std::int64_t step = (grains / wanted + (grains % wanted != 0 ? 1 : 0)) * grain;
  const std::int64_t tasks = total / step + (total % step != 0 ? 1 : 0);
  parallel_for(tasks, [&](std::int64_t task) {
    const std::int64_t begin = task * step;
    fn(begin, begin + std::min(step, total - begin));
  });
}

}  // namespace isobit::cpu
