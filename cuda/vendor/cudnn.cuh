// cuDNN 9, loaded when it is first asked for, so that nobody needs it, and its graph interface: descriptors
// that are owned, plans that are searched for and kept. simt has a stand-in that checks every argument and
// computes on the host.
#pragma once
#include <array>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/geometry.h"
#include "cuda/runtime/platform.cuh"
#include "isobit/dtype.h"
#ifdef __CUDACC__
#include <cudnn_graph.h>
#else
#include "cuda/simt/cudnn.h"
namespace isobit::gpu {
using namespace ::isobit::emulator;
}
#endif

namespace isobit::gpu::vendor {

/// The functions that are called, and why they cannot be.
struct Cudnn {
  decltype(&cudnnCreate) create = nullptr;
  decltype(&cudnnSetStream) set_stream = nullptr;
  decltype(&cudnnGetErrorString) status_name = nullptr;
  decltype(&cudnnGetLastErrorString) last_error = nullptr;
  decltype(&cudnnBackendCreateDescriptor) create_descriptor = nullptr;
  decltype(&cudnnBackendDestroyDescriptor) destroy_descriptor = nullptr;
  decltype(&cudnnBackendSetAttribute) set_attribute = nullptr;
  decltype(&cudnnBackendGetAttribute) get_attribute = nullptr;
  decltype(&cudnnBackendFinalize) finalize = nullptr;
  decltype(&cudnnBackendExecute) execute = nullptr;
  std::string missing;  ///< empty when all are there
};

/// Loaded once per process and kept.
const Cudnn& cudnn();

/// Why the library gives no handle for the device that is current, null when it does.
const char* refuse_cudnn();

/// What is computed, for messages: the kernel of the seam, and the problem.
struct CudnnCall {
  const char* op;
  std::function<std::string()> words;
};

/// Throws Error when `status` is not success: the call, the status by name, what the library said last, the
/// problem.
void check(cudnnStatus_t status, const std::string& call, const CudnnCall& what);

/// An attribute of a descriptor, by number and name, and what its elements are.
struct CudnnAttribute {
  cudnnBackendAttributeName_t number;
  cudnnBackendAttributeType_t type;
  const char* name;
};

/// A descriptor of the graph, destroyed with its owner. Descriptors that others were made of outlive these.
class CudnnDescriptor {
 public:
  CudnnDescriptor(cudnnBackendDescriptorType_t type, const char* name, const CudnnCall& what);
  ~CudnnDescriptor();
  CudnnDescriptor(CudnnDescriptor&& other) noexcept;
  CudnnDescriptor& operator=(CudnnDescriptor&&) = delete;

  cudnnBackendDescriptor_t get() const { return made_; }
  template <class T>
  void set(const CudnnAttribute& attribute, const T& value, const CudnnCall& what) {
    set_elements(attribute, 1, &value, what);
  }
  template <class T>
  void set_all(const CudnnAttribute& attribute, const std::vector<T>& values, const CudnnCall& what) {
    set_elements(attribute, static_cast<std::int64_t>(values.size()), values.data(), what);
  }
  void set_part(const CudnnAttribute& attribute, const CudnnDescriptor& part, const CudnnCall& what) {
    set_elements(attribute, 1, &part.made_, what);
  }
  void finalize(const CudnnCall& what);
  cudnnStatus_t try_finalize();
  /// Reads at most `wanted` elements, null to count them; returns how many there are.
  std::int64_t read(const CudnnAttribute& attribute, std::int64_t wanted, void* elements,
                    const CudnnCall& what) const;

 private:
  void set_elements(const CudnnAttribute& attribute, std::int64_t count, const void* elements,
                    const CudnnCall& what);
  cudnnBackendDescriptor_t made_ = nullptr;
  const char* name_;
};

/// A tensor as it lies: extents and strides in elements, in the library's order of axes (n or k, c, then the
/// spatial ones).
struct CudnnTensor {
  const char* name;
  std::int64_t id;
  cudnnDataType_t type;
  std::vector<std::int64_t> extent, stride;
  std::int64_t alignment;  ///< bytes
  bool on_host = false;    ///< a number that is read when the call is made
};
CudnnDescriptor describe(const CudnnTensor& tensor, const CudnnCall& what);

constexpr std::int64_t kCudnnMostAligned = 16;  ///< bytes: more helps no kernel
/// What may be promised of where the data lies.
std::int64_t cudnn_alignment(const void* data);
/// f16, bf16 or f32.
cudnnDataType_t cudnn_type(DType dtype);
/// Extents [first, channels, axes...] of a dense tensor [first, axes..., channels].
CudnnTensor channels_last(const char* name, std::int64_t id, cudnnDataType_t type,
                          std::vector<std::int64_t> extent, std::int64_t alignment);
/// Axis 0 is more samples, when no window moves along it: 1, else 0, the first axis that the library is told.
std::size_t first_axis(const std::array<AxisGeometry, 3>& axis);
/// Why the library takes no tensors of these sizes, null when it does.
const char* refuse_sizes(std::initializer_list<std::int64_t> elements);
/// A text that stays: plans, which know why there is none, are forgotten.
const char* kept(const std::string& text);

/// An operation that the library has an engine for, or why it has none.
struct CudnnPlan {
  std::vector<CudnnDescriptor> parts;  ///< what the plan was made of, and the plan, last
  std::int64_t workspace = 0;          ///< bytes
  std::string refusal;                 ///< empty: there is a plan
};

/// What the choice of a plan depends on.
using CudnnKey = std::vector<std::int64_t>;
/// The plan of the key, on the device that is current and in the arithmetic in force (both become part of the
/// key). When it is asked for first, `parts` makes the operation, last, and what it is made of; then the
/// engines that the library advises are tried in its order. Left out are such as do not keep fast mode's
/// bound or give other bits in every run, and such as want more than 256 MiB of workspace. Throws Error
/// where a call fails; an engine that builds no plan is passed over, and its status told when no other does.
std::shared_ptr<const CudnnPlan> cudnn_plan(CudnnKey key, const CudnnCall& what,
                                            const std::function<std::vector<CudnnDescriptor>()>& parts);

/// Runs the plan on the stream of this thread: data[i] is the tensor ids[i].
void execute(const CudnnPlan& plan, const std::vector<std::int64_t>& ids, const std::vector<void*>& data,
             const CudnnCall& what);

}  // namespace isobit::gpu::vendor
