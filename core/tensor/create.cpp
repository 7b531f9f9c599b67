// Creation of tensors.
#include <isobit/ops.h>
#include <isobit/tensor.h>

#include <cmath>
#include <cstring>

#include "core/graph_recording.h"
#include "core/tensor/impl.h"

namespace isobit {

Tensor empty(const Shape& shape, TensorOptions options) {
  auto storage = std::make_unique<Storage>();
  storage->device = options.device;
  storage->bytes = shape.numel() * size_of(options.dtype);
  auto impl = std::make_unique<TensorImpl>();
  impl->dtype = options.dtype;
  impl->shape = shape;
  if (storage->bytes > 0) storage->data = backend(options.device).allocate(storage->bytes);
  if (const GraphRecording* r = GraphRecording::current()) [[unlikely]]
    storage->recording = r->number_of(options.device);
  impl->storage = storage.release();
  return Tensor(TensorRef(impl.release()));
}

namespace {
Tensor filled(const Shape& shape, Scalar value, TensorOptions options) {
  Tensor t = empty(shape, options);
  if (t.numel() > 0) backend(options.device).fill(fresh_view(t), value);
  return t;
}
TensorOptions options_of(const Tensor& t) {
  return {t.dtype(), t.device()};
}

void require_floating_options(const char* op, TensorOptions options) {
  if (!is_floating(options.dtype)) fail(op, "random numbers are floating, {} was asked for", options.dtype);
}
}  // namespace

Tensor zeros(const Shape& shape, TensorOptions options) {
  return filled(shape, Scalar(0.0), options);
}
Tensor ones(const Shape& shape, TensorOptions options) {
  return filled(shape, Scalar(1.0), options);
}
Tensor full(const Shape& shape, double value, TensorOptions options) {
  return filled(shape, Scalar(value), options);
}
Tensor full(const Shape& shape, std::int64_t value, TensorOptions options) {
  return filled(shape, Scalar(value), options);
}
Tensor zeros_like(const Tensor& t) {
  return zeros(t.shape(), options_of(t));
}
Tensor ones_like(const Tensor& t) {
  return ones(t.shape(), options_of(t));
}
Tensor empty_like(const Tensor& t) {
  return empty(t.shape(), options_of(t));
}

Tensor arange(std::int64_t count, double start, double step, TensorOptions options) {
  if (options.dtype == DType::boolean) fail("arange", "there is no range of bool");
  Tensor t = empty({count}, options);
  if (count > 0) backend(options.device).arange(start, step, fresh_view(t));
  return t;
}

Tensor eye(std::int64_t n, TensorOptions options) {
  const Tensor label = arange(n, 0, 1, {DType::i64, options.device});
  return one_hot(label, n, 1, 0, options.dtype);
}

Tensor random_uniform(const Shape& shape, RandomKey key, double low, double high, TensorOptions options,
                      std::uint64_t first) {
  require_floating_options("random_uniform", options);
  if (!(low <= high) || !std::isfinite(high - low))
    fail("random_uniform", "bounds {} and {} span no finite interval", low, high);
  Tensor t = empty(shape, options);
  if (t.numel() > 0) backend(options.device).random_uniform(key, first, low, high, fresh_view(t));
  return t;
}

Tensor random_normal(const Shape& shape, RandomKey key, double mean, double deviation, TensorOptions options,
                     std::uint64_t first) {
  require_floating_options("random_normal", options);
  if (!(deviation >= 0) || !std::isfinite(deviation) || !std::isfinite(mean))
    fail("random_normal", "mean {} and deviation {}: both must be finite, the deviation not negative", mean,
         deviation);
  Tensor t = empty(shape, options);
  if (t.numel() > 0) backend(options.device).random_normal(key, first, mean, deviation, fresh_view(t));
  return t;
}

Tensor from_bytes(const void* bytes, const Shape& shape, TensorOptions options) {
  Tensor t = empty(shape, options);
  if (t.numel() > 0) backend(options.device).upload(fresh_view(t).data, bytes, t.bytes());
  return t;
}

template <class T>
Tensor from_span(std::span<const T> values, const Shape& shape, Device device) {
  if (static_cast<std::int64_t>(values.size()) != shape.numel())
    fail("from_span", "{} values for shape {} of {} elements", values.size(), shape, shape.numel());
  return from_bytes(values.data(), shape, {dtype_of<T>, device});
}
template Tensor from_span(std::span<const float>, const Shape&, Device);
template Tensor from_span(std::span<const double>, const Shape&, Device);
template Tensor from_span(std::span<const f16>, const Shape&, Device);
template Tensor from_span(std::span<const bf16>, const Shape&, Device);
template Tensor from_span(std::span<const std::int32_t>, const Shape&, Device);
template Tensor from_span(std::span<const std::int64_t>, const Shape&, Device);
template Tensor from_span(std::span<const std::uint8_t>, const Shape&, Device);
template Tensor from_span(std::span<const bool>, const Shape&, Device);

Tensor from_foreign(void* data, const Shape& shape, TensorOptions options, std::function<void()> deleter) {
  if (data == nullptr && shape.numel() > 0) fail("from_foreign", "null memory for shape {}", shape);
  if (reinterpret_cast<std::uintptr_t>(data) % static_cast<std::uintptr_t>(size_of(options.dtype)) != 0)
    fail("from_foreign", "address {} is not aligned to {}", data, options.dtype);
  backend(options.device);  // the device must exist
  auto storage = std::make_unique<Storage>();
  storage->device = options.device;
  storage->bytes = shape.numel() * size_of(options.dtype);
  storage->data = data;
  storage->foreign = true;
  auto impl = std::make_unique<TensorImpl>();
  impl->dtype = options.dtype;
  impl->shape = shape;
  storage->deleter = std::move(deleter);
  impl->storage = storage.release();
  return Tensor(TensorRef(impl.release()));
}

}  // namespace isobit
