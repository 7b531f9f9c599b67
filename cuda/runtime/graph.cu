#include "cuda/runtime/graph.cuh"

#include <isobit/error.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <unordered_map>

#include "core/graph_recording.h"
#include "cuda/runtime/context.cuh"
#include "cuda/runtime/guard.cuh"

#ifdef __CUDACC__
// Libraries that stand in for the CUDA runtime may lack graphs, and serve all else.
#pragma weak cudaStreamBeginCapture
#pragma weak cudaStreamEndCapture
#pragma weak cudaStreamGetCaptureInfo
#pragma weak cudaStreamGetCaptureInfo_v2
#pragma weak cudaGraphGetNodes
#pragma weak cudaGraphInstantiateWithFlags
#pragma weak cudaGraphLaunch
#pragma weak cudaGraphExecKernelNodeSetParams
#pragma weak cudaGraphExecDestroy
#pragma weak cudaGraphDestroy
#endif

namespace isobit::gpu {
namespace {

thread_local Recorder* recorder = nullptr;

// Blocks of graphs that are in use, by address.
struct BlockOwners {
  std::mutex mutex;
  std::unordered_map<void*, std::shared_ptr<GraphMemory>> owners;
  std::atomic<std::int64_t> count{0};  // asked at every deallocation, without the mutex
};
BlockOwners& used_blocks() {
  static auto& used = *new BlockOwners;  // tensors may outlive static objects
  return used;
}

bool can_capture() {
#ifdef __CUDACC__
  return cudaStreamBeginCapture != nullptr;
#else
  return true;
#endif
}

struct Destroy {
  void operator()(cudaGraph_t graph) const { cudaGraphDestroy(graph); }
  void operator()(cudaGraphExec_t executable) const { cudaGraphExecDestroy(executable); }
};
using Graph = std::unique_ptr<std::remove_pointer_t<cudaGraph_t>, Destroy>;
using Executable = std::unique_ptr<std::remove_pointer_t<cudaGraphExec_t>, Destroy>;

class CudaGraph final : public WorkGraph {
 public:
  CudaGraph(int device, Graph graph, std::shared_ptr<GraphMemory> memory,
            std::vector<std::shared_ptr<void>> kept,
            std::vector<std::function<void(cudaGraphExec_t)>> refreshes)
      : device_(device),
        memory_(std::move(memory)),
        kept_(std::move(kept)),
        refreshes_(std::move(refreshes)),
        graph_(std::move(graph)) {
    std::size_t count = 0;
    check(cudaGraphGetNodes(graph_.get(), nullptr, &count), "cudaGraphGetNodes");
    nodes_ = static_cast<std::int64_t>(count);
    cudaGraphExec_t executable = nullptr;
    check(cudaGraphInstantiateWithFlags(&executable, graph_.get(), 0), "cudaGraphInstantiate");
    executable_.reset(executable);
  }
  ~CudaGraph() override {
    try {
      const Guard guard(device_, nullptr);
      if (ran_) last_run_.synchronize();
    } catch (const Error&) {  // the device is lost, and the graph with it
    }
  }

  void run() override {
    const Guard guard(device_, "graph");
    Recorder::refuse("a graph");
    for (const auto& refresh : refreshes_) refresh(executable_.get());
    const cudaStream_t stream = current_stream();
    if (ran_) last_run_.make_wait(stream);  // runs share their memory
    remember_launch(device_, "graph");
    check(cudaGraphLaunch(executable_.get(), stream), "cudaGraphLaunch");
    last_run_.record(stream);
    ran_ = true;
    if (!sync_wanted()) return;
    check(cudaStreamSynchronize(stream), "a graph");
    forget_launches(device_);
  }
  std::int64_t nodes() const override { return nodes_; }

