#include "cuda/simt/worker_pool.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "cuda/simt/emulator.h"
#include "cuda/simt/runner.h"
#include "cuda/simt/tracer_hooks.h"

namespace isobit::emulator {
namespace {

// Each has a thousand stacks with guard pages, and the kernel limits how many mappings a process has.
constexpr int kMaxWorkers = 24;
// Fewer threads of a kernel than this are not worth waking anybody.
constexpr std::uint64_t kWorthwhile = 4096;

class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
  }
  ~Pool() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (std::thread& t : workers_) t.join();
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  void run(Launch& launch, int helpers) {
    {
      const std::lock_guard lock(mutex_);
      launch_ = &launch;
      wanted_ = std::min(helpers, static_cast<int>(workers_.size()));
      busy_ = wanted_;
    }
    for (int i = 0; i < wanted_; ++i) wake_.notify_one();
    mine_.run(launch);
    std::unique_lock lock(mutex_);
    busy_ -= wanted_;  // whoever has not begun need not
    wanted_ = 0;
    done_.wait(lock, [&] { return busy_ == 0; });
    launch_ = nullptr;
  }
  void run_here(Launch& launch) { mine_.run(launch); }
  int threads() const { return static_cast<int>(workers_.size()) + 1; }

 private:
  void work() {
    Runner runner;
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return stop_ || wanted_ > 0; });
      if (stop_) return;
      --wanted_;
      Launch& launch = *launch_;
      lock.unlock();
      runner.run(launch);
      lock.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }

  Runner mine_;  // of whoever launches: one at a time
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  Launch* launch_ = nullptr;
  int wanted_ = 0, busy_ = 0;
  bool stop_ = false;
  std::vector<std::thread> workers_;
};

Pool& pool() {
  static Pool* current = nullptr;
  static pid_t process = 0;
  const int set = settings().threads;
  const int threads =
      std::clamp(set > 0 ? set : static_cast<int>(std::thread::hardware_concurrency()), 1, kMaxWorkers);
  if (process != getpid())
    current = nullptr;  // after a fork the other threads are gone, and the pool with them
  process = getpid();
  if (current != nullptr && current->threads() != threads) {
    delete current;
    current = nullptr;
  }
  if (current == nullptr) current = new Pool(threads);
  return *current;
}

}  // namespace

void run_on_workers(Launch& launch) {
  const std::uint64_t blocks = std::uint64_t{launch.grid.x} * launch.grid.y * launch.grid.z;
  const std::uint64_t threads = blocks * launch.block.x * launch.block.y * launch.block.z;
  Pool& p = pool();
  if (threads < kWorthwhile || blocks == 1 || tracer != nullptr) return p.run_here(launch);
  p.run(launch, static_cast<int>(std::min<std::uint64_t>(blocks - 1, kMaxWorkers)));
}

}  // namespace isobit::emulator
