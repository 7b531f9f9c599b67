// Tensor: a shape, an element type and a counted reference to storage on one device.
#pragma once
#include <isobit/device.h>
#include <isobit/dtype.h>
#include <isobit/error.h>
#include <isobit/random.h>
#include <isobit/shape.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace isobit {

class TensorImpl;
class Node;

/// Intrusive counted pointer to a tensor's body.
class TensorRef {
 public:
  TensorRef() = default;
  explicit TensorRef(TensorImpl* adopted) : p_(adopted) {}  ///< takes over the caller's count
  TensorRef(const TensorRef& o);
  TensorRef(TensorRef&& o) noexcept : p_(o.p_) { o.p_ = nullptr; }
  TensorRef& operator=(TensorRef o) noexcept {
    std::swap(p_, o.p_);
    return *this;
  }
  ~TensorRef();
  TensorImpl* get() const { return p_; }
  explicit operator bool() const { return p_ != nullptr; }

 private:
  TensorImpl* p_ = nullptr;
};

/// Where and as what a new tensor is made: zeros({2, 3}, {.dtype = DType::f64}).
struct TensorOptions {
  DType dtype = DType::f32;
  Device device = {};
};

/// A handle; copying it shares the tensor. Always contiguous, channels last by convention (n, (d, h,) w, c).
/// reshape and slice share storage with their source, every other op makes a new tensor. Thread-safe like a
/// shared_ptr: concurrent reads are fine, a write needs the caller's exclusion.
class Tensor {
 public:
  /// The undefined tensor; everything but defined(), assignment and destruction throws Error.
  Tensor() = default;
  explicit Tensor(TensorRef ref) : ref_(std::move(ref)) {}

  bool defined() const { return static_cast<bool>(ref_); }
  const Shape& shape() const;
  std::int64_t shape(int axis) const { return shape()[axis]; }
  int rank() const { return shape().rank(); }
  std::int64_t numel() const { return shape().numel(); }
  std::int64_t bytes() const { return numel() * size_of(dtype()); }
  DType dtype() const;
  Device device() const;

  /// First element; host pointer on the CPU, device pointer elsewhere. Read-only; see mutable_data.
  const void* raw() const;
  /// First element for writing; counts as a write (a tensor saved for a gradient becomes stale).
  void* mutable_raw();
  /// Typed host views; throw Error when T is not the dtype or the device's memory is not the host's.
  template <class T>
  std::span<const T> data() const {
    require(dtype_of<T>, "data");
    return {static_cast<const T*>(raw()), static_cast<std::size_t>(numel())};
  }
  template <class T>
  std::span<T> mutable_data() {
    require(dtype_of<T>, "mutable_data");
    return {static_cast<T*>(mutable_raw()), static_cast<std::size_t>(numel())};
  }
  /// A copy of the elements on the host, from any device.
  template <class T>
  std::vector<T> to_vector() const {
    static_assert(!std::is_same_v<T, bool>, "use to_vector<std::uint8_t> on cast(t, DType::u8)");
    require_dtype(dtype_of<T>, "to_vector");
    std::vector<T> out(static_cast<std::size_t>(numel()));
    copy_to_host(out.data());
    return out;
  }
  /// The value of a tensor with one element (of any dtype, converted to double); throws Error otherwise.
  double item() const;
  void copy_to_host(void* destination) const;

  /// Shares storage. One extent may be -1 and is inferred. Differentiable. Throws Error when the counts
  /// differ.
  Tensor reshape(std::span<const std::int64_t> extents) const;
  Tensor reshape(std::initializer_list<std::int64_t> extents) const {
    return reshape(std::span(extents.begin(), extents.size()));
  }
  Tensor reshape(const Shape& shape) const { return reshape(shape.extents()); }
  /// Rows [from, to) of the first axis; shares storage. Differentiable.
  Tensor slice(std::int64_t from, std::int64_t to) const;
  /// On another device (or itself when already there). Differentiable.
  Tensor to(Device device) const;
  /// As another dtype (or itself): float to integer truncates and saturates, NaN gives 0; floats round to
  /// nearest even, once; integers wrap; to bool: != 0. Differentiable between floating types.
  Tensor to(DType dtype) const;
  /// A new tensor of the same values with storage of its own. Differentiable.
  Tensor clone() const;
  /// Overwrites the values in place with those of `source` (same shape, dtype; any device). Counts as a
  /// write; not differentiable: an Error for a tensor that is the result of a recorded op.
  void copy_from(const Tensor& source);
  void fill(double value);

