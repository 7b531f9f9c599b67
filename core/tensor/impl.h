// The body behind a Tensor handle, and the counted storage behind that.
#pragma once
#include <isobit/tensor.h>

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "core/backend.h"

namespace isobit {

/// Bytes on one device. Counts its tensors; the last one frees it.
struct Storage {
  std::atomic<std::int32_t> count{1};
  Device device;
  std::uint64_t recording = 0;      ///< of a graph whose memory this is (core/graph_recording.h); 0: none
  bool foreign = false;             ///< the memory is others', who may write to it without our knowledge
  std::atomic<bool> shared{false};  ///< ours, but lent to others (share_memory), who may do so as well
  void* data = nullptr;
  std::int64_t bytes = 0;
  std::atomic<std::uint64_t> version{0};
  std::function<void()> deleter;  ///< foreign memory only

  bool others_write() const { return foreign || shared.load(std::memory_order_relaxed); }
};

/// What only tensors that take part in gradients carry.
struct AutogradMeta {
  bool requires_grad = false;  ///< a leaf that wants a gradient
  Tensor grad;
  std::vector<std::function<Tensor(const Tensor&)>> hooks;  ///< of a leaf; results keep theirs in the node
};

class TensorImpl {
 public:
  ~TensorImpl();
  std::atomic<std::int32_t> count{1};
  DType dtype = DType::f32;
  Shape shape;
  Storage* storage = nullptr;
  std::int64_t offset = 0;  ///< bytes into the storage
  std::shared_ptr<Node> node;
  std::unique_ptr<AutogradMeta> meta;

  char* data() const {
    return storage->data == nullptr ? nullptr : static_cast<char*>(storage->data) + offset;
  }
  AutogradMeta& autograd() {
    if (!meta) meta = std::make_unique<AutogradMeta>();
    return *meta;
  }
};

/// The body of a defined tensor; throws Error(op) for an undefined one.
TensorImpl& body(const Tensor& t, std::string_view op);

/// A tensor over part of another's storage, without history.
Tensor share_storage(const Tensor& t, const Shape& shape, std::int64_t offset_bytes);

inline ConstView view(const Tensor& t) {
  return {t.raw(), t.dtype(), t.numel()};
}
/// For a tensor that was just made with empty(): nobody else has seen it, so this is no write to be counted.
inline View fresh_view(Tensor& t) {
  return {const_cast<void*>(t.raw()), t.dtype(), t.numel()};
}
/// An absent operand gives a null view.
inline ConstView view_or_null(const Tensor& t) {
  return t.defined() ? view(t) : ConstView{};
}

/// Throws Error(op) naming both unless all defined tensors share one dtype / one device.
void require_same_dtype(std::string_view op, std::initializer_list<const Tensor*> tensors);
void require_same_device(std::string_view op, std::initializer_list<const Tensor*> tensors);
void require_floating(std::string_view op, const Tensor& t);

/// Replaces every NaN by the quiet NaN of its type with a clear payload, in place.
void canonicalize_nans(DType dtype, void* elements, std::int64_t count);

}  // namespace isobit
