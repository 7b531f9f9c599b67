#include "cuda/vendor/cudnn.cuh"

#include <fmt/format.h>
#include <isobit/error.h>

#include <array>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "cuda/runtime/check.cuh"
#include "cuda/runtime/scratch.cuh"
#include "cuda/runtime/stream.cuh"
#include "isobit/arithmetic.h"
#ifdef __CUDACC__
#include <dlfcn.h>
#endif

namespace isobit::gpu::vendor {
namespace {

#ifdef __CUDACC__
Cudnn load() {
  Cudnn dnn;
  const std::string name = fmt::format("libcudnn.so.{}", CUDNN_MAJOR);
  void* const library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* const why = dlerror();
    dnn.missing =
        fmt::format("cuDNN {} could not be loaded: {}; install it, or name its folder in LD_LIBRARY_PATH",
                    CUDNN_MAJOR, why != nullptr ? why : name);
    return dnn;
  }
  const auto find = [&](auto& function, const char* symbol) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, symbol));
    if (function == nullptr) dnn.missing = fmt::format("{} has no {}", name, symbol);
  };
  find(dnn.create, "cudnnCreate");
  find(dnn.set_stream, "cudnnSetStream");
  find(dnn.status_name, "cudnnGetErrorString");
  find(dnn.last_error, "cudnnGetLastErrorString");
  find(dnn.create_descriptor, "cudnnBackendCreateDescriptor");
  find(dnn.destroy_descriptor, "cudnnBackendDestroyDescriptor");
  find(dnn.set_attribute, "cudnnBackendSetAttribute");
  find(dnn.get_attribute, "cudnnBackendGetAttribute");
  find(dnn.finalize, "cudnnBackendFinalize");
  find(dnn.execute, "cudnnBackendExecute");
  return dnn;
}
#else
Cudnn load() {
  return {.create = cudnnCreate,
          .set_stream = cudnnSetStream,
          .status_name = cudnnGetErrorString,
          .last_error = cudnnGetLastErrorString,
          .create_descriptor = cudnnBackendCreateDescriptor,
          .destroy_descriptor = cudnnBackendDestroyDescriptor,
          .set_attribute = cudnnBackendSetAttribute,
          .get_attribute = cudnnBackendGetAttribute,
          .finalize = cudnnBackendFinalize,
          .execute = cudnnBackendExecute,
          .missing = {}};
}
#endif

/// The status by name, and what the library said of it.
std::string in_words(cudnnStatus_t status) {
  std::array<char, 1024> said{};
  cudnn().last_error(said.data(), said.size());
  const char* const name = cudnn().status_name(status);
  return said[0] == '\0' ? name : fmt::format("{} ({})", name, said.data());
}

/// A device's. A handle runs on one stream at a time: whoever executes has the mutex.
struct Handle {
  std::once_flag made;
  cudnnHandle_t handle = nullptr;
  std::string why;
  std::mutex mutex;
};

Handle& handle() {
  static auto& handles = *new std::array<Handle, 64>;  // kept: tensors may outlive static objects
  int device = 0;
  gpu::check(cudaGetDevice(&device), "cudaGetDevice");
  Handle& h = handles.at(static_cast<std::size_t>(device));
  std::call_once(h.made, [&] {
    const Cudnn& dnn = cudnn();
    h.why = dnn.missing;
    if (!h.why.empty()) return;
    const cudnnStatus_t status = dnn.create(&h.handle);
    if (status == CUDNN_STATUS_SUCCESS) return;
    h.handle = nullptr;
    h.why = fmt::format("cudnnCreate on {}: {}", device_name(device), in_words(status));
  });
  return h;
}

}  // namespace

const Cudnn& cudnn() {
  static const Cudnn& dnn = *new Cudnn(load());
  return dnn;
}

const char* refuse_cudnn() {
  const Handle& h = handle();
  return h.handle == nullptr ? h.why.c_str() : nullptr;
}

void check(cudnnStatus_t status, const std::string& call, const CudnnCall& what) {
  if (status == CUDNN_STATUS_SUCCESS) [[likely]]
    return;
  fail(what.op, "{} failed: {}, for {}; other algorithms of fast mode, and exact mode, do without cuDNN",
       call, in_words(status), what.words());
}

CudnnDescriptor::CudnnDescriptor(cudnnBackendDescriptorType_t type, const char* name, const CudnnCall& what)
    : name_(name) {
  check(cudnn().create_descriptor(type, &made_), fmt::format("cudnnBackendCreateDescriptor({})", name), what);
}
CudnnDescriptor::~CudnnDescriptor() {
  if (made_ != nullptr) cudnn().destroy_descriptor(made_);
}
CudnnDescriptor::CudnnDescriptor(CudnnDescriptor&& other) noexcept
    : made_(std::exchange(other.made_, nullptr)), name_(other.name_) {}

