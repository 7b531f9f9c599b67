#include "cuda/simt/cudnn.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <list>
#include <unordered_set>

#include "cuda/simt/cudnn_graph.h"
#include "cuda/simt/device_state.h"
#include "cuda/simt/library_checks.h"
#include "cuda/simt/streams.h"
#include "cuda/simt/tracer_hooks.h"

namespace isobit::emulator {

struct CudnnContext {
  cudaStream_t stream = nullptr;
};

namespace {

using dnn::Descriptor;

std::unordered_set<const CudnnContext*>& contexts() {
  static auto& all = *new std::unordered_set<const CudnnContext*>;
  return all;
}

struct Planted {
  int calls = 0;
  cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
  bool all = false, reached = false;
};
Planted planted;
CudnnCounts counts;

thread_local std::string last_error;

/// Refused as one that is no fault of the caller's: an engine does not serve.
cudnnStatus_t decline(const std::string& why, cudnnStatus_t status) {
  last_error = why;
  return status;
}
cudnnStatus_t refuse(const char* call, const std::string& why,
                     cudnnStatus_t status = CUDNN_STATUS_BAD_PARAM) {
  fmt::print(stderr, "simt: {}: {}\n", call, why);
  return decline(why, status);
}
cudnnStatus_t judged(const char* call, const dnn::Verdict& verdict) {
  return verdict.fine() ? CUDNN_STATUS_SUCCESS : refuse(call, verdict.why, verdict.status);
}

/// The planted status when this is the call for it.
cudnnStatus_t due() {
  if (planted.status == CUDNN_STATUS_SUCCESS || planted.calls-- > 0) return CUDNN_STATUS_SUCCESS;
  planted.reached = true;
  const cudnnStatus_t status = planted.status;
  if (!planted.all) planted.status = CUDNN_STATUS_SUCCESS;
  return decline("planted", status);
}

/// How a function begins: alone, and with success unless a status was planted.
struct Entered {
  std::lock_guard<std::recursive_mutex> lock{device_mutex()};
  cudnnStatus_t status = due();
};

using Engines = std::vector<CudnnEngine>;

Engines advised(const dnn::Operation& operation, cudnnBackendHeurMode_t mode) {
  return mode == CUDNN_HEUR_MODE_FALLBACK ? Engines{CudnnEngine::lanes} : operation.advised();
}

std::vector<cudnnBackendNumericalNote_t> notes_of(CudnnEngine engine) {
  if (engine == CudnnEngine::winograd)
    return {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_WINOGRAD};
  if (engine == CudnnEngine::racing) return {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC};
  if (engine == CudnnEngine::lanes) return {};
  return {CUDNN_NUMERICAL_NOTE_TENSOR_CORE};
}

cudnnStatus_t finalize_plan(Descriptor& d) {
  const Descriptor& config =
      *dnn::find(dnn::element<cudnnBackendDescriptor_t>(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG));
  if (contexts().count(dnn::element<cudnnHandle_t>(d, CUDNN_ATTR_EXECUTION_PLAN_HANDLE)) == 0)
    return refuse("cudnnBackendFinalize(plan)", "the handle does not exist");
  const dnn::Verdict verdict = dnn::operation_of(*dnn::find(config.graph))->serves(config.engine);
  if (!verdict.fine()) return decline(verdict.why, verdict.status);
  d.graph = config.graph;
  d.engine = config.engine;
  return CUDNN_STATUS_SUCCESS;
}

/// Fills descriptors that the caller made, of the type that is handed out.
cudnnStatus_t hand_out(const char* call, void* elements, std::int64_t wanted, const Engines& engines,
                       cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t graph) {
  auto* const handed = static_cast<cudnnBackendDescriptor_t*>(elements);
  for (std::size_t i = 0; i < engines.size() && static_cast<std::int64_t>(i) < wanted; ++i) {
    Descriptor* const d = dnn::find(handed[i]);
    if (d == nullptr || d->type != type || d->finalized)
      return refuse(call,
                    fmt::format("element {} is no new descriptor of type {}", i, static_cast<int>(type)));
    d->finalized = true;
    d->graph = graph;
    d->engine = engines[i];
  }
  return CUDNN_STATUS_SUCCESS;
}

template <class T>
void copy_out(const std::vector<T>& from, std::int64_t wanted, void* to) {
  const auto most = std::min<std::size_t>(from.size(), static_cast<std::size_t>(wanted));
  if (most > 0) std::memcpy(to, from.data(), most * sizeof(T));
}

/// Where the pack has the tensor; null when it has not.
const void* pointer_of(const Descriptor& pack, std::int64_t id) {
  const auto ids = dnn::elements<std::int64_t>(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  const auto data = dnn::elements<void*>(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
  const auto it = std::find(ids.begin(), ids.end(), id);
  return it == ids.end() ? nullptr : data[static_cast<std::size_t>(it - ids.begin())];
}

std::uint64_t bytes_of(const dnn::Tensor& t) {
  return static_cast<std::uint64_t>(t.numel()) * t.element_bytes();
}

}  // namespace

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  const Entered in;
  if (in.status != CUDNN_STATUS_SUCCESS) return in.status;
  if (handle == nullptr)
    return refuse("cudnnCreate", "nowhere to put it", CUDNN_STATUS_BAD_PARAM_NULL_POINTER);
  *handle = new CudnnContext;
  contexts().insert(*handle);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  const std::lock_guard lock(device_mutex());
  if (contexts().erase(handle) == 0) return refuse("cudnnDestroy", "it does not exist");
  delete handle;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  const Entered in;
  if (in.status != CUDNN_STATUS_SUCCESS) return in.status;
  if (contexts().count(handle) == 0) return refuse("cudnnSetStream", "the handle does not exist");
  if (find_stream(stream) == nullptr) return refuse("cudnnSetStream", "the stream does not exist");
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

const char* cudnnGetErrorString(cudnnStatus_t status) {
  switch (status) {
    case CUDNN_STATUS_SUCCESS:
      return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_NOT_INITIALIZED:
      return "CUDNN_STATUS_NOT_INITIALIZED";
    case CUDNN_STATUS_BAD_PARAM:
      return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_BAD_PARAM_NULL_POINTER:
      return "CUDNN_STATUS_BAD_PARAM_NULL_POINTER";
    case CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER:
      return "CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER";
    case CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED:
      return "CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED";
    case CUDNN_STATUS_BAD_PARAM_SIZE_INSUFFICIENT:
      return "CUDNN_STATUS_BAD_PARAM_SIZE_INSUFFICIENT";
    case CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH:
      return "CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH";
    case CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES:
      return "CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES";
    case CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE:
      return "CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE";
    case CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE:
      return "CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE";
    case CUDNN_STATUS_NOT_SUPPORTED:
      return "CUDNN_STATUS_NOT_SUPPORTED";
    case CUDNN_STATUS_NOT_SUPPORTED_SHAPE:
      return "CUDNN_STATUS_NOT_SUPPORTED_SHAPE";
    case CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE:
      return "CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE";
    case CUDNN_STATUS_NOT_SUPPORTED_LAYOUT:
      return "CUDNN_STATUS_NOT_SUPPORTED_LAYOUT";
    case CUDNN_STATUS_INTERNAL_ERROR:
      return "CUDNN_STATUS_INTERNAL_ERROR";
    case CUDNN_STATUS_EXECUTION_FAILED:
      return "CUDNN_STATUS_EXECUTION_FAILED";
  }
  return "CUDNN_STATUS_UNKNOWN";
}
void cudnnGetLastErrorString(char* message, std::size_t max_size) {
  if (message == nullptr || max_size == 0) return;
  const std::size_t length = std::min(last_error.size(), max_size - 1);
  last_error.copy(message, length);
  message[length] = '\0';
  last_error.clear();
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t* descriptor) {
  const Entered in;
  if (in.status != CUDNN_STATUS_SUCCESS) return in.status;
  if (descriptor == nullptr)
    return refuse("cudnnBackendCreateDescriptor", "nowhere to put it", CUDNN_STATUS_BAD_PARAM_NULL_POINTER);
  auto made = std::make_unique<Descriptor>();
  made->type = type;
  *descriptor = made.get();
  dnn::descriptors().emplace(*descriptor, std::move(made));
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  const std::lock_guard lock(device_mutex());
  if (dnn::descriptors().erase(descriptor) == 0)
    return refuse("cudnnBackendDestroyDescriptor", "it does not exist", CUDNN_STATUS_BAD_PARAM_NULL_POINTER);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, std::int64_t count,
                                       const void* elements) {
  const char* const call = "cudnnBackendSetAttribute";
  const Entered in;
  if (in.status != CUDNN_STATUS_SUCCESS) return in.status;
  Descriptor* const d = dnn::find(descriptor);
  if (d == nullptr) return refuse(call, "the descriptor does not exist", CUDNN_STATUS_BAD_PARAM_NULL_POINTER);
  if (d->finalized) return refuse(call, "the descriptor is finalized");
  if (elements == nullptr) return refuse(call, "no elements");
  const dnn::Verdict verdict = dnn::judge_attribute(*d, name, type, count, true);
  if (!verdict.fine()) return refuse(call, verdict.why, verdict.status);
  const auto* const bytes = static_cast<const unsigned char*>(elements);
  d->values[name] = {count, {bytes, bytes + static_cast<std::size_t>(count) * dnn::bytes_of(type)}};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  const char* const call = "cudnnBackendFinalize";
  const Entered in;
  if (in.status != CUDNN_STATUS_SUCCESS) return in.status;
  Descriptor* const d = dnn::find(descriptor);
  if (d == nullptr) return refuse(call, "the descriptor does not exist", CUDNN_STATUS_BAD_PARAM_NULL_POINTER);
  if (d->finalized) return refuse(call, "the descriptor is finalized already");
  cudnnStatus_t status = judged(call, dnn::judge_whole(*d));
  if (status == CUDNN_STATUS_SUCCESS && d->type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR)
    status = finalize_plan(*d);
  if (status == CUDNN_STATUS_SUCCESS && d->type == CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR &&
      contexts().count(dnn::element<cudnnHandle_t>(*d, CUDNN_ATTR_OPERATIONGRAPH_HANDLE)) == 0)
    status = refuse(call, "the handle does not exist");
  if (status == CUDNN_STATUS_SUCCESS && d->type == CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR) ++counts.searches;
  d->finalized = status == CUDNN_STATUS_SUCCESS;
  return status;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, std::int64_t wanted,
                                       std::int64_t* count, void* elements) {
  const char* const call = "cudnnBackendGetAttribute";
  const Entered in;
  if (in.status != CUDNN_STATUS_SUCCESS) return in.status;
  const Descriptor* const d = dnn::find(descriptor);
  if (d == nullptr) return refuse(call, "the descriptor does not exist", CUDNN_STATUS_BAD_PARAM_NULL_POINTER);
  if (!dnn::whole(descriptor))
    return refuse(call, "the descriptor is not finalized, or a part is gone", CUDNN_STATUS_NOT_INITIALIZED);
  const dnn::Verdict verdict = dnn::judge_attribute(*d, name, type, wanted, false);
  if (!verdict.fine()) return refuse(call, verdict.why, verdict.status);
  if (wanted > 0 && elements == nullptr) return refuse(call, "nowhere to put them");
  if (wanted == 0 && count == nullptr) return refuse(call, "nothing is asked for");
  std::int64_t there = 1;
  cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
  if (name == CUDNN_ATTR_ENGINEHEUR_RESULTS) {
    const auto graph = dnn::element<cudnnBackendDescriptor_t>(*d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
    const Engines engines = advised(*dnn::operation_of(*dnn::find(graph)),
                                    dnn::element<cudnnBackendHeurMode_t>(*d, CUDNN_ATTR_ENGINEHEUR_MODE));
    there = static_cast<std::int64_t>(engines.size());
    status = hand_out(call, elements, wanted, engines, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, graph);
    // The library counts before it looks closer: there may be fewer when they are handed out.
    there = wanted > 0 ? std::min(there, wanted) : there + 1;
  } else if (name == CUDNN_ATTR_ENGINECFG_ENGINE) {
    status = hand_out(call, elements, wanted, {d->engine}, CUDNN_BACKEND_ENGINE_DESCRIPTOR, d->graph);
  } else if (name == CUDNN_ATTR_ENGINE_NUMERICAL_NOTE) {
    const auto notes = notes_of(d->engine);
    there = static_cast<std::int64_t>(notes.size());
    copy_out(notes, wanted, elements);
  } else {
    copy_out(std::vector{dnn::operation_of(*dnn::find(d->graph))->workspace(d->engine)}, wanted, elements);
  }
  if (count != nullptr) *count = there;
  return status;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack) {
  const char* const call = "cudnnBackendExecute";
  const Entered in;
  if (in.status != CUDNN_STATUS_SUCCESS) return in.status;
  if (contexts().count(handle) == 0) return refuse(call, "the handle does not exist");
  for (const auto& [descriptor, type] : {std::pair{plan, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR},
                                         std::pair{pack, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR}})
    if (!dnn::whole(descriptor) || dnn::find(descriptor)->type != type)
      return refuse(call, fmt::format("no finalized descriptor of type {}", static_cast<int>(type)),
                    CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED);
  const Descriptor &p = *dnn::find(plan), &given = *dnn::find(pack);
  if (dnn::element<cudnnHandle_t>(p, CUDNN_ATTR_EXECUTION_PLAN_HANDLE) != handle)
    return refuse(call, "the plan was made for another handle");
  const auto operation = dnn::operation_of(*dnn::find(p.graph));
  const std::vector<dnn::Operand> operands = operation->operands();
  std::vector<const void*> data;
  const auto numbers = std::make_shared<std::list<std::array<unsigned char, 8>>>();
  for (const dnn::Operand& operand : operands) {
    const dnn::Tensor& t = operand.tensor;
    data.push_back(pointer_of(given, t.id));
    if (data.back() == nullptr)
      return refuse(call, fmt::format("the pack has no {}", t.name), CUDNN_STATUS_BAD_PARAM_NULL_POINTER);
    if (t.on_host) {  // read now: what it points at may be gone when it is this call's turn
      numbers->emplace_back();
      std::memcpy(numbers->back().data(), data.back(), bytes_of(t));
      data.back() = numbers->back().data();
      continue;
    }
    const std::string why =
        misplaced(t.name, data.back(), bytes_of(t), static_cast<std::uint64_t>(t.alignment));
    if (!why.empty()) return refuse(call, why);
  }
  for (std::size_t i = 0; i < operands.size(); ++i)
    for (std::size_t k = 0; k < operands.size(); ++k)
      if (i != k && operands[i].written &&
          overlap(data[i], bytes_of(operands[i].tensor), data[k], bytes_of(operands[k].tensor)))
        return refuse(call, fmt::format("{}, which is written, lies over {}", operands[i].tensor.name,
                                        operands[k].tensor.name));
  const std::int64_t room = operation->workspace(p.engine);
  void* const workspace = dnn::is_set(given, CUDNN_ATTR_VARIANT_PACK_WORKSPACE)
                              ? dnn::element<void*>(given, CUDNN_ATTR_VARIANT_PACK_WORKSPACE)
                              : nullptr;
  if (room > 0) {
    const auto bytes = static_cast<std::uint64_t>(room);
    const std::string why = misplaced("the workspace", workspace, bytes, 16);
    if (!why.empty()) return refuse(call, why, CUDNN_STATUS_BAD_PARAM_SIZE_INSUFFICIENT);
    for (std::size_t i = 0; i < operands.size(); ++i)
      if (overlap(workspace, bytes, data[i], bytes_of(operands[i].tensor)))
        return refuse(call, fmt::format("the workspace lies over {}", operands[i].tensor.name));
  }
  const std::shared_ptr<Stream> queue = find_stream(handle->stream);
  if (queue == nullptr) return refuse(call, "the stream does not exist");
  ++counts.executions;
  counts.engine = p.engine;
  counts.workspace = room;
  const cudaError_t error =
      enqueue(queue, [operation, operands, data, numbers, room, workspace, engine = p.engine] {
        const DeviceMemory::Access access;
        // It is the library's now: what lay there is gone.
        if (room > 0) std::memset(workspace, 0xff, static_cast<std::size_t>(room));
        operation->compute(engine, data);
        for (std::size_t i = 0; i < operands.size(); ++i)
          if (operands[i].written)
            trace_host_copy(const_cast<void*>(data[i]), nullptr, bytes_of(operands[i].tensor));
      });
  return error == cudaSuccess ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_EXECUTION_FAILED;
}

CudnnCounts cudnn_counts() {
  const std::lock_guard lock(device_mutex());
  CudnnCounts now = counts;
  now.descriptors = static_cast<int>(dnn::descriptors().size());
  return now;
}

bool cudnn_plant(int calls, cudnnStatus_t status, bool all) {
  const std::lock_guard lock(device_mutex());
  const bool reached = planted.reached;
  planted = {calls, status, all, false};
  return reached;
}

}  // namespace isobit::emulator
