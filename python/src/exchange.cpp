// Exchange with NumPy, PyTorch and others, without a copy: outwards by DLPack and Python's buffer protocol
// (inwards: from_dlpack.cpp).
//
// The consumer holds a Tensor (a count of the storage): who lives longer does not matter. Storage that goes
// out is marked (share_memory), for its new users may write to it.
#include <isobit/gpu.h>
#include <isobit/ops.h>

#include <memory>

#include "exchange.h"
#include "module.h"

namespace isobit::python {

bool on_gpu(Device device) {
  return device.name().starts_with("cuda");
}

dlpack::DataType type_of(DType t) {
  const auto bits = static_cast<std::uint8_t>(8 * size_of(t));
  switch (t) {
    case DType::bf16:
      return {dlpack::kBfloat, bits};
    case DType::i32:
    case DType::i64:
      return {dlpack::kInt, bits};
    case DType::u8:
      return {dlpack::kUInt, bits};
    case DType::boolean:
      return {dlpack::kBool, bits};
    default:
      return {dlpack::kFloat, bits};
  }
}

void finish_work(Device device) noexcept {
  try {
    if (on_gpu(device)) synchronize(device);
  } catch (const std::exception&) {  // the device failed, which its next op says, or the process ends
  }
}

namespace {

dlpack::Device place_of(Device device) {
  if (device == Device::cpu()) return {};
  const std::string name = device.name();
  if (!name.starts_with("cuda")) return {};  // simt: the host's memory
  return {dlpack::kCuda, name.size() > 5 ? std::stoi(name.substr(5)) : 0};
}

/// x[n, ..., c] as [n, c, ...]: shape and strides; else as it is.
void write_axes(const Shape& s, bool nchw, std::int64_t* shape, std::int64_t* strides) {
  const int rank = s.rank();
  std::int64_t step = 1;
  for (int i = rank - 1; i >= 0; --i) {
    const int to = !nchw || i == 0 ? i : i == rank - 1 ? 1 : i + 1;
    shape[to] = s.begin()[i];
    strides[to] = step;
    step *= s.begin()[i];
  }
}

// ---- outwards

/// What a consumer holds: either form of the header, the axes it points to, and the tensor.
template <class Header>
struct Export {
  Header header;
  std::int64_t shape[Shape::max_rank], strides[Shape::max_rank];
  Tensor tensor;
};

template <class Header>
void delete_export(Header* header) {
  auto* out = static_cast<Export<Header>*>(header->context);
  finish_work(out->tensor.device());
  delete out;
}

template <class Header>
void destroy_capsule(PyObject* capsule, const char* name) {
  if (PyCapsule_IsValid(capsule, name) == 0) return;  // it was taken over, and renamed
  auto* header = static_cast<Header*>(PyCapsule_GetPointer(capsule, name));
  if (header->deleter != nullptr) header->deleter(header);
}

template <class Header>
nb::object export_as(const Tensor& t, bool nchw, const char* name, PyCapsule_Destructor destructor) {
  auto out = std::make_unique<Export<Header>>();
  out->tensor = t;
  out->header.context = out.get();
  out->header.deleter = &delete_export<Header>;
  dlpack::Array& array = out->header.array;
  array.data = const_cast<void*>(t.raw());
  array.device = place_of(t.device());
  array.rank = t.rank();
  array.dtype = type_of(t.dtype());
  array.shape = out->shape;
  array.strides = out->strides;
  write_axes(t.shape(), nchw, out->shape, out->strides);
  PyObject* capsule = PyCapsule_New(&out->header, name, destructor);
  if (capsule == nullptr) throw nb::python_error();
  static_cast<void>(out.release());  // the capsule owns it
  return nb::steal(capsule);
}

/// The stream protocol of Python's array API: the consumer's stream waits for what was given to ours.
void order_streams(Device device, nb::handle stream) {
  if (!on_gpu(device)) {
    if (device != Device::cpu()) synchronize(device);
    return;
  }
  const std::int64_t number = stream.is_none() ? 1 : to_int(stream, "stream");
  if (number == -1) return;
  // 1 and 2 stand for the legacy default stream and the thread's own, as they do in CUDA.
  const UseStream consumer(device, reinterpret_cast<void*>(static_cast<std::intptr_t>(number)));
}

bool equal_places(nb::handle wanted, dlpack::Device have) {
  return to_int(wanted[0], "dl_device") == have.type && to_int(wanted[1], "dl_device") == have.index;
}

nb::object to_dlpack(Tensor t, bool nchw, nb::handle stream, nb::handle max_version, nb::handle device,
                     nb::handle copy) {
  if (!device.is_none() && !equal_places(device, place_of(t.device()))) {
    if (!equal_places(device, {}) || copy.is(Py_False))
      throw nb::buffer_error(
          fmt::format("dlpack: the tensor is on {}; it goes out from there or from the CPU", t.device())
              .c_str());
    t = t.detach().to(Device::cpu());
  } else if (copy.is(Py_True)) {
    t = t.detach().clone();
  } else {
    share_memory(t);
  }
  order_streams(t.device(), stream);
  const bool versioned = !max_version.is_none() && to_int(max_version[0], "max_version") >= 1;
  if (versioned)
    return export_as<dlpack::ManagedVersioned>(
        t, nchw, kVersioned, [](PyObject* c) { destroy_capsule<dlpack::ManagedVersioned>(c, kVersioned); });
  return export_as<dlpack::Managed>(t, nchw, kOld,
                                    [](PyObject* c) { destroy_capsule<dlpack::Managed>(c, kOld); });
}

const char* format_of(DType t) {
  constexpr const char* kFormats[] = {"f", "d", "e", nullptr, "i", "q", "B", "?"};
  return kFormats[static_cast<int>(t)];
}

struct BufferAxes {
  Py_ssize_t shape[Shape::max_rank], strides[Shape::max_rank];
};

int get_buffer(PyObject* self, Py_buffer* view, int) noexcept {
  view->obj = nullptr;
  try {
    if (!nb::inst_ready(self)) fail("numpy", "the tensor was not made: its __init__ did not run");
    const Tensor& t = *nb::inst_ptr<Tensor>(self);
    if (on_gpu(t.device()))
      fail("numpy", "the host cannot address the memory of {}; copy it first with to(\"cpu\")", t.device());
    if (format_of(t.dtype()) == nullptr)
      fail("numpy", "NumPy has no bf16; convert it first with to(isobit.f32)");
    share_memory(t);
    if (t.device() != Device::cpu()) synchronize(t.device());
    auto axes = std::make_unique<BufferAxes>();
    Py_ssize_t step = size_of(t.dtype());
    for (int i = t.rank() - 1; i >= 0; --i) {
      axes->shape[i] = t.shape().begin()[i];
      axes->strides[i] = step;
      step *= t.shape().begin()[i];
    }
    view->buf = const_cast<void*>(t.raw());
    view->len = t.bytes();
    view->itemsize = size_of(t.dtype());
    view->readonly = 0;
    view->ndim = t.rank();
    view->format = const_cast<char*>(format_of(t.dtype()));
    view->shape = axes->shape;
    view->strides = axes->strides;
    view->suboffsets = nullptr;
    view->internal = axes.release();
    view->obj = self;
    Py_INCREF(self);
    return 0;
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_BufferError, error.what());
    return -1;
  }
}

void release_buffer(PyObject*, Py_buffer* view) noexcept {
  delete static_cast<BufferAxes*>(view->internal);
}

/// A tensor whose DLPack form has its channels first, without a copy.
struct Nchw {
  Tensor tensor;
};

template <class T, class Get>
void bind_dlpack(nb::class_<T>& type, bool nchw, Get get) {
  type.def(
          "__dlpack__",
          [nchw, get](const T& t, nb::handle stream, nb::handle max_version, nb::handle device,
                      nb::handle copy) { return to_dlpack(get(t), nchw, stream, max_version, device, copy); },
          nb::kw_only(), "stream"_a = nb::none(), "max_version"_a = nb::none(), "dl_device"_a = nb::none(),
          "copy"_a = nb::none())
      .def("__dlpack_device__", [get](const T& t) {
        const dlpack::Device place = place_of(get(t).device());
        return nb::make_tuple(place.type, place.index);
      });
}

/// A bf16 tensor of raw 16-bit words, which NumPy has and DLPack gives as unsigned ints.
Tensor from_words(nb::handle words) {
  Py_buffer view;
  if (PyObject_GetBuffer(words.ptr(), &view, PyBUF_ND | PyBUF_FORMAT) != 0) throw nb::python_error();
  const std::unique_ptr<Py_buffer, void (*)(Py_buffer*)> release(&view, PyBuffer_Release);
  if (view.itemsize != 2) throw nb::type_error("from_words: elements of 2 bytes are expected");
  std::vector<std::int64_t> extents(view.shape, view.shape + view.ndim);
  return from_bytes(view.buf, Shape(std::span<const std::int64_t>(extents)), {DType::bf16, Device::cpu()});
}

/// The 16-bit words of a bf16 tensor.
nb::bytes to_bytes(const Tensor& t) {
  nb::object bytes = nb::steal(PyBytes_FromStringAndSize(nullptr, t.bytes()));
  if (!bytes.is_valid()) throw nb::python_error();
  char* target = PyBytes_AS_STRING(bytes.ptr());
  unlocked([&] { t.copy_to_host(target); });
  return nb::borrow<nb::bytes>(bytes);
}

Tensor from_buffer(nb::bytes bytes, ShapeArg shape, DTypeArg dtype, DeviceArg device) {
  const Shape s = shape("shape");
  const DType d = dtype("dtype");
  if (static_cast<std::int64_t>(bytes.size()) != s.numel() * size_of(d))
    fail("from_bytes", "{} bytes for {} of shape {}, which takes {}", bytes.size(), d, s,
         s.numel() * size_of(d));
  return from_bytes(bytes.c_str(), s, {d, device("device")});
}

}  // namespace

