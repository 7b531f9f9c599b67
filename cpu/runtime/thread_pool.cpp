// How a loop is handed to the workers: one atomic word holds {epoch, open, joined}. The caller writes the
// loop's fields while the word is closed with nobody joined, then opens it under a new epoch. A worker joins
// by counting itself in with one compare-exchange on the open word (so it can never enter a loop that is
// over), takes tasks, and counts itself out. The caller closes the word when the counter is exhausted and
// waits for those who joined, not for those who slept through it.
#include "cpu/runtime/thread_pool.h"

#include <isobit/device.h>
#include <isobit/error.h>
#include <sched.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "cpu/runtime/places.h"

namespace isobit::cpu {
namespace {

constexpr int kMaxThreads = 1024;
constexpr std::chrono::microseconds kSpin{20};

constexpr std::uint64_t kJoined = 0x7fffffff;
constexpr std::uint64_t kOpen = 0x80000000;
constexpr std::uint64_t epoch_of(std::uint64_t word) {
  return word >> 32;
}

thread_local int this_worker = 0;
thread_local bool this_thread_in_loop = false;

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

int available_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::clamp(CPU_COUNT(&set), 1, kMaxThreads);
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMaxThreads);
}

int default_threads() {
  const char* text = std::getenv("ISOBIT_THREADS");
  if (text == nullptr || *text == '\0') return available_processors();
  int count = 0;
  const char* end = text + std::strlen(text);
  const auto parsed = std::from_chars(text, end, count);
  if (parsed.ec != std::errc() || parsed.ptr != end || count < 1 || count > kMaxThreads)
    fail("ISOBIT_THREADS", "'{}' is not a number of threads, expected 1 to {}", text, kMaxThreads);
  return count;
}

class ThreadPool {
 public:
  // Never destroyed: workers may sleep through the end of the process, and loops run in static destructors.
  static ThreadPool& instance() {
    static ThreadPool* pool = new ThreadPool;
    return *pool;
  }

  void run(std::int64_t tasks, void (*call)(const void*, std::int64_t), const void* context) {
    const numerics::FpMode mode;
    std::unique_lock busy(loop_mutex_, std::try_to_lock);
    if (!busy.owns_lock() || !start_workers()) {
      for (std::int64_t task = 0; task < tasks; ++task) call(context, task);
      return;
    }
    tasks_ = tasks;
    call_ = call;
    context_ = context;
    error_ = nullptr;
    failed_.store(false, std::memory_order_relaxed);
    next_.store(0, std::memory_order_relaxed);
    const std::uint64_t epoch = (epoch_of(word_.load(std::memory_order_relaxed)) + 1) & 0xffffffff;
    word_.store(epoch << 32 |
                kOpen);  // sequentially consistent, like the sleepers' count: no wake-up is lost
    wake(std::min<std::int64_t>(tasks - 1, static_cast<std::int64_t>(workers_.size())));

    this_thread_in_loop = true;
    if (enough_processors_) places_.take(epoch + 1);  // 0 is nobody's loop
    take_tasks();
    this_thread_in_loop = false;

    word_.fetch_and(~kOpen);
    wait_for_joined();
    const std::exception_ptr error = std::move(error_);
    error_ = nullptr;
    busy.unlock();
    if (error) std::rethrow_exception(error);
  }

  void set_count(int count) {
    const std::lock_guard busy(loop_mutex_);
    if (count == count_.load(std::memory_order_relaxed)) return;
    stop_workers();
    count_.store(count, std::memory_order_relaxed);
  }

  // The count, 0 before anybody asked for it.
  static std::atomic<int> count_;

 private:
  // With loop_mutex_ held. False when no worker could be had: the loop then runs inline.
  bool start_workers() {
    const int wanted = count_.load(std::memory_order_relaxed) - 1;
    if (static_cast<int>(workers_.size()) < wanted && !short_of_threads_) {
      enough_processors_ = wanted + 1 <= available_processors();
      try {
        for (int i = static_cast<int>(workers_.size()) + 1; i <= wanted; ++i)
          workers_.emplace_back([this, i] { work(i); });
      } catch (const std::system_error&) {
        short_of_threads_ = true;  // the system gives no more: go on with those there are
      }
    }
    return !workers_.empty();
  }

  void stop_workers() {
    {
      const std::lock_guard lock(sleep_mutex_);
      stop_.store(true);
    }
    wake_up_.notify_all();
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
    stop_.store(false);
    short_of_threads_ = false;
  }