void CudnnDescriptor::set_elements(const CudnnAttribute& attribute, std::int64_t count, const void* elements,
                                   const CudnnCall& what) {
  check(cudnn().set_attribute(made_, attribute.number, attribute.type, count, elements),
        fmt::format("cudnnBackendSetAttribute({}, CUDNN_ATTR_{})", name_, attribute.name), what);
}
cudnnStatus_t CudnnDescriptor::try_finalize() {
  return cudnn().finalize(made_);
}
void CudnnDescriptor::finalize(const CudnnCall& what) {
  check(try_finalize(), fmt::format("cudnnBackendFinalize({})", name_), what);
}
std::int64_t CudnnDescriptor::read(const CudnnAttribute& attribute, std::int64_t wanted, void* elements,
                                   const CudnnCall& what) const {
  std::int64_t count = 0;
  check(cudnn().get_attribute(made_, attribute.number, attribute.type, wanted, &count, elements),
        fmt::format("cudnnBackendGetAttribute({}, CUDNN_ATTR_{})", name_, attribute.name), what);
  return count;
}

CudnnDescriptor describe(const CudnnTensor& t, const CudnnCall& what) {
  CudnnDescriptor d(CUDNN_BACKEND_TENSOR_DESCRIPTOR, t.name, what);
  d.set({CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, "TENSOR_DATA_TYPE"}, t.type, what);
  d.set_all({CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, "TENSOR_DIMENSIONS"}, t.extent, what);
  d.set_all({CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, "TENSOR_STRIDES"}, t.stride, what);
  d.set({CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, "TENSOR_UNIQUE_ID"}, t.id, what);
  d.set({CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, "TENSOR_BYTE_ALIGNMENT"}, t.alignment, what);
  if (t.on_host) d.set({CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, "TENSOR_IS_BY_VALUE"}, true, what);
  d.finalize(what);
  return d;
}

void execute(const CudnnPlan& plan, const std::vector<std::int64_t>& ids, const std::vector<void*>& data,
             const CudnnCall& what) {
  Handle& h = handle();
  if (h.handle == nullptr) fail(what.op, "{}", h.why);
  std::optional<Scratch> workspace;
  if (plan.workspace > 0) workspace.emplace(plan.workspace);
  void* const room = workspace ? workspace->as<void>() : nullptr;
  CudnnDescriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, "variant pack", what);
  pack.set_all({CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, "VARIANT_PACK_UNIQUE_IDS"}, ids, what);
  pack.set_all({CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, "VARIANT_PACK_DATA_POINTERS"},
               data, what);
  pack.set({CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, "VARIANT_PACK_WORKSPACE"}, room, what);
  pack.finalize(what);
  const std::lock_guard lock(h.mutex);
  check(cudnn().set_stream(h.handle, current_stream()), "cudnnSetStream", what);
  check(cudnn().execute(h.handle, plan.parts.back().get(), pack.get()), "cudnnBackendExecute", what);
}

namespace {

constexpr std::int64_t kMaxWorkspaceBytes = std::int64_t{256} << 20;
constexpr std::size_t kMaxPlans = 4096;

struct Plans {
  std::mutex mutex;
  std::map<CudnnKey, std::shared_ptr<const CudnnPlan>> found;
};
Plans& plans() {
  static Plans& all = *new Plans;
  return all;
}

/// Why an engine that notes this is left out, null when it is not. Transforms (Winograd, FFT) and sums of
/// fewer bits are no sums of rounded products, so the bound of docs/fast-mode.md says nothing of them.
const char* left_out(cudnnBackendNumericalNote_t note) {
  switch (note) {
    case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
      return "rounds operands to a type that nobody asked for";
    case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION:
      return "sums in fewer bits than f32";
    case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
      return "gives other bits in every run";
    case CUDNN_NUMERICAL_NOTE_FFT:
    case CUDNN_NUMERICAL_NOTE_WINOGRAD:
    case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4:
    case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6:
    case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13:
      return "transforms its operands";
    default:
      return nullptr;
  }
}

const char* left_out(const CudnnDescriptor& config, const CudnnCall& what) {
  const CudnnDescriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR, "engine", what);
  cudnnBackendDescriptor_t handed = engine.get();
  config.read({CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, "ENGINECFG_ENGINE"}, 1, &handed,
              what);
  std::array<cudnnBackendNumericalNote_t, CUDNN_NUMERICAL_NOTE_TYPE_COUNT> notes{};
  const std::int64_t count =
      engine.read({CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, "ENGINE_NUMERICAL_NOTE"},
                  CUDNN_NUMERICAL_NOTE_TYPE_COUNT, notes.data(), what);
  for (std::size_t i = 0; i < notes.size() && static_cast<std::int64_t>(i) < count; ++i)
    if (const char* why = left_out(notes.at(i))) return why;
  return nullptr;
}

