// Streams and events, owned.
#pragma once
#include "core/backend.h"
#include "cuda/runtime/check.cuh"

namespace isobit::gpu {

/// The stream that kernels and copies of this thread go to, on the device that is current: the device's own,
/// unless the user has put another in its place (isobit/gpu.h) or a graph is recorded.
cudaStream_t current_stream();
/// The same, of work that is done also while this thread records a graph.
cudaStream_t unrecorded_stream();

/// Puts another in its place, for this thread and the device that is current: Backend::choose_stream.
StreamChoice choose_stream(StreamChoice choice);

/// A stream of the device that is current.
class Stream {
 public:
  /// `with_default`: ordered with CUDA's default stream, so that kernels of users who know no streams are
  /// too.
  explicit Stream(bool with_default);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

/// A point in a stream's work.
class Event {
 public:
  explicit Event(bool timed = false);
  ~Event();
  Event(Event&& other) noexcept : event_(other.event_) { other.event_ = nullptr; }
  Event& operator=(Event&&) = delete;
  void record(cudaStream_t stream);
  /// Work given to `stream` from here on waits for the recorded point; the host does not.
  void make_wait(cudaStream_t stream) const;
  /// The host waits.
  void synchronize() const;
  /// Milliseconds since `start`; both timed, recorded and passed.
  double milliseconds_since(const Event& start) const;

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace isobit::gpu