  // ---- gradients (isobit/autograd.h)
  bool requires_grad() const;
  /// Marks a leaf; throws Error on results of ops and on non-floating tensors.
  Tensor& set_requires_grad(bool on = true);
  /// The accumulated gradient; undefined before the first backward pass.
  Tensor grad() const;
  void set_grad(Tensor g);
  void zero_grad() { set_grad(Tensor()); }
  /// Adds d(this)/d(leaf) to every leaf's grad. Without a seed this must have one element. keep_graph allows
  /// a second pass.
  void backward(const Tensor& seed = {}, bool keep_graph = false) const;
  /// The same storage, cut off from the graph.
  Tensor detach() const;
  bool is_leaf() const;
  /// Called with the gradient of this tensor when it is complete; a defined result replaces it.
  void register_hook(std::function<Tensor(const Tensor&)> hook) const;

  /// SHA-256 of dtype, shape and the little-endian elements (NaNs made canonical), in hex.
  std::string digest() const;
  /// NumPy-like text; at most `edge` values at each end of an axis when it has more than 2 * edge.
  std::string to_string(int edge = 3) const;

  /// Writes counted so far on this tensor's storage.
  std::uint64_t version() const;
  TensorImpl* impl() const { return ref_.get(); }
  const TensorRef& ref() const { return ref_; }

 private:
  void require_dtype(DType t, std::string_view op) const;
  void require(DType t, std::string_view op) const;  // dtype and host memory
  TensorRef ref_;
};

// ---- creation

/// Uninitialised memory.
Tensor empty(const Shape& shape, TensorOptions options = {});
Tensor zeros(const Shape& shape, TensorOptions options = {});
Tensor ones(const Shape& shape, TensorOptions options = {});
Tensor full(const Shape& shape, double value, TensorOptions options = {});
Tensor full(const Shape& shape, std::int64_t value, TensorOptions options);
Tensor zeros_like(const Tensor& t);
Tensor ones_like(const Tensor& t);
Tensor empty_like(const Tensor& t);
/// start, start + step, ... (`count` of them; element i is start + i * step, computed in f64 and rounded
/// once).
Tensor arange(std::int64_t count, double start = 0, double step = 1, TensorOptions options = {});
Tensor eye(std::int64_t n, TensorOptions options = {});
/// Uniform in [low, high): element i is drawn at counter first + i of the key's stream.
Tensor random_uniform(const Shape& shape, RandomKey key, double low = 0, double high = 1,
                      TensorOptions options = {}, std::uint64_t first = 0);
/// Normal by Box and Muller; element i is drawn at counter first + i.
Tensor random_normal(const Shape& shape, RandomKey key, double mean = 0, double deviation = 1,
                     TensorOptions options = {}, std::uint64_t first = 0);
/// Copies host values; throws Error unless the span holds shape.numel() elements.
template <class T>
Tensor from_span(std::span<const T> values, const Shape& shape, Device device = {});
template <class T>
Tensor from_vector(const std::vector<T>& values, const Shape& shape, Device device = {}) {
  return from_span(std::span<const T>(values), shape, device);
}
/// Copies raw host bytes of `options.dtype`.
Tensor from_bytes(const void* bytes, const Shape& shape, TensorOptions options);
/// Wraps memory of `options.device` without a copy; `deleter` runs when the last tensor on it is gone. The
/// storage is marked as writable by others.
Tensor from_foreign(void* data, const Shape& shape, TensorOptions options, std::function<void()> deleter);

// ---- comparison by bits

/// Same dtype, shape and bits (any NaN equals any NaN; -0 differs from +0), on whatever devices the two live.
bool equal_bits(const Tensor& a, const Tensor& b);
/// Index of the first element whose bits differ, or -1. Throws Error when dtype or shape differ.
std::int64_t first_difference(const Tensor& a, const Tensor& b);

}  // namespace isobit

template <>
struct fmt::formatter<isobit::Tensor> : fmt::formatter<std::string> {
  auto format(const isobit::Tensor& t, fmt::format_context& context) const {
    return fmt::formatter<std::string>::format(t.to_string(), context);
  }
};