  void work(int index) {
    this_worker = index;
    this_thread_in_loop = true;
    const numerics::FpMode mode;
    std::uint64_t seen = 0;  // no loop has epoch 0 but after 2^32 of them, when a worker may miss one
    while (!stop_.load(std::memory_order_relaxed)) {
      std::uint64_t word = word_.load(std::memory_order_acquire);
      if (!is_new(word, seen)) {
        if (!spin_for_loop(seen)) sleep_for_loop(seen);
        continue;
      }
      if (!word_.compare_exchange_weak(word, word + 1, std::memory_order_acq_rel)) continue;
      seen = epoch_of(word);
      if (enough_processors_) places_.take(seen + 1);
      take_tasks();
      const std::uint64_t left = word_.fetch_sub(1) - 1;
      if ((left & (kOpen | kJoined)) == 0 && caller_sleeps_.load()) {
        const std::lock_guard lock(sleep_mutex_);
        all_left_.notify_one();
      }
    }
  }

  static bool is_new(std::uint64_t word, std::uint64_t seen) {
    return (word & kOpen) != 0 && epoch_of(word) != seen;
  }

  void take_tasks() {
    for (;;) {
      const std::int64_t task = next_.fetch_add(1, std::memory_order_relaxed);
      if (task >= tasks_) return;
      if (failed_.load(std::memory_order_relaxed)) return;
      try {
        call_(context_, task);
      } catch (...) {
        if (!failed_.exchange(true)) error_ = std::current_exception();
      }
    }
  }

  template <class Done>
  bool spin_until(const Done& done) const {
    if (!enough_processors_) return done();
    const auto deadline = std::chrono::steady_clock::now() + kSpin;
    do {
      for (int i = 0; i < 32; ++i) {
        if (done()) return true;
        pause();
      }
    } while (std::chrono::steady_clock::now() < deadline);
    return false;
  }

  bool spin_for_loop(std::uint64_t seen) const {
    return spin_until([&] {
      return is_new(word_.load(std::memory_order_relaxed), seen) || stop_.load(std::memory_order_relaxed);
    });
  }

  void sleep_for_loop(std::uint64_t seen) {
    std::unique_lock lock(sleep_mutex_);
    sleepers_.fetch_add(1);
    wake_up_.wait(lock, [&] { return is_new(word_.load(), seen) || stop_.load(); });
    sleepers_.fetch_sub(1);
  }

  void wake(std::int64_t wanted) {
    const std::int64_t asleep = std::min<std::int64_t>(wanted, sleepers_.load());
    if (asleep == 0) return;
    { const std::lock_guard lock(sleep_mutex_); }
    for (std::int64_t i = 0; i < asleep; ++i) wake_up_.notify_one();
  }

  void wait_for_joined() {
    const auto all_gone = [&] { return (word_.load(std::memory_order_acquire) & kJoined) == 0; };
    if (spin_until(all_gone)) return;
    std::unique_lock lock(sleep_mutex_);
    caller_sleeps_.store(true);
    all_left_.wait(lock, [&] { return (word_.load() & kJoined) == 0; });
    caller_sleeps_.store(false);
  }

  // The loop of the moment: written with the word closed, read by those who joined.
  std::int64_t tasks_ = 0;
  void (*call_)(const void*, std::int64_t) = nullptr;
  const void* context_ = nullptr;
  std::exception_ptr error_;

  alignas(64) std::atomic<std::uint64_t> word_{0};
  alignas(64) std::atomic<std::int64_t> next_{0};
  alignas(64) std::atomic<bool> failed_{false};
  std::atomic<bool> stop_{false};
  std::atomic<bool> caller_sleeps_{false};
  std::atomic<int> sleepers_{0};
  Places places_;
  bool enough_processors_ = false;  // for every thread; written before the workers that read it start
  bool short_of_threads_ = false;
  std::mutex loop_mutex_;   // one loop at a time
  std::mutex sleep_mutex_;  // of both conditions
  std::condition_variable wake_up_, all_left_;
  std::vector<std::thread> workers_;
};

std::atomic<int> ThreadPool::count_{0};

}  // namespace

namespace detail {

bool in_parallel_loop() noexcept {
  return this_thread_in_loop;
}

void run_on_pool(std::int64_t tasks, void (*call)(const void*, std::int64_t), const void* context) {
  ThreadPool::instance().run(tasks, call, context);
}

}  // namespace detail

int worker_index() noexcept {
  return this_worker;
}

int thread_count() {
  const int count = ThreadPool::count_.load(std::memory_order_relaxed);
  if (count != 0) [[likely]]
    return count;
  int none = 0;
  const int wanted = default_threads();
  return ThreadPool::count_.compare_exchange_strong(none, wanted) ? wanted : none;
}

}  // namespace isobit::cpu

namespace isobit {

void set_threads(int count) {
  if (count < 1 || count > cpu::kMaxThreads)
    fail("set_threads", "got {} threads, expected 1 to {}", count, cpu::kMaxThreads);
  if (cpu::detail::in_parallel_loop()) fail("set_threads", "called from inside a parallel loop");
  cpu::ThreadPool::instance().set_count(count);
}

int threads() {
  return cpu::thread_count();
}

}  // namespace isobit
