// Within the stand-in for cuDNN (cudnn.h): what a descriptor holds, what makes it one that may be finalized,
// and the operation that a graph of them says.
#pragma once
#include <array>
#include <cstring>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "cuda/simt/cudnn.h"

namespace isobit::emulator::dnn {

struct Value {
  std::int64_t count = 0;
  std::vector<unsigned char> bytes;
};

struct Descriptor {
  cudnnBackendDescriptorType_t type{};
  bool finalized = false;
  std::map<cudnnBackendAttributeName_t, Value> values;
  /// Of an engine, a configuration, a plan: the operation graph, and which engine.
  cudnnBackendDescriptor_t graph = nullptr;
  CudnnEngine engine{};
};

/// All that exist. Whoever looks holds device_mutex().
std::unordered_map<cudnnBackendDescriptor_t, std::unique_ptr<Descriptor>>& descriptors();
/// Null when it was never made, or was destroyed.
Descriptor* find(cudnnBackendDescriptor_t descriptor);
/// Whether it is finalized and all that it was made of exists.
bool whole(cudnnBackendDescriptor_t descriptor);

/// Why a call is wrong, and the status that says so; success and no words when it is not.
struct Verdict {
  cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
  std::string why;
  bool fine() const { return status == CUDNN_STATUS_SUCCESS; }
};
inline Verdict bad(std::string why, cudnnStatus_t status = CUDNN_STATUS_BAD_PARAM) {
  return {status, std::move(why)};
}

std::size_t bytes_of(cudnnBackendAttributeType_t type);
/// Whether these elements may be given to the descriptor, or read of it.
Verdict judge_attribute(const Descriptor& d, cudnnBackendAttributeName_t name,
                        cudnnBackendAttributeType_t type, std::int64_t count, bool set);
/// Whether the descriptor is complete and makes sense.
Verdict judge_whole(const Descriptor& d);

inline bool is_set(const Descriptor& d, cudnnBackendAttributeName_t name) {
  return d.values.count(name) != 0;
}
/// The elements of an attribute that is set.
template <class T>
std::vector<T> elements(const Descriptor& d, cudnnBackendAttributeName_t name) {
  const Value& value = d.values.at(name);
  std::vector<T> read(static_cast<std::size_t>(value.count));
  std::memcpy(read.data(), value.bytes.data(), value.bytes.size());
  return read;
}
template <class T>
T element(const Descriptor& d, cudnnBackendAttributeName_t name) {
  return elements<T>(d, name).front();
}
template <>
inline bool element<bool>(const Descriptor& d, cudnnBackendAttributeName_t name) {
  return d.values.at(name).bytes.front() != 0;
}
/// The descriptor that an attribute names, which exists.
inline const Descriptor& part(const Descriptor& d, cudnnBackendAttributeName_t name) {
  return *find(element<cudnnBackendDescriptor_t>(d, name));
}

struct Tensor {
  const char* name;
  cudnnDataType_t type;
  std::vector<std::int64_t> extent, stride;
  std::int64_t id, alignment;
  bool on_host;  ///< a number that the library reads when it is called
  std::uint64_t element_bytes() const { return type == CUDNN_DATA_FLOAT || type == CUDNN_DATA_INT32 ? 4 : 2; }
  std::int64_t numel() const;
  /// Channels next to each other, then the last axis, and so on, without holes.
  bool channels_last() const;
};
/// Of a finalized descriptor.
Tensor tensor_of(const char* name, const Descriptor& d);
/// A floating tensor's elements, and back: rounded to nearest.
std::vector<float> load(const Tensor& t, const void* data);
void store(const Tensor& t, const std::vector<float>& values, const void* data);

/// Extents, paddings or strides of two or three axes as those of three: one that does nothing comes first.
using Axes = std::array<std::int64_t, 3>;
Axes three_axes(const std::vector<std::int64_t>& from, std::size_t first, std::int64_t filler);

struct Operand {
  Tensor tensor;
  bool written = false;
};

/// What is computed: of tensors that all lie channels last, on the host, from and to device memory.
class Operation {
 public:
  virtual ~Operation() = default;
  /// Why a caller must not ask for it.
  virtual Verdict judge() const = 0;
  /// In the order in which `compute` is given their data.
  virtual std::vector<Operand> operands() const = 0;
  /// The engines that the heuristic advises, before those of the fallback. It leaves out what can be seen of
  /// the shape, so plans may fail later.
  virtual std::vector<CudnnEngine> advised() const = 0;
  virtual Verdict serves(CudnnEngine engine) const = 0;
  virtual std::int64_t workspace(CudnnEngine engine) const = 0;
  virtual void compute(CudnnEngine engine, const std::vector<const void*>& data) const = 0;
};
/// Of a descriptor of an operation, complete, or of the graph that has it.
std::shared_ptr<const Operation> operation_of(const Descriptor& d);

/// An attribute with a value for each axis, and the least one.
struct AxisValues {
  cudnnBackendAttributeName_t name;
  std::int64_t least;
};
/// Whether there are two or three axes, as attribute `count` says, and a good value of each for all.
Verdict judge_axes(const Descriptor& d, cudnnBackendAttributeName_t count,
                   std::initializer_list<AxisValues> all);
/// Whether the descriptors of convolutions, and of how windows move over axes, make sense.
Verdict judge_convolution(const Descriptor& d);
Verdict judge_resample(const Descriptor& d);
std::shared_ptr<const Operation> convolution_of(const Descriptor& d);
std::shared_ptr<const Operation> resample_of(const Descriptor& d);
std::shared_ptr<const Operation> norm_of(const Descriptor& d);

}  // namespace isobit::emulator::dnn
