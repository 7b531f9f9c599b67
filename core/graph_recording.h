// The host's side of a step that is being recorded as a graph (isobit/nn_graphed.h). A replay runs none of
// the host's code, so what that code would change from one step to the next is told here while it runs the
// one time: counters that advance, numbers of launches that follow from them, tensors that are written in
// place.
#pragma once
#include <isobit/random.h>
#include <isobit/tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/backend.h"

namespace isobit {

struct Storage;

class GraphRecording {
 public:
  explicit GraphRecording(Device device);
  /// Of this thread; null outside of a recording.
  static GraphRecording* current() noexcept { return current_; }

  /// `check` throws Error when a replay would not be what the step is now; all checks run before any advance.
  void before_replay_check(std::function<void()> check) { checks_.push_back(std::move(check)); }
  /// What the host does in a step; in the order of recording.
  void before_replay(std::function<void()> advance) { advances_.push_back(std::move(advance)); }
  /// A key that `next` gives anew before each replay. Kernels that draw find it by its value (live_key).
  void add_key(RandomKey now, std::function<RandomKey()> next);
  /// Where the key's value of each replay will stand. Throws Error for one that was not added: a replay
  /// would draw the same numbers again.
  const RandomKey* live_key(const RandomKey& key, const char* op) const;

  /// Memory of before the recording that the step reads or writes: it is kept for as long as the graph.
  void touch(const Tensor& t, bool written);
  /// The step gives the leaf a gradient, or takes it away.
  void touch_gradient(const Tensor& leaf);
  /// True for a tensor whose values the step computes: it makes it, or has written to it.
  bool computes(const Tensor& t) const;
  /// What memory that is allocated now is marked with (Storage::recording).
  std::uint64_t number_of(Device device) const { return device == device_ ? number_ : 0; }

  /// At the end of the recording. Throws Error when a replay could not stand for a step: it left a gradient,
  /// which a replay would not hand to its tensor, or gave up a tensor that it had read, which a replay would
  /// read again in its old state.
  void finish();
  /// All checks, that of what was given up since among them; then all that advances, then the counts of
  /// writes.
  void prepare_replay();

  /// Makes it this thread's, as long as it lives, with what records on the device.
  class Scope {
   public:
    Scope(GraphRecording& recording, WorkRecorder& work) {
      recording.work_ = &work;
      current_ = &recording;
    }
    ~Scope() { current_ = nullptr; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
  };
  /// While one lives, this thread's work is done instead of recorded: to look at tensors of before.
  class Pause {
   public:
    explicit Pause(GraphRecording& recording) : recording_(recording) {
      current_ = nullptr;
      recording_.work_->pause();
    }
    ~Pause() {
      recording_.work_->resume();
      current_ = &recording_;
    }
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

   private:
    GraphRecording& recording_;
  };

 private:
  struct Kept {
    Tensor tensor;  // a handle of its own on the storage
    bool written = false;
  };
  bool makes(const Tensor& t) const;
  void check_kept() const;

  static inline constinit thread_local GraphRecording* current_ = nullptr;
  Device device_;
  std::uint64_t number_;
  WorkRecorder* work_ = nullptr;
  std::vector<std::function<void()>> checks_, advances_;
  std::vector<std::pair<RandomKey, std::shared_ptr<RandomKey>>> keys_;
  std::unordered_map<const Storage*, Kept> kept_;
  std::vector<Tensor> leaves_;  // whose gradients the step touched
};

}  // namespace isobit