const PyType_Slot* buffer_slots() {
  static const PyType_Slot slots[] = {{Py_bf_getbuffer, reinterpret_cast<void*>(&get_buffer)},
                                      {Py_bf_releasebuffer, reinterpret_cast<void*>(&release_buffer)},
                                      {0, nullptr}};
  return slots;
}

void bind_exchange(nb::module_& m, nb::class_<Tensor>& tensor) {
  bind_dlpack(tensor, false, [](const Tensor& t) -> const Tensor& { return t; });
  nb::class_<Nchw> nchw(m, "NchwView", "A tensor whose DLPack form has its channels first; shares memory.");
  bind_dlpack(nchw, true, [](const Nchw& view) -> const Tensor& { return view.tensor; });
  tensor
      .def(
          "nchw",
          [](const Tensor& t) {
            if (t.rank() < 3) fail("nchw", "{} has no axis between the samples and the channels", t.shape());
            return Nchw{t};
          },
          "For torch.from_dlpack(t.nchw()): [n, c, ...] in PyTorch's channels_last memory format, without a "
          "copy.")
      .def(
          "numpy", [](nb::handle self) { return nb::module_::import_("isobit._arrays").attr("numpy")(self); },
          nb::sig("def numpy(self) -> numpy.ndarray"),
          "The elements as a NumPy array that shares memory: isobit.numpy(self).")
      .def(
          "tolist",
          [](nb::handle self) { return nb::module_::import_("isobit._arrays").attr("tolist")(self); },
          "The elements as numbers in nested lists, from any device.")
      .def("tobytes", &to_bytes, "The elements, in row-major order and the machine's byte order.");
  m.def("from_dlpack", &from_dlpack, "x"_a, "layout"_a = nb::none(),
        nb::sig("def from_dlpack(x: object, layout: str | None = None) -> Tensor"),
        "The memory of anything with __dlpack__ (NumPy, PyTorch, CuPy, JAX) as a tensor, on its device and "
        "without a "
        "copy. It has to be contiguous. layout=\"nchw\" takes [n, c, ...] whose memory is channels last "
        "(torch.channels_last) and gives [n, ..., c]. The storage is marked as writable by others: a tensor "
        "that a "
        "gradient needs and that was changed before backward() is a ValueError.");
  m.def("from_bytes", &from_buffer, "data"_a, "shape"_a, "dtype"_a, "device"_a = nb::none(),
        "Copies raw bytes of that dtype, as tobytes() gives them.");
  m.def("_from_words", &from_words, "words"_a);
}

}  // namespace isobit::python
