#include "cuda/runtime/stream.cuh"

#include <vector>

#include "cuda/runtime/context.cuh"
#include "cuda/runtime/graph.cuh"

namespace isobit::gpu {
namespace {

struct Chosen {
  int device = -1;
  StreamChoice choice;
};
// The choices of this thread. On the heap: a library that is loaded at run time gets little thread-local
// memory.
thread_local std::vector<Chosen> chosen;
thread_local bool any_chosen = false;  // read at every launch

StreamChoice* find_choice(int device) {
  for (Chosen& c : chosen)
    if (c.device == device) return &c.choice;
  return nullptr;
}

}  // namespace

cudaStream_t current_stream() {
  if (const Recorder* r = Recorder::here()) [[unlikely]]
    return r->stream();
  return unrecorded_stream();
}

cudaStream_t unrecorded_stream() {
  Context& here = current_context();
  if (any_chosen) [[unlikely]]
    if (const StreamChoice* choice = find_choice(here.device()); choice != nullptr && !choice->own)
      return static_cast<cudaStream_t>(choice->stream);
  return here.stream();
}

StreamChoice choose_stream(StreamChoice choice) {
  Recorder::refuse("another stream");
  Context& here = current_context();
  const cudaStream_t before = current_stream();
  StreamChoice* slot = find_choice(here.device());
  if (slot == nullptr) {
    slot = &chosen.emplace_back(Chosen{here.device(), {}}).choice;
    any_chosen = true;
  }
  const StreamChoice outer = *slot;
  const cudaStream_t after = choice.own ? here.stream() : static_cast<cudaStream_t>(choice.stream);
  if (after != before) {
    Event event;
    event.record(before);
    event.make_wait(after);
  }
  *slot = choice;
  return outer;
}

Stream::Stream(bool with_default) {
  check(cudaStreamCreateWithFlags(&stream_, with_default ? cudaStreamDefault : cudaStreamNonBlocking),
        "cudaStreamCreateWithFlags");
}
Stream::~Stream() {
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
}

Event::Event(bool timed) {
  check(cudaEventCreateWithFlags(&event_, timed ? cudaEventDefault : cudaEventDisableTiming),
        "cudaEventCreateWithFlags");
}
Event::~Event() {
  if (event_ != nullptr) cudaEventDestroy(event_);
}
void Event::record(cudaStream_t stream) {
  check(cudaEventRecord(event_, stream), "cudaEventRecord");
}
void Event::make_wait(cudaStream_t stream) const {
  check(cudaStreamWaitEvent(stream, event_, 0), "cudaStreamWaitEvent");
}
void Event::synchronize() const {
  check(cudaEventSynchronize(event_), "cudaEventSynchronize");
}
double Event::milliseconds_since(const Event& start) const {
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, start.event_, event_), "cudaEventElapsedTime");
  return milliseconds;
}

}  // namespace isobit::gpu