 private:
  int device_;
  std::shared_ptr<GraphMemory> memory_;
  std::vector<std::shared_ptr<void>> kept_;
  std::vector<std::function<void(cudaGraphExec_t)>> refreshes_;
  Graph graph_;  // names the launches of the executable
  Executable executable_;
  std::int64_t nodes_ = 0;
  Event last_run_;
  bool ran_ = false;
};

}  // namespace

void* GraphMemory::allocate(const std::shared_ptr<GraphMemory>& memory, std::int64_t bytes) {
  if (bytes == 0) return nullptr;
  Block* best = nullptr;
  BlockOwners& used = used_blocks();
  const std::lock_guard lock(used.mutex);
  for (Block& block : memory->blocks_)
    if (!block.used && block.bytes >= bytes && block.bytes <= 2 * bytes &&
        (best == nullptr || block.bytes < best->bytes))
      best = &block;
  if (best == nullptr) {
    Context& context = current_context();
    const cudaStream_t aside = context.copy_stream();
    void* const data = context.pool().obtain(bytes, aside);
    // The memory is there for every stream from here on.
    check(cudaStreamSynchronize(aside), "cudaStreamSynchronize");
    memory->blocks_.push_back({data, bytes, false});
    best = &memory->blocks_.back();
  }
  used.owners.emplace(best->data, memory);
  best->used = true;
  used.count.fetch_add(1, std::memory_order_relaxed);
  return best->data;
}

bool GraphMemory::deallocate(void* data) noexcept {
  BlockOwners& used = used_blocks();
  if (used.count.load(std::memory_order_relaxed) == 0) return false;
  std::shared_ptr<GraphMemory> owner;  // may be the last: it goes without the lock
  const std::lock_guard lock(used.mutex);
  const auto it = used.owners.find(data);
  if (it == used.owners.end()) return false;
  owner = std::move(it->second);
  used.owners.erase(it);
  used.count.fetch_sub(1, std::memory_order_relaxed);
  for (Block& block : owner->blocks_)
    if (block.data == data) block.used = false;
  return true;
}

GraphMemory::~GraphMemory() {
  Context* const context = existing_context(device_);
  if (context == nullptr) return;
  try {
    const Guard guard(device_, nullptr);
    for (const Block& block : blocks_) context->pool().release(block.data, block.bytes, unrecorded_stream());
  } catch (const Error&) {  // the device is lost, and the memory with it
  }
}

Recorder* Recorder::current() noexcept {
  return recorder;
}

Recorder* Recorder::here() {
  if (recorder == nullptr) [[likely]]
    return nullptr;
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  if (device != recorder->device_) refuse("work of another device");
  return recorder;
}

void set_launch(cudaGraphExec_t graph, cudaGraphNode_t launch, const cudaKernelNodeParams& parameters) {
  check(cudaGraphExecKernelNodeSetParams(graph, launch, &parameters), "cudaGraphExecKernelNodeSetParams");
}

const RandomKey* live_key(const RandomKey& key, const char* op) {
  const GraphRecording* const recording = GraphRecording::current();
  return recording != nullptr ? recording->live_key(key, op) : nullptr;
}

void Recorder::refuse(const char* what) {
  if (recorder != nullptr)
    fail("graphed",
         "{} cannot be part of a graph that is recorded: make tensors of host data outside of the step and "
         "pass them in, and read results (item(), to_vector(), to()) from what it returns",
         what);
}

Recorder::Recorder(int device)
    : device_(device), stream_(false), memory_(std::make_shared<GraphMemory>(device)) {
  refuse("another recording");
  if (!can_capture()) fail("graphed", "the CUDA runtime of {} records no graphs", device_name(device));
  check(cudaStreamBeginCapture(stream_.get(), cudaStreamCaptureModeRelaxed), "cudaStreamBeginCapture");
  capturing_ = true;
  recorder = this;
}

void Recorder::stop() noexcept {
  recorder = nullptr;
  if (!capturing_) return;
  capturing_ = false;
  cudaGraph_t graph = nullptr;
  if (cudaStreamEndCapture(stream_.get(), &graph) != cudaSuccess) cudaGetLastError();
  Graph(graph).reset();
}

Recorder::~Recorder() {
  try {
    const Guard guard(device_, nullptr);
    stop();
  } catch (const Error&) {  // the device is lost
    recorder = nullptr;
  }
}

void Recorder::pause() {
  recorder = nullptr;
}
void Recorder::resume() {
  recorder = this;
}

std::unique_ptr<WorkGraph> Recorder::finish() {
  const Guard guard(device_, "graphed");
  recorder = nullptr;
  capturing_ = false;
  cudaGraph_t graph = nullptr;
  check(cudaStreamEndCapture(stream_.get(), &graph), "cudaStreamEndCapture");
  return std::make_unique<CudaGraph>(device_, Graph(graph), memory_, std::move(kept_), std::move(refreshes_));
}

const void* Recorder::keep(const void* host, std::int64_t bytes) {
  void* data = nullptr;
  check(cudaHostAlloc(&data, static_cast<std::size_t>(bytes), cudaHostAllocPortable), "cudaHostAlloc");
  std::memcpy(data, host, static_cast<std::size_t>(bytes));
  kept_.emplace_back(data, [](void* memory) { cudaFreeHost(memory); });
  return data;
}

cudaGraphNode_t Recorder::last_node() const {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  const cudaGraphNode_t* nodes = nullptr;
  std::size_t count = 0;
#if defined(__CUDACC__) && CUDART_VERSION < 13000
  check(cudaStreamGetCaptureInfo_v2(stream_.get(), &status, nullptr, nullptr, &nodes, &count),
        "cudaStreamGetCaptureInfo");
#else
  check(cudaStreamGetCaptureInfo(stream_.get(), &status, nullptr, nullptr, &nodes, nullptr, &count),
        "cudaStreamGetCaptureInfo");
#endif
  if (status != cudaStreamCaptureStatusActive || count != 1)
    fail("graphed", "the recording has ended or has {} last nodes, expected one", count);
  return nodes[0];
}

}  // namespace isobit::gpu
