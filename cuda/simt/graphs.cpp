// CUDA's functions for graphs.
#include "cuda/simt/graphs.h"

#include <algorithm>
#include <unordered_map>

#include "cuda/simt/device_state.h"
#include "cuda/simt/runtime_api.h"
#include "cuda/simt/streams.h"

namespace isobit::emulator {

/// A graph as it is run: its nodes, and the payloads in force.
struct GraphExec {
  std::vector<std::shared_ptr<GraphNode>> nodes;
  std::vector<Payload> payloads;
};

namespace {

// Kept for ever, as the streams: objects with static lifetime still use them.
struct Graphs {
  std::unordered_map<Graph*, std::shared_ptr<Graph>> graphs;
  std::unordered_map<GraphExec*, std::unique_ptr<GraphExec>> executables;
};
Graphs& known() {
  static Graphs& k = *new Graphs;
  return k;
}

}  // namespace

bool spoil_capture(Stream& stream) {
  if (stream.capture == nullptr) return false;
  stream.capture->spoiled = true;
  return true;
}

bool spoil_captures() {
  bool any = false;
  for (const auto& stream : all_streams()) any = spoil_capture(*stream) || any;
  return any;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode) {
  const std::lock_guard lock(device_mutex());
  const auto stream = find_stream(handle);
  if (stream == nullptr) return result(cudaErrorInvalidResourceHandle);
  // As with CUDA, the legacy stream cannot be captured.
  if (handle == nullptr || stream->capture != nullptr) return result(cudaErrorStreamCaptureUnsupported);
  stream->capture = std::make_shared<Graph>();
  return result(cudaSuccess);
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
  const std::lock_guard lock(device_mutex());
  const auto stream = find_stream(handle);
  if (stream == nullptr) return result(cudaErrorInvalidResourceHandle);
  if (graph == nullptr || stream->capture == nullptr) return result(cudaErrorInvalidValue);
  const std::shared_ptr<Graph> made = std::exchange(stream->capture, nullptr);
  *graph = nullptr;
  if (made->spoiled) return result(cudaErrorStreamCaptureInvalidated);
  *graph = made.get();
  known().graphs.emplace(made.get(), made);
  return result(cudaSuccess);
}

cudaError_t cudaStreamGetCaptureInfo(cudaStream_t handle, cudaStreamCaptureStatus* status,
                                     unsigned long long* id, cudaGraph_t* graph,
                                     const cudaGraphNode_t** dependencies, const cudaGraphEdgeData** edges,
                                     std::size_t* count) {
  const std::lock_guard lock(device_mutex());
  const auto stream = find_stream(handle);
  if (stream == nullptr) return result(cudaErrorInvalidResourceHandle);
  if (status == nullptr) return result(cudaErrorInvalidValue);
  Graph* const g = stream->capture.get();
  *status = g == nullptr ? cudaStreamCaptureStatusNone
            : g->spoiled ? cudaStreamCaptureStatusInvalidated
                         : cudaStreamCaptureStatusActive;
  if (*status != cudaStreamCaptureStatusActive) return result(cudaSuccess);
  if (id != nullptr) *id = reinterpret_cast<std::uintptr_t>(g);
  if (graph != nullptr) *graph = g;
  if (dependencies != nullptr) *dependencies = &g->newest;
  if (edges != nullptr) *edges = nullptr;
  if (count != nullptr) *count = g->newest != nullptr ? 1 : 0;
  return result(cudaSuccess);
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, std::size_t* count) {
  const std::lock_guard lock(device_mutex());
  if (known().graphs.count(graph) == 0 || count == nullptr) return result(cudaErrorInvalidValue);
  if (nodes == nullptr) {
    *count = graph->nodes.size();
    return result(cudaSuccess);
  }
  *count = std::min(*count, graph->nodes.size());
  for (std::size_t i = 0; i < *count; ++i) nodes[i] = graph->nodes[i].get();
  return result(cudaSuccess);
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* executable, cudaGraph_t graph,
                                          unsigned long long flags) {
  const std::lock_guard lock(device_mutex());
  if (executable == nullptr || flags != 0 || known().graphs.count(graph) == 0)
    return result(cudaErrorInvalidValue);
  auto made = std::make_unique<GraphExec>();
  made->nodes = graph->nodes;
  for (const auto& node : made->nodes) made->payloads.push_back(node->payload);
  *executable = made.get();
  known().executables.emplace(made.get(), std::move(made));
  return result(cudaSuccess);
}

cudaError_t cudaGraphExecKernelNodeSetParams(cudaGraphExec_t executable, cudaGraphNode_t node,
                                             const cudaKernelNodeParams* parameters) {
  const std::lock_guard lock(device_mutex());
  if (known().executables.count(executable) == 0 || parameters == nullptr)
    return result(cudaErrorInvalidValue);
  const auto at = std::find_if(executable->nodes.begin(), executable->nodes.end(),
                               [&](const auto& own) { return own.get() == node; });
  if (at == executable->nodes.end() || node->kernel == nullptr || node->kernel != parameters->func ||
      parameters->kernelParams == nullptr)
    return result(cudaErrorInvalidValue);
  executable->payloads[static_cast<std::size_t>(at - executable->nodes.begin())] =
      node->pack(node->kernel, parameters->kernelParams);
  return result(cudaSuccess);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t handle) {
  const std::lock_guard lock(device_mutex());
  const auto stream = find_stream(handle);
  if (stream == nullptr) return result(cudaErrorInvalidResourceHandle);
  if (known().executables.count(executable) == 0) return result(cudaErrorInvalidValue);
  if (spoil_capture(*stream)) return result(cudaErrorStreamCaptureUnsupported);
  return result(enqueue(stream, [nodes = executable->nodes, payloads = executable->payloads] {
    for (std::size_t i = 0; i < nodes.size() && sticky_error() == cudaSuccess; ++i)
      nodes[i]->run(payloads[i].get());
  }));
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  const std::lock_guard lock(device_mutex());
  return result(known().executables.erase(executable) != 0 ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  const std::lock_guard lock(device_mutex());
  return result(known().graphs.erase(graph) != 0 ? cudaSuccess : cudaErrorInvalidValue);
}

}  // namespace isobit::emulator