constexpr CudnnAttribute kResults{CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                  "ENGINEHEUR_RESULTS"};

/// Engines with their knobs, best first. None where the heuristic knows none.
std::vector<CudnnDescriptor> advised(const CudnnDescriptor& graph, cudnnBackendHeurMode_t mode,
                                     const CudnnCall& what) {
  CudnnDescriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, "heuristic", what);
  heuristic.set_part(
      {CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, "ENGINEHEUR_OPERATION_GRAPH"},
      graph, what);
  heuristic.set({CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, "ENGINEHEUR_MODE"}, mode, what);
  std::vector<CudnnDescriptor> configs;
  const cudnnStatus_t status = heuristic.try_finalize();
  if (CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_NOT_SUPPORTED) return configs;
  check(status, "cudnnBackendFinalize(heuristic)", what);
  const std::int64_t count = heuristic.read(kResults, 0, nullptr, what);
  std::vector<cudnnBackendDescriptor_t> handed;
  for (std::int64_t i = 0; i < count; ++i) {
    configs.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, "engine configuration", what);
    handed.push_back(configs.back().get());
  }
  const std::int64_t filled = count == 0 ? 0 : heuristic.read(kResults, count, handed.data(), what);
  while (static_cast<std::int64_t>(configs.size()) > filled) configs.pop_back();
  return configs;
}

CudnnPlan search(std::vector<CudnnDescriptor> parts, const CudnnCall& what) {
  CudnnPlan found;
  CudnnDescriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, "operation graph", what);
  const cudnnHandle_t owner = handle().handle;
  graph.set({CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, "OPERATIONGRAPH_HANDLE"}, owner, what);
  graph.set_part({CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, "OPERATIONGRAPH_OPS"},
                 parts.back(), what);
  found.parts = std::move(parts);
  const cudnnStatus_t status = graph.try_finalize();
  if (CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_NOT_SUPPORTED) {
    found.refusal = fmt::format("cuDNN does not support it: {}", in_words(status));
    return found;
  }
  check(status, "cudnnBackendFinalize(operation graph)", what);
  cudnnStatus_t failed = CUDNN_STATUS_SUCCESS;
  std::string why = "cuDNN advises no engine";
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK})
    for (CudnnDescriptor& config : advised(graph, mode, what)) {
      if (const char* reason = left_out(config, what)) {
        why = fmt::format("cuDNN's engine {}", reason);
        continue;
      }
      CudnnDescriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, "plan", what);
      plan.set({CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, "EXECUTION_PLAN_HANDLE"}, owner, what);
      plan.set_part({CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                     "EXECUTION_PLAN_ENGINE_CONFIG"},
                    config, what);
      if (const cudnnStatus_t built = plan.try_finalize(); built != CUDNN_STATUS_SUCCESS) {
        why = fmt::format("no engine of cuDNN serves it: {}", in_words(built));
        if (CUDNN_STATUS_CATEGORY(built) != CUDNN_STATUS_NOT_SUPPORTED) failed = built;
        continue;
      }
      plan.read({CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, "EXECUTION_PLAN_WORKSPACE_SIZE"},
                1, &found.workspace, what);
      if (found.workspace > kMaxWorkspaceBytes) {
        why = fmt::format("cuDNN's engine wants {} bytes of workspace, more than {}", found.workspace,
                          kMaxWorkspaceBytes);
        continue;
      }
      found.parts.push_back(std::move(graph));
      found.parts.push_back(std::move(config));
      found.parts.push_back(std::move(plan));
      return found;
    }
  check(failed, "cudnnBackendFinalize(plan)", what);
  found.refusal = why;
  return found;
}

}  // namespace

std::shared_ptr<const CudnnPlan> cudnn_plan(CudnnKey key, const CudnnCall& what,
                                            const std::function<std::vector<CudnnDescriptor>()>& parts) {
  int device = 0;
  gpu::check(cudaGetDevice(&device), "cudaGetDevice");
  key.push_back(device);
  key.push_back(static_cast<std::int64_t>(current_math()));
  {
    const std::lock_guard lock(plans().mutex);
    if (const auto it = plans().found.find(key); it != plans().found.end()) return it->second;
  }
  auto plan = std::make_shared<const CudnnPlan>(search(parts(), what));
  const std::lock_guard lock(plans().mutex);
  if (plans().found.size() >= kMaxPlans) plans().found.clear();
  plans().found.emplace(std::move(key), plan);
  return plan;
}

}  // namespace isobit::gpu::vendor
