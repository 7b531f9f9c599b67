// What tests of the stand-in for cuDNN share: descriptors that are made, planned and run as a test says.
#pragma once
#include <algorithm>
#include <vector>

#include "cuda/simt/cudnn.h"
#include "tests/emulator/faults.h"

namespace isobit::emulator {

using Extents = std::vector<std::int64_t>;
using Descriptor = cudnnBackendDescriptor_t;
inline constexpr cudnnStatus_t kFine = CUDNN_STATUS_SUCCESS;

/// A tensor as a test may spoil it.
struct Described {
  std::int64_t id;
  Extents extent, stride;
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  std::int64_t alignment = 16;
};
inline Extents channels_last(const Extents& e) {
  return {e[1] * e[2] * e[3], 1, e[3] * e[1], e[1]};
}
inline Described described(std::int64_t id, const Extents& e) {
  return {id, e, channels_last(e)};
}

class CudnnGraph : public Simt {
 protected:
  CudnnGraph() { EXPECT_EQ(cudnnCreate(&handle), kFine); }
  ~CudnnGraph() override {
    cudnn_plant(0, kFine);
    clear();
    EXPECT_EQ(cudnn_counts().descriptors, 0);
    EXPECT_EQ(cudnnDestroy(handle), kFine);
  }

  Descriptor made(cudnnBackendDescriptorType_t type) {
    Descriptor d = nullptr;
    EXPECT_EQ(cudnnBackendCreateDescriptor(type, &d), kFine);
    all.push_back(d);
    return d;
  }
  void clear() {
    for (Descriptor d : all) EXPECT_EQ(cudnnBackendDestroyDescriptor(d), kFine);
    all.clear();
  }
  template <class T>
  static cudnnStatus_t set(Descriptor d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                           const std::vector<T>& values) {
    return cudnnBackendSetAttribute(d, name, type, static_cast<std::int64_t>(values.size()), values.data());
  }
  static cudnnStatus_t set_part(Descriptor d, cudnnBackendAttributeName_t name, Descriptor part) {
    return cudnnBackendSetAttribute(d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &part);
  }
  Descriptor tensor(const Described& t) {
    Descriptor d = made(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    EXPECT_EQ(set(d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, std::vector{t.type}), kFine);
    EXPECT_EQ(set(d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, t.extent), kFine);
    EXPECT_EQ(set(d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, t.stride), kFine);
    EXPECT_EQ(set(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, Extents{t.id}), kFine);
    EXPECT_EQ(set(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, Extents{t.alignment}), kFine);
    return d;
  }
  /// The operation's plan by the engine that the heuristic puts at `which`, of `count`: how far it came is
  /// left in `plan`. The fallback has one.
  cudnnStatus_t plan_of(Descriptor operation, std::size_t which, std::int64_t count, bool fallback) {
    if (const cudnnStatus_t s = cudnnBackendFinalize(operation); s != kFine) return s;
    Descriptor graph = made(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    EXPECT_EQ(set(graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, std::vector{handle}), kFine);
    EXPECT_EQ(set_part(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, operation), kFine);
    if (const cudnnStatus_t s = cudnnBackendFinalize(graph); s != kFine) return s;
    Descriptor heuristic = made(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    EXPECT_EQ(set_part(heuristic, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph), kFine);
    EXPECT_EQ(set(heuristic, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE,
                  std::vector{fallback ? CUDNN_HEUR_MODE_FALLBACK : CUDNN_HEUR_MODE_A}),
              kFine);
    if (const cudnnStatus_t s = cudnnBackendFinalize(heuristic); s != kFine) return s;
    std::int64_t announced = 0, filled = 0;
    EXPECT_EQ(cudnnBackendGetAttribute(heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                       CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &announced, nullptr),
              kFine);
    EXPECT_GE(announced, count);
    std::vector<Descriptor> configs;
    for (std::int64_t i = 0; i < announced; ++i) configs.push_back(made(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR));
    EXPECT_EQ(cudnnBackendGetAttribute(heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                       CUDNN_TYPE_BACKEND_DESCRIPTOR, announced, &filled, configs.data()),
              kFine);
    EXPECT_EQ(filled, count) << "fewer than were announced";
    Descriptor built = made(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    EXPECT_EQ(set(built, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, std::vector{handle}), kFine);
    EXPECT_EQ(set_part(built, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configs.at(which)), kFine);
    if (const cudnnStatus_t s = cudnnBackendFinalize(built); s != kFine) return s;
    plan = built;
    return kFine;
  }
  cudnnStatus_t run() {
    Descriptor pack = made(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    EXPECT_EQ(set(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, ids), kFine);
    EXPECT_EQ(set(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, data), kFine);
    EXPECT_EQ(set(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, std::vector{workspace}),
              kFine);
    if (const cudnnStatus_t s = cudnnBackendFinalize(pack); s != kFine) return s;
    return cudnnBackendExecute(handle, plan, pack);
  }

  cudnnHandle_t handle = nullptr;
  std::vector<Descriptor> all;
  Descriptor plan = nullptr;
  Extents ids;
  std::vector<void*> data;
  void* workspace = nullptr;
};

}  // namespace isobit::emulator
