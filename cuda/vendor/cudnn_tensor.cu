// How isobit's tensors are told to cuDNN.
#include <algorithm>
#include <limits>
#include <mutex>
#include <set>
#include <utility>

#include "cuda/vendor/cudnn.cuh"

namespace isobit::gpu::vendor {

std::int64_t cudnn_alignment(const void* data) {
  const auto at = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(data));
  return std::min(at & -at, kCudnnMostAligned);
}

cudnnDataType_t cudnn_type(DType dtype) {
  return dtype == DType::f16    ? CUDNN_DATA_HALF
         : dtype == DType::bf16 ? CUDNN_DATA_BFLOAT16
                                : CUDNN_DATA_FLOAT;
}

CudnnTensor channels_last(const char* name, std::int64_t id, cudnnDataType_t type,
                          std::vector<std::int64_t> extent, std::int64_t alignment) {
  std::vector<std::int64_t> stride(extent.size());
  stride[1] = 1;
  std::int64_t next = extent[1];
  for (std::size_t i = extent.size() - 1; i > 1; --i) {
    stride[i] = next;
    next *= extent[i];
  }
  stride[0] = next;
  return {name, id, type, std::move(extent), std::move(stride), alignment};
}

std::size_t first_axis(const std::array<AxisGeometry, 3>& axis) {
  const AxisGeometry& a = axis[0];
  return a.filter == 1 && a.stride == 1 && a.pad_before == 0 && a.pad_after == 0 ? 1 : 0;
}

const char* refuse_sizes(std::initializer_list<std::int64_t> elements) {
  if (std::min(elements) == 0) return "cuDNN knows no empty tensors";
  if (std::max(elements) > std::numeric_limits<std::int32_t>::max())
    return "a tensor has 2^31 elements or more";
  return nullptr;
}

const char* kept(const std::string& text) {
  static auto& mutex = *new std::mutex;
  static auto& texts = *new std::set<std::string>;
  const std::lock_guard lock(mutex);
  return texts.insert(text).first->c_str();
}

}  // namespace isobit::gpu::vendor
