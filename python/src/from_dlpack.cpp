// DLPack inwards, without a copy: the tensor holds the producer's header, so who lives longer does not
// matter.
#include <isobit/gpu.h>
#include <isobit/ops.h>

#include <optional>

#include "exchange.h"

namespace isobit::python {
namespace {

DType dtype_from(dlpack::DataType t) {
  for (const DType d :
       {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i32, DType::i64, DType::u8, DType::boolean}) {
    const dlpack::DataType own = type_of(d);
    if (own.code == t.code && own.bits == t.bits && t.lanes == 1) return d;
  }
  constexpr const char* kCodes[] = {"int", "uint", "float", "handle", "bfloat", "complex", "bool"};
  throw nb::type_error(
      fmt::format("from_dlpack: elements of type {}{}: isobit has f32, f64, f16, bf16, i32, i64, u8 "
                  "and bool",
                  t.code < 7 ? kCodes[t.code] : "code ", t.code < 7 ? t.bits : t.code)
          .c_str());
}

/// The producer's axes have to be those of a contiguous array, once they are channels last.
Shape shape_from(const dlpack::Array& array, bool nchw) {
  if (array.rank < 0 || array.rank > Shape::max_rank)
    fail("from_dlpack", "{} axes: a tensor has at most {}", array.rank, Shape::max_rank);
  if (nchw && array.rank < 3)
    fail("from_dlpack", "layout=\"nchw\" is for [n, c, ...], got {} axes", array.rank);
  std::vector<std::int64_t> extents, strides;
  for (int i = 0; i < array.rank; ++i) {
    const int from = !nchw || i == 0 ? i : i == array.rank - 1 ? 1 : i + 1;
    extents.push_back(array.shape[from]);
    if (array.strides != nullptr) strides.push_back(array.strides[from]);
  }
  const Shape shape{std::span<const std::int64_t>(extents)};
  if (array.strides == nullptr && nchw && shape.numel() > 0)
    fail("from_dlpack", "the memory is channels first: from_nchw(from_dlpack(x)) copies it to channels last");
  std::int64_t step = 1;
  for (int i = array.rank - 1; !strides.empty() && i >= 0 && shape.numel() > 0; --i) {
    const auto axis = static_cast<std::size_t>(i);
    if (extents[axis] > 1 && strides[axis] != step)
      fail("from_dlpack", "{} with strides [{}] is not contiguous{}", shape, fmt::join(strides, ","),
           nchw ? " in channels last: convert with .to(memory_format=torch.channels_last), or by "
                  "from_nchw(from_dlpack(x))"
                : ": make it so (.contiguous(), numpy.ascontiguousarray), or give layout=\"nchw\" for a "
                  "channels-last "
                  "tensor of PyTorch");
    step *= extents[axis];
  }
  return shape;
}

/// A tensor that holds what the header speaks of and gives it back at its end. An error leaves the header the
/// caller's.
template <class Header>
Tensor adopt(Header* header, bool nchw) {
  if constexpr (std::is_same_v<Header, dlpack::ManagedVersioned>) {
    if (header->major > 1) fail("from_dlpack", "DLPack {}.{} is newer than 1", header->major, header->minor);
    if ((header->flags & dlpack::kReadOnly) != 0)
      fail("from_dlpack",
           "the array is read-only, and a tensor may be written to; isobit.tensor(x) copies it");
  }
  const dlpack::Array& array = header->array;
  Device device;
  if (array.device.type == dlpack::kCuda || array.device.type == dlpack::kCudaManaged)
    device = Device::cuda(array.device.index);
  else if (array.device.type != dlpack::kCpu && array.device.type != dlpack::kCudaHost)
    fail("from_dlpack", "memory of device type {}: isobit knows the CPU (1) and CUDA (2)", array.device.type);
  const DType dtype = dtype_from(array.dtype);
  const Shape shape = shape_from(array, nchw);
  return from_foreign(static_cast<char*>(array.data) + array.byte_offset, shape, {dtype, device},
                      [header, device] {
                        finish_work(device);
                        locked_anywhere([header] {
                          if (header->deleter != nullptr) header->deleter(header);
                        });
                      });
}

template <class Header>
Tensor import_as(const nb::object& capsule, const char* name, const char* used, bool nchw) {
  auto* header = static_cast<Header*>(PyCapsule_GetPointer(capsule.ptr(), name));
  if (header == nullptr) throw nb::python_error();
  Tensor t = adopt(header, nchw);
  PyCapsule_SetName(capsule.ptr(), used);  // ours now: its destructor does nothing
  PyCapsule_SetDestructor(capsule.ptr(), nullptr);
  return t;
}

// ---- by way of C, without a capsule and without calls of Python's

/// The C functions of a type that has them itself: what a subclass changes, it changes by __dlpack__. The
/// last type that was asked for is remembered (and kept): nearly always it is torch.Tensor.
const dlpack::ExchangeApi* exchange_api(PyTypeObject* type) {
  static PyTypeObject* last = nullptr;  // both under Python's lock
  static const dlpack::ExchangeApi* its = nullptr;
  if (type == last) return its;
  const nb::handle handle(reinterpret_cast<PyObject*>(type));
  const dlpack::ExchangeApi* found = nullptr;
  if (nb::cast<bool>(handle.attr("__dict__").attr("__contains__")(dlpack::kExchangeApi))) {
    const nb::object capsule = handle.attr(dlpack::kExchangeApi);
    if (PyCapsule_IsValid(capsule.ptr(), "dlpack_exchange_api") != 0)
      found =
          static_cast<const dlpack::ExchangeApi*>(PyCapsule_GetPointer(capsule.ptr(), "dlpack_exchange_api"));
    while (found != nullptr && found->version.major != 1) found = found->previous;
  }
  if (found == nullptr) return nullptr;
  Py_XDECREF(reinterpret_cast<PyObject*>(last));
  last = type;
  Py_INCREF(reinterpret_cast<PyObject*>(last));
  its = found;
  return its;
}

/// The memory of the host, where x gives it that way; nothing where __dlpack__ has to be asked: that orders
/// the streams of a GPU, and says what is wrong.
std::optional<Tensor> by_way_of_c(nb::handle x, bool nchw) {
  const dlpack::ExchangeApi* api = exchange_api(Py_TYPE(x.ptr()));
  if (api == nullptr || api->take == nullptr) return std::nullopt;
  // PyTorch's __dlpack__ refuses such tensors, its C function does not look.
  if (nb::getattr(x, "requires_grad", nb::bool_(false)).is(nb::bool_(true))) return std::nullopt;
  dlpack::ManagedVersioned* header = nullptr;
  if (api->take(x.ptr(), &header) != 0 || header == nullptr) {
    PyErr_Clear();
    return std::nullopt;
  }
  const auto give_back = [&] {
    if (header->deleter != nullptr) header->deleter(header);
  };
  if (header->array.device.type != dlpack::kCpu) {
    give_back();
    return std::nullopt;
  }
  try {
    return adopt(header, nchw);
  } catch (...) {
    give_back();
    throw;
  }
}

/// Asks the producer for its capsule: of version 1 if it knows that.
nb::object capsule_of(nb::handle x) {
  if (PyCapsule_CheckExact(x.ptr()) != 0) return nb::borrow(x);
  if (!nb::hasattr(x, "__dlpack__"))
    throw nb::type_error(
        fmt::format("from_dlpack: an object of type {} has no __dlpack__", nb::type_name(x.type()).c_str())
            .c_str());
  const nb::object place = x.attr("__dlpack_device__")();
  nb::object stream = nb::none();
  if (to_int(place[0], "__dlpack_device__") == dlpack::kCuda) {
    const auto own = reinterpret_cast<std::intptr_t>(
        stream_of(Device::cuda(static_cast<int>(to_int(place[1], "device")))));
    stream = nb::int_(own == 0 ? 1 : own);
  }
  try {
    const nb::object version = nb::make_tuple(1, 0);
    if (stream.is_none()) return x.attr("__dlpack__")("max_version"_a = version);
    return x.attr("__dlpack__")("stream"_a = stream, "max_version"_a = version);
  } catch (nb::python_error& error) {
    if (!error.matches(PyExc_TypeError)) throw;
  }
  return stream.is_none() ? x.attr("__dlpack__")() : x.attr("__dlpack__")("stream"_a = stream);
}

}  // namespace

Tensor from_dlpack(nb::handle x, nb::handle layout) {
  const bool nchw = !layout.is_none() && to_choice(layout, "layout", {"nhwc", "nchw"}) == 1;
  if (std::optional<Tensor> t = by_way_of_c(x, nchw)) return *std::move(t);
  const nb::object capsule = capsule_of(x);
  if (PyCapsule_IsValid(capsule.ptr(), kVersioned) != 0)
    return import_as<dlpack::ManagedVersioned>(capsule, kVersioned, "used_dltensor_versioned", nchw);
  return import_as<dlpack::Managed>(capsule, kOld, "used_dltensor", nchw);
}

}  // namespace isobit::python
