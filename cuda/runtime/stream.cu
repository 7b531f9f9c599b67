#include "cuda/runtime/stream.cuh"

#include "cuda/runtime/context.cuh"

namespace isobit::gpu {
namespace {

// The choices of this thread; a thread uses few devices, so a short array does.
struct Chosen {
  int device = -1;
  StreamChoice choice;
};
constexpr int kChosen = 64;
thread_local Chosen chosen[kChosen];
thread_local int chosen_count = 0;

StreamChoice* find_choice(int device) {
  for (int i = 0; i < chosen_count; ++i)
    if (chosen[i].device == device) return &chosen[i].choice;
  return nullptr;
}

}  // namespace

cudaStream_t current_stream() {
  Context& here = current_context();
  if (chosen_count != 0) [[unlikely]]
    if (const StreamChoice* choice = find_choice(here.device()); choice != nullptr && !choice->own)
      return static_cast<cudaStream_t>(choice->stream);
  return here.stream();
}

StreamChoice choose_stream(StreamChoice choice) {
  Context& here = current_context();
  const cudaStream_t before = current_stream();
  StreamChoice* slot = find_choice(here.device());
  if (slot == nullptr) {
    if (chosen_count == kChosen) check(cudaErrorInvalidDevice, "choosing a stream");
    chosen[chosen_count].device = here.device();
    slot = &chosen[chosen_count++].choice;
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
