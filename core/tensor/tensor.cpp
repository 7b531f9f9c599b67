// Tensor: handles, storage, sharing, copies between devices and dtypes.
#include <isobit/autograd.h>
#include <isobit/ops.h>
#include <isobit/tensor.h>

#include <cstring>

#include "core/graph_recording.h"
#include "core/tensor/impl.h"

namespace isobit {

TensorRef::TensorRef(const TensorRef& o) : p_(o.p_) {
  if (p_) p_->count.fetch_add(1, std::memory_order_relaxed);
}

TensorRef::~TensorRef() {
  if (p_ && p_->count.fetch_sub(1, std::memory_order_acq_rel) == 1) delete p_;
}

TensorImpl::~TensorImpl() {
  if (storage == nullptr || storage->count.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (storage->foreign) {
    if (storage->deleter) {
      try {
        storage->deleter();
      } catch (...) {  // a destructor has nobody to tell
      }
    }
  } else if (storage->data != nullptr) {
    backend(storage->device).deallocate(storage->data, storage->bytes);
  }
  delete storage;
}

TensorImpl& body(const Tensor& t, std::string_view op) {
  if (!t.defined()) fail(op, "the tensor is undefined (default constructed, or moved from)");
  return *t.impl();
}

const Shape& Tensor::shape() const {
  return body(*this, "shape").shape;
}
DType Tensor::dtype() const {
  return body(*this, "dtype").dtype;
}
Device Tensor::device() const {
  return body(*this, "device").storage->device;
}
const void* Tensor::raw() const {
  TensorImpl& self = body(*this, "raw");
  if (GraphRecording* r = GraphRecording::current()) [[unlikely]]
    r->touch(*this, false);
  return self.data();
}
std::uint64_t Tensor::version() const {
  return body(*this, "version").storage->version;
}

void* Tensor::mutable_raw() {
  TensorImpl& self = body(*this, "mutable_raw");
  self.storage->version.fetch_add(1, std::memory_order_relaxed);
  if (GraphRecording* r = GraphRecording::current()) [[unlikely]]
    r->touch(*this, true);
  return self.data();
}

void Tensor::require_dtype(DType wanted, std::string_view op) const {
  const DType have = body(*this, op).dtype;
  if (have != wanted) fail(op, "the tensor holds {}, {} was asked for (tensor {})", have, wanted, shape());
}

void Tensor::require(DType wanted, std::string_view op) const {
  require_dtype(wanted, op);
  if (!backend(device()).host_accessible())
    fail(op, "the host cannot address the memory of {}; copy it first with to(Device::cpu()) or to_vector()",
         device());
}

void Tensor::copy_to_host(void* destination) const {
  const TensorImpl& self = body(*this, "copy_to_host");
  if (self.shape.numel() > 0) backend(self.storage->device).download(destination, self.data(), bytes());
}

double Tensor::item() const {
  if (body(*this, "item").shape.numel() != 1)
    fail("item", "a tensor of shape {} has {} elements, 1 expected", shape(), numel());
  double value = 0;
  const NoGrad no_grad;
  to(DType::f64).copy_to_host(&value);
  return value;
}

Tensor share_storage(const Tensor& t, const Shape& shape, std::int64_t offset_bytes) {
  const TensorImpl& source = *t.impl();
  auto impl = std::make_unique<TensorImpl>();
  impl->dtype = source.dtype;
  impl->shape = shape;
  impl->offset = source.offset + offset_bytes;
  impl->storage = source.storage;
  source.storage->count.fetch_add(1, std::memory_order_relaxed);
  return Tensor(TensorRef(impl.release()));
}

Tensor Tensor::reshape(std::span<const std::int64_t> extents) const {
  const Shape& from = body(*this, "reshape").shape;
  if (extents.size() > Shape::max_rank)
    fail("reshape", "{} axes, at most {} are possible", extents.size(), int{Shape::max_rank});
  std::array<std::int64_t, Shape::max_rank> wanted{};
  std::int64_t known = 1;
  int inferred = -1;
  for (std::size_t i = 0; i < extents.size(); ++i) {
    wanted[i] = extents[i];
    if (extents[i] == -1) {
      if (inferred >= 0)
        fail("reshape", "axes {} and {} are both -1, one can be inferred (from {})", inferred, i, from);
      inferred = static_cast<int>(i);
    } else if (__builtin_mul_overflow(known, extents[i], &known)) {
      fail("reshape", "the product of the extents overflows (from {})", from);
    }
  }
  if (inferred >= 0) {
    if (known <= 0 || from.numel() % known != 0)
      fail("reshape", "the extent -1 cannot be inferred: {} elements of {} do not divide by {}", from.numel(),
           from, known);
    wanted[inferred] = from.numel() / known;
  }
  const Shape to(std::span<const std::int64_t>(wanted.data(), extents.size()));
  if (to.numel() != from.numel())
    fail("reshape", "{} has {} elements, {} has {}", from, from.numel(), to, to.numel());
  Tensor y = share_storage(*this, to, 0);
  if (!recording({this})) return y;
  return record("reshape", {*this}, y, {},
                [from](const BackwardContext& c) { return std::vector{c.dy().reshape(from)}; });
}

Tensor Tensor::slice(std::int64_t from, std::int64_t to) const {
  const Shape& x = body(*this, "slice").shape;
  if (x.rank() == 0) fail("slice", "a scalar has no first axis");
  if (from < 0 || to < from || to > x[0]) fail("slice", "rows [{}, {}) of a tensor of shape {}", from, to, x);
  const std::int64_t row_bytes = x[0] == 0 ? 0 : x.numel() / x[0] * size_of(dtype());
  Tensor y = share_storage(*this, x.with(0, to - from), from * row_bytes);
  if (!recording({this})) return y;
  const std::int64_t rows = x[0];
  return record("slice", {*this}, y, {}, [from, to, rows](const BackwardContext& c) {
    std::vector<std::pair<std::int64_t, std::int64_t>> widths(c.dy().rank(), {0, 0});
    widths[0] = {from, rows - to};
    return std::vector{pad(c.dy(), widths)};
  });
}

Tensor Tensor::to(Device target) const {
  const Device source = body(*this, "to").storage->device;
  if (source == target) return *this;
  Tensor y = empty(shape(), {dtype(), target});
  if (numel() > 0) {
    Backend &from = backend(source), &onto = backend(target);
    if (from.host_accessible()) {
      onto.upload(fresh_view(y).data, raw(), bytes());
    } else if (onto.host_accessible()) {
      from.download(fresh_view(y).data, raw(), bytes());
    } else {
      std::vector<char> staging(static_cast<std::size_t>(bytes()));
      from.download(staging.data(), raw(), bytes());
      onto.upload(fresh_view(y).data, staging.data(), bytes());
    }
  }
  if (!recording({this})) return y;
  return record("to", {*this}, y, {},
                [source](const BackwardContext& c) { return std::vector{c.dy().to(source)}; });
}

Tensor Tensor::to(DType target) const {
  const DType source = body(*this, "to").dtype;
  if (source == target) return *this;
  Tensor y = empty(shape(), {target, device()});
  backend(device()).cast(view(*this), fresh_view(y));
  if (!is_floating(target) || !recording({this})) return y;
  return record("to", {*this}, y, {},
                [source](const BackwardContext& c) { return std::vector{c.dy().to(source)}; });
}

Tensor Tensor::clone() const {
  body(*this, "clone");
  Tensor y = empty(shape(), {dtype(), device()});
  if (numel() > 0) backend(device()).copy(fresh_view(y).data, raw(), bytes());
  if (!recording({this})) return y;
  return record("clone", {*this}, y, {}, [](const BackwardContext& c) { return std::vector{c.dy()}; });
}

void Tensor::copy_from(const Tensor& source) {
  TensorImpl& self = body(*this, "copy_from");
  const TensorImpl& from = body(source, "copy_from");
  if (self.node)
    fail("copy_from", "the result of a recorded op cannot be overwritten (tensor {}); detach() it first",
         shape());
  if (self.dtype != from.dtype || !(self.shape == from.shape))
    fail("copy_from", "source is {} {}, the tensor is {} {}", from.dtype, from.shape, self.dtype, self.shape);
  if (numel() == 0) return;
  const NoGrad no_grad;
  // Overlapping slices of one storage: through a copy, so that the order of the bytes copied does not show.
  const Tensor safe = self.storage == from.storage ? source.clone() : source;
  const Tensor here = safe.to(device());
  backend(device()).copy(mutable_raw(), here.raw(), bytes());
}

void Tensor::fill(double value) {
  TensorImpl& self = body(*this, "fill");
  if (self.node)
    fail("fill", "the result of a recorded op cannot be overwritten (tensor {}); detach() it first", shape());
  if (numel() > 0) backend(device()).fill({mutable_raw(), self.dtype, numel()}, Scalar(value));
}

void require_same_dtype(std::string_view op, std::initializer_list<const Tensor*> tensors) {
  const Tensor* first = nullptr;
  for (const Tensor* t : tensors) {
    if (!t->defined()) continue;
    if (first == nullptr) first = t;
    if (t->dtype() != first->dtype())
      fail(op, "operands of different dtypes, {} {} and {} {}; convert one with to()", first->dtype(),
           first->shape(), t->dtype(), t->shape());
  }
}

void require_same_device(std::string_view op, std::initializer_list<const Tensor*> tensors) {
  const Tensor* first = nullptr;
  for (const Tensor* t : tensors) {
    if (!t->defined()) continue;
    if (first == nullptr) first = t;
    if (!(t->device() == first->device()))
      fail(op, "operands on different devices, {} on {} and {} on {}; move one with to()", first->shape(),
           first->device(), t->shape(), t->device());
  }
}

void require_floating(std::string_view op, const Tensor& t) {
  if (!is_floating(body(t, op).dtype)) fail(op, "needs a floating tensor, got {} {}", t.dtype(), t.shape());
}

}  // namespace isobit
