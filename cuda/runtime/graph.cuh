// Recording of a thread's work as a CUDA graph: the seam's record_work.
//
// The thread's work goes to a stream of the recording's own, which CUDA captures; other threads go on as
// ever. Memory that is allocated meanwhile belongs to the graph (GraphMemory), so that every run finds it at
// the same addresses; memory of before that is given back is given back at once, behind what was queued
// before. Host bytes that the work copies from are kept. Launches whose numbers change from run to run are
// given new ones before each (launch_live).
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "core/backend.h"
#include "cuda/runtime/stream.cuh"

namespace isobit::gpu {

/// The memory of one graph: blocks that are used again within a run as soon as they are given back. It lives
/// until the graph and the last tensor in it are gone.
class GraphMemory {
 public:
  explicit GraphMemory(int device) : device_(device) {}
  ~GraphMemory();
  GraphMemory(const GraphMemory&) = delete;
  GraphMemory& operator=(const GraphMemory&) = delete;
  /// Uninitialised; null for 0 bytes. Throws OutOfMemory.
  static void* allocate(const std::shared_ptr<GraphMemory>& memory, std::int64_t bytes);
  /// True when the block was of some graph's memory, to which it went back.
  static bool deallocate(void* data) noexcept;

 private:
  struct Block {
    void* data;
    std::int64_t bytes;
    bool used;
  };
  int device_;
  std::vector<Block> blocks_;
};

class Recorder final : public WorkRecorder {
 public:
  /// Of the device that is current. Throws Error where this thread records already, and where the CUDA
  /// runtime cannot.
  explicit Recorder(int device);
  ~Recorder() override;
  std::unique_ptr<WorkGraph> finish() override;
  void pause() override;
  void resume() override;

  /// Of this thread, null outside of a recording.
  static Recorder* current() noexcept;
  /// The same; throws Error when it records another device's work than that of the device that is current.
  static Recorder* here();
  /// Throws Error while this thread records.
  static void refuse(const char* what);

  cudaStream_t stream() const { return stream_.get(); }
  const std::shared_ptr<GraphMemory>& memory() const { return memory_; }
  /// A copy of host bytes that lives as long as the graph.
  const void* keep(const void* host, std::int64_t bytes);
  /// The launch that was recorded last.
  cudaGraphNode_t last_node() const;
  /// Before each run.
  void before_run(std::function<void(cudaGraphExec_t)> refresh) { refreshes_.push_back(std::move(refresh)); }

 private:
  void stop() noexcept;

  int device_;
  Stream stream_;
  bool capturing_ = false;
  std::shared_ptr<GraphMemory> memory_;
  std::vector<std::shared_ptr<void>> kept_;
  std::vector<std::function<void(cudaGraphExec_t)>> refreshes_;
};

/// Gives a launch of a graph, which names its kernel, other arguments.
void set_launch(cudaGraphExec_t graph, cudaGraphNode_t launch, const cudaKernelNodeParams& parameters);

/// Where the key of each run stands that a random op was called with; null outside of a recording. Throws
/// Error in a recording that does not know the key (core/graph_recording.h).
const RandomKey* live_key(const RandomKey& key, const char* op);

}  // namespace isobit::gpu
