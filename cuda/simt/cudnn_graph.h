// Within the stand-in for cuDNN (cudnn.h): what a descriptor holds, what makes it one that may be finalized,
// and the convolution that a graph of them says.
#pragma once
#include <array>
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

std::size_t bytes_of(cudnnBackendAttributeType_t type);
/// Whether these elements may be given to the descriptor, or read of it.
Verdict judge_attribute(const Descriptor& d, cudnnBackendAttributeName_t name,
                        cudnnBackendAttributeType_t type, std::int64_t count, bool set);
/// Whether the descriptor is complete and makes sense.
Verdict judge_whole(const Descriptor& d);

/// The elements of an attribute that is set.
template <class T>
std::vector<T> elements(const Descriptor& d, cudnnBackendAttributeName_t name);
template <class T>
T element(const Descriptor& d, cudnnBackendAttributeName_t name);

struct Tensor {
  const char* name;
  cudnnDataType_t type;
  std::vector<std::int64_t> extent, stride;
  std::int64_t id, alignment;
  std::uint64_t element_bytes() const { return type == CUDNN_DATA_FLOAT ? 4 : 2; }
  std::int64_t numel() const;
  /// Channels next to each other, then the last axis, and so on, without holes.
  bool channels_last() const;
};

/// x * w = y, of which one is the sum.
struct Convolution {
  cudnnBackendDescriptorType_t direction;
  Tensor x, w, y;
  /// Of three axes, of which the first may have been added.
  std::array<std::int64_t, 3> in{1, 1, 1}, filter{1, 1, 1}, out{1, 1, 1}, before{}, after{}, stride{1, 1, 1},
      dilation{1, 1, 1};
  std::int64_t groups() const { return x.extent[1] / w.extent[1]; }
  std::int64_t terms() const { return w.extent[1] * filter[0] * filter[1] * filter[2]; }
  const Tensor& sum() const;
  std::array<const Tensor*, 3> tensors() const { return {&x, &w, &y}; }
};
/// Of an operation, or the operation of a graph.
Convolution convolution_of(const Descriptor& d);

/// Whether the engine serves the convolution, and what room it wants.
Verdict serves(CudnnEngine engine, const Convolution& c);
std::int64_t workspace_of(CudnnEngine engine, const Convolution& c);
/// On the host, from and to device memory.
void compute(CudnnEngine engine, const Convolution& c, const void* x, const void* w, const void* y);

}  // namespace isobit::emulator::dnn
