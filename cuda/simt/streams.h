// Streams and events. Work runs at the call; in lazy mode only when somebody waits for it, so that a
// dependency that nobody declared shows as wrong data.
#pragma once
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "cuda/simt/runtime_types.h"

namespace isobit::emulator {

struct Graph;

struct Stream {
  struct Need {
    std::shared_ptr<Stream> stream;
    std::uint64_t count;  // so many of its tasks must have run
  };
  struct Task {
    std::function<void()> run;
    std::vector<Need> needs;
  };
  unsigned flags = cudaStreamDefault;
  std::deque<Task> tasks;
  std::uint64_t queued = 0, finished = 0;
  std::vector<Need> next_needs;    // of the next task: events that the stream was told to wait for
  std::shared_ptr<Graph> capture;  // where tasks go instead, while there is one (graphs.h)
};

struct Event {
  unsigned flags = cudaEventDefault;
  std::shared_ptr<Stream> stream;  // null: never recorded
  std::uint64_t count = 0;
  std::shared_ptr<std::chrono::steady_clock::time_point> time;
};

/// The stream behind a handle, null for one that does not exist; the null handle is the legacy default
/// stream.
std::shared_ptr<Stream> find_stream(cudaStream_t handle);
/// Runs the task now, or queues it in lazy mode, or captures it. Returns the sticky error where there is one.
cudaError_t enqueue(const std::shared_ptr<Stream>& stream, std::function<void()> task);
/// Runs tasks of the stream, and what they need, until `count` have run.
void run_until(const std::shared_ptr<Stream>& stream, std::uint64_t count);
/// Runs everything that is queued.
void run_all();
/// The streams there are.
std::vector<std::shared_ptr<Stream>> all_streams();

}  // namespace isobit::emulator
