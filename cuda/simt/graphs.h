// Graphs: tasks of a stream that were captured instead of run, to be run as often as wanted. As with CUDA, a
// launch keeps a copy of its arguments and a copy of memory its two addresses. Whatever waits for a stream
// that is being captured, or allocates on it, is refused and spoils the capture.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "cuda/simt/runtime_types.h"

namespace isobit::emulator {

/// The arguments of a launch, as its kernel reads them.
using Payload = std::shared_ptr<const void>;

/// Something captured. Only launches have a kernel and a payload.
struct GraphNode {
  std::function<void(const void* payload)> run;
  Payload payload;
  const void* kernel = nullptr;
  Payload (*pack)(const void* kernel, void** arguments) = nullptr;  // a payload of other arguments
};

struct Graph {
  std::vector<std::shared_ptr<GraphNode>> nodes;
  GraphNode* newest = nullptr;
  bool spoiled = false;

  void add(GraphNode node) {
    nodes.push_back(std::make_shared<GraphNode>(std::move(node)));
    newest = nodes.back().get();
  }
};

/// True, and its capture is spoiled, when the stream is being captured.
bool spoil_capture(Stream& stream);
/// The same of all streams, for what waits for the whole device.
bool spoil_captures();

}  // namespace isobit::emulator
