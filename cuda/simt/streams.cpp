#include "cuda/simt/streams.h"

#include <algorithm>
#include <unordered_map>

#include "cuda/simt/device_state.h"
#include "cuda/simt/graphs.h"
#include "cuda/simt/memory.h"
#include "cuda/simt/runtime_api.h"

namespace isobit::emulator {
namespace {

// Kept for ever, as DeviceMemory: objects with static lifetime still use them.
struct Handles {
  std::shared_ptr<Stream> legacy = std::make_shared<Stream>();
  std::vector<std::shared_ptr<Stream>>
      streams;  // in the order of their making; the destroyed with work to do too
  std::unordered_map<Stream*, std::shared_ptr<Stream>> valid;
  std::unordered_map<Event*, std::unique_ptr<Event>> events;
};

Handles& handles() {
  static Handles& h = *new Handles;
  return h;
}

Event* find_event(cudaEvent_t event) {
  return handles().events.count(event) != 0 ? event : nullptr;
}

// The legacy stream and the blocking streams wait for each other.
void add_legacy_needs(const std::shared_ptr<Stream>& stream, std::vector<Stream::Need>& needs) {
  Handles& h = handles();
  if (stream == h.legacy) {
    for (const auto& other : h.streams) {
      if (other->flags == cudaStreamDefault) needs.push_back({other, other->queued});
    }
  } else if (stream->flags == cudaStreamDefault) {
    needs.push_back({h.legacy, h.legacy->queued});
  }
}

}  // namespace

std::shared_ptr<Stream> find_stream(cudaStream_t handle) {
  Handles& h = handles();
  if (handle == nullptr) return h.legacy;
  const auto it = h.valid.find(handle);
  return it == h.valid.end() ? nullptr : it->second;
}

cudaError_t enqueue(const std::shared_ptr<Stream>& stream, std::function<void()> task) {
  if (sticky_error() != cudaSuccess) return sticky_error();
  if (stream->capture != nullptr) {
    GraphNode node;
    node.run = [run = std::move(task)](const void*) { run(); };
    stream->capture->add(std::move(node));
    return cudaSuccess;
  }
  Stream::Task made{std::move(task), std::exchange(stream->next_needs, {})};
  add_legacy_needs(stream, made.needs);
  stream->tasks.push_back(std::move(made));
  ++stream->queued;
  if (!settings().lazy) run_until(stream, stream->queued);
  return sticky_error();
}

void run_until(const std::shared_ptr<Stream>& stream, std::uint64_t count) {
  while (stream->finished < count) {
    Stream::Task task = std::move(stream->tasks.front());
    stream->tasks.pop_front();
    for (const Stream::Need& need : task.needs) run_until(need.stream, need.count);
    if (sticky_error() == cudaSuccess) task.run();
    ++stream->finished;
  }
}

void run_all() {
  // The youngest stream first: whoever relies on the order in which streams were made is found out.
  Handles& h = handles();
  const std::vector<std::shared_ptr<Stream>> all = h.streams;
  for (auto it = all.rbegin(); it != all.rend(); ++it) run_until(*it, (*it)->queued);
  run_until(h.legacy, h.legacy->queued);
  std::erase_if(h.streams, [&](const auto& s) { return h.valid.count(s.get()) == 0; });
}

std::vector<std::shared_ptr<Stream>> all_streams() {
  std::vector<std::shared_ptr<Stream>> all = handles().streams;
  all.push_back(handles().legacy);
  return all;
}

void forget_streams() {
  Handles& h = handles();
  h.legacy = std::make_shared<Stream>();
  h.streams.clear();
  h.valid.clear();
  h.events.clear();
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  const std::lock_guard lock(device_mutex());
  if (stream == nullptr || flags > cudaStreamNonBlocking) return result(cudaErrorInvalidValue);
  auto made = std::make_shared<Stream>();
  made->flags = flags;
  *stream = made.get();
  handles().streams.push_back(made);
  handles().valid.emplace(made.get(), made);
  return result(cudaSuccess);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  return cudaStreamCreateWithFlags(stream, flags);
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  if (least != nullptr) *least = 0;
  if (greatest != nullptr) *greatest = 0;
  return result(cudaSuccess);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard lock(device_mutex());
  Handles& h = handles();
  const auto it = h.valid.find(stream);
  if (it == h.valid.end()) return result(cudaErrorInvalidResourceHandle);
  if (spoil_capture(*it->second)) return result(cudaErrorStreamCaptureUnsupported);
  const std::shared_ptr<Stream> held = it->second;
  h.valid.erase(it);
  if (held->tasks.empty()) std::erase(h.streams, held);
  return result(cudaSuccess);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const std::lock_guard lock(device_mutex());
  const auto s = find_stream(stream);
  if (s == nullptr) return result(cudaErrorInvalidResourceHandle);
  if (spoil_capture(*s)) return result(cudaErrorStreamCaptureUnsupported);
  std::vector<Stream::Need> needs;
  if (s == handles().legacy) add_legacy_needs(s, needs);
  for (const auto& need : needs) run_until(need.stream, need.count);
  run_until(s, s->queued);
  return result(cudaSuccess);
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  const std::lock_guard lock(device_mutex());
  const auto s = find_stream(stream);
  if (s == nullptr) return result(cudaErrorInvalidResourceHandle);
  if (spoil_capture(*s)) return result(cudaErrorStreamCaptureUnsupported);
  if (s->finished == s->queued) return result(cudaSuccess);
  run_until(s, s->finished + 1);  // who asks often enough sees it done
  return sticky_error() != cudaSuccess ? sticky_error() : cudaErrorNotReady;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const std::lock_guard lock(device_mutex());
  const auto s = find_stream(stream);
  const Event* const e = find_event(event);
  if (s == nullptr || e == nullptr) return result(cudaErrorInvalidResourceHandle);
  if (spoil_capture(*s)) return result(cudaErrorStreamCaptureUnsupported);
  if (e->stream == nullptr || e->stream == s) return result(cudaSuccess);
  s->next_needs.push_back({e->stream, e->count});
  return result(enqueue(s, [] {}));
}

cudaError_t cudaStreamGetFlags(cudaStream_t stream, unsigned* flags) {
  const std::lock_guard lock(device_mutex());
  const auto s = find_stream(stream);
  if (s == nullptr) return result(cudaErrorInvalidResourceHandle);
  *flags = s->flags;
  return result(cudaSuccess);
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  const std::lock_guard lock(device_mutex());
  const auto s = find_stream(stream);
  if (s == nullptr) return result(cudaErrorInvalidResourceHandle);
  if (spoil_capture(*s)) return result(cudaErrorStreamCaptureUnsupported);
  if (function == nullptr) return result(cudaErrorInvalidValue);
  return result(enqueue(s, [=] { function(data); }));
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  const std::lock_guard lock(device_mutex());
  if (event == nullptr) return result(cudaErrorInvalidValue);
  auto made = std::make_unique<Event>();
  made->flags = flags;
  *event = made.get();
  handles().events.emplace(*event, std::move(made));
  return result(cudaSuccess);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const std::lock_guard lock(device_mutex());
  return result(handles().events.erase(event) != 0 ? cudaSuccess : cudaErrorInvalidResourceHandle);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::lock_guard lock(device_mutex());
  const auto s = find_stream(stream);
  Event* const e = find_event(event);
  if (s == nullptr || e == nullptr) return result(cudaErrorInvalidResourceHandle);
  if (spoil_capture(*s)) return result(cudaErrorStreamCaptureUnsupported);
  auto time = std::make_shared<std::chrono::steady_clock::time_point>();
  const cudaError_t error = enqueue(s, [time] { *time = std::chrono::steady_clock::now(); });
  if (error != cudaSuccess) return result(error);
  e->stream = s;
  e->count = s->queued;
  e->time = time;
  return result(cudaSuccess);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const std::lock_guard lock(device_mutex());
  const Event* const e = find_event(event);
  if (e == nullptr) return result(cudaErrorInvalidResourceHandle);
  if (e->stream != nullptr) run_until(e->stream, e->count);
  return result(cudaSuccess);
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  const std::lock_guard lock(device_mutex());
  const Event* const e = find_event(event);
  if (e == nullptr) return result(cudaErrorInvalidResourceHandle);
  if (e->stream == nullptr || e->stream->finished >= e->count) return result(cudaSuccess);
  run_until(e->stream, e->stream->finished + 1);
  return sticky_error() != cudaSuccess ? sticky_error() : cudaErrorNotReady;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  const std::lock_guard lock(device_mutex());
  const Event* const a = find_event(begin);
  const Event* const b = find_event(end);
  if (a == nullptr || b == nullptr || a->stream == nullptr || b->stream == nullptr ||
      ((a->flags | b->flags) & cudaEventDisableTiming) != 0) {
    return result(cudaErrorInvalidResourceHandle);
  }
  if (a->stream->finished < a->count || b->stream->finished < b->count) return cudaErrorNotReady;
  *milliseconds = std::chrono::duration<float, std::milli>(*b->time - *a->time).count();
  return result(cudaSuccess);
}

}  // namespace isobit::emulator
