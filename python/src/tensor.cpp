// Tensor: its members, creation, indexing, comparison by bits.
#include <isobit/tensor.h>

#include <isobit/ops.h>

#include <cmath>

#include "module.h"

namespace isobit::python {
namespace {

TensorOptions options(const DTypeArg& dtype, const DeviceArg& device) {
  return {dtype("dtype"), device("device")};
}

/// Extents as several arguments, or as one sequence: reshape(2, 3), reshape((2, 3)).
std::vector<std::int64_t> extents_of(const nb::args& args) {
  if (args.size() == 1) return to_ints(args[0], "shape");
  return to_ints(args, "shape");
}

/// One axis of an index: elements [from, to), and whether the axis goes.
struct Range {
  std::int64_t from = 0, to = 0;
  bool drop = false;
};

Range range_of(nb::handle index, int axis, std::int64_t extent) {
  if (PySlice_Check(index.ptr()) != 0) {
    Py_ssize_t from = 0, to = 0, step = 0;
    if (PySlice_Unpack(index.ptr(), &from, &to, &step) != 0) throw nb::python_error();
    if (step != 1) throw nb::index_error("a slice of a Tensor has step 1: others go by gather or NumPy");
    PySlice_AdjustIndices(extent, &from, &to, step);
    return {from, std::max(from, to), false};
  }
  if (PyIndex_Check(index.ptr()) == 0 || PyBool_Check(index.ptr()) != 0)
    throw nb::type_error("a Tensor is indexed by ints, slices, ... and i64 Tensors (rows, as gather)");
  const std::int64_t given = to_int(index, "index");
  const std::int64_t i = given < 0 ? given + extent : given;
  if (i < 0 || i >= extent)
    throw nb::index_error(
        fmt::format("index {} is outside of axis {} with extent {}", given, axis, extent).c_str());
  return {i, i + 1, true};
}

/// What t[a, b, ...] leaves of each axis.
std::vector<Range> ranges_of(const Tensor& t, const nb::tuple& index) {
  const int rank = t.rank();
  int given = 0;
  bool dots = false;
  for (const nb::handle item : index) {
    const bool is_dots = item.ptr() == Py_Ellipsis;
    if (is_dots && dots) throw nb::index_error("... may stand in an index once");
    dots = dots || is_dots;
    given += is_dots ? 0 : 1;
  }
  if (given > rank)
    throw nb::index_error(fmt::format("{} indices for a tensor of shape {}", given, t.shape()).c_str());
  std::vector<Range> ranges;
  const auto whole = [&](int count) {
    for (int i = 0; i < count; ++i) ranges.push_back({0, t.shape(static_cast<int>(ranges.size())), false});
  };
  for (const nb::handle item : index) {
    const int axis = static_cast<int>(ranges.size());
    if (item.ptr() == Py_Ellipsis)
      whole(rank - given);
    else
      ranges.push_back(range_of(item, axis, t.shape(axis)));
  }
  whole(rank - static_cast<int>(ranges.size()));
  return ranges;
}

/// Rows of the first axis share storage; what is cut from other axes is a copy. Differentiable.
Tensor cut(const Tensor& t, const std::vector<Range>& ranges) {
  Tensor y = t;
  std::vector<std::pair<std::int64_t, std::int64_t>> widths;
  std::vector<std::int64_t> kept;
  bool inner = false, drops = false;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const auto [from, to, drop] = ranges[i];
    const std::int64_t extent = t.shape(static_cast<int>(i));
    if (i == 0) {
      if (from != 0 || to != extent) y = y.slice(from, to);
      widths.emplace_back(0, 0);
    } else {
      widths.emplace_back(-from, to - extent);
      inner = inner || from != 0 || to != extent;
    }
    drops = drops || drop;
    if (!drop) kept.push_back(to - from);
  }
  if (inner) y = pad(y, widths);
  return drops ? y.reshape(Shape(std::span<const std::int64_t>(kept))) : y;
}

Tensor get_item(const Tensor& t, nb::handle index) {
  const Tensor* rows = nullptr;
  if (nb::try_cast(index, rows) && rows != nullptr) return gather(t, *rows);
  const nb::tuple items =
      PyTuple_Check(index.ptr()) != 0 ? nb::borrow<nb::tuple>(index) : nb::make_tuple(index);
  const std::vector<Range> ranges = ranges_of(t, items);
  return unlocked(t.numel(), [&] { return cut(t, ranges); });
}

Tensor convert(const Tensor& t, nb::handle target) {
  Device device;
  if (nb::isinstance<ElementType>(target)) {
    const DType dtype = nb::cast<ElementType>(target).value;
    return unlocked(t.numel(), [&] { return t.to(dtype); });
  }
  if (PyUnicode_Check(target.ptr()) != 0) {
    const std::string name = nb::cast<std::string>(target);
    for (const DType dtype :
         {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i32, DType::i64, DType::u8, DType::boolean})
      if (name_of(dtype) == name) return unlocked(t.numel(), [&] { return t.to(dtype); });
    device = Device::parse(name);
  } else {
    device = DeviceKind::parse(target, "to");
  }
  return unlocked([&] { return t.to(device); });
}

/// The one element, as Python has it.
nb::object item(const Tensor& t) {
  if (t.numel() == 1 && t.dtype() == DType::i64) return nb::int_(t.to_vector<std::int64_t>()[0]);
  const double value = unlocked(kLongWork, [&] { return t.item(); });
  if (t.dtype() == DType::boolean) return nb::bool_(value != 0);
  if (is_floating(t.dtype())) return nb::float_(value);
  return nb::int_(static_cast<std::int64_t>(value));
}

void fill(Tensor& t, const Number& value) {
  if (is_floating(t.dtype())) return t.fill(value.real);
  const std::int64_t whole = value.whole("fill", t.dtype());
  if (value.beyond_double())
    t.copy_from(full(t.shape(), whole, {t.dtype(), t.device()}));
  else
    t.fill(static_cast<double>(whole));
}

void bind_members(nb::class_<Tensor>& tensor) {
  tensor.def_prop_ro("shape", [](const Tensor& t) { return to_tuple(t.shape()); })
      .def_prop_ro("rank", &Tensor::rank, "The number of axes.")
      .def_prop_ro("ndim", &Tensor::rank, "The number of axes.")
      .def_prop_ro("dtype", [](const Tensor& t) { return ElementType{t.dtype()}; })
      .def_prop_ro("device", &Tensor::device)
      .def_prop_ro("nbytes", &Tensor::bytes)
      .def_prop_ro("version", &Tensor::version, "Writes counted so far on this tensor's storage.")
      .def("numel", &Tensor::numel, "The number of elements.")
      .def(
          "data_ptr", [](const Tensor& t) { return reinterpret_cast<std::uintptr_t>(t.raw()); },
          "Address of the first element: on the host for the CPU, on the device elsewhere.")
      .def("item", &item, "The value of a tensor with one element; ValueError otherwise.")
      .def("__bool__", [](const Tensor& t) { return t.item() != 0; })
      .def("__float__", [](const Tensor& t) { return t.item(); })
      .def("__int__", [](const Tensor& t) { return nb::int_(item(t)); })
      .def("__len__",
           [](const Tensor& t) {
             if (t.rank() == 0) throw nb::type_error("a tensor of rank 0 has no length");
             return t.shape(0);
           })
      .def("__getitem__", &get_item, "index"_a.none(),
           "ints, slices of step 1 and ..., or an i64 Tensor of rows (gather). What is cut from the first "
           "axis alone "
           "shares storage, the rest is a copy. Differentiable.")
      .def(
          "reshape", [](const Tensor& t, const nb::args& shape) { return t.reshape(extents_of(shape)); },
          nb::sig("def reshape(self, *shape: int | collections.abc.Sequence[int]) -> Tensor"),
          "Shares storage. One extent may be -1 and is inferred. Differentiable. ValueError when the counts "
          "differ.")
      .def(
          "slice", [](const Tensor& t, IntArg from, IntArg to) { return t.slice(from("from"), to("to")); },
          "from_"_a, "to"_a, "Rows [from_, to) of the first axis; shares storage. Differentiable.")
      .def("to", &convert, "target"_a,
           "On another device, or as another dtype (or itself): to(\"cuda\"), to(isobit.f16). Float to "
           "integer "
           "truncates and saturates, NaN gives 0; floats round to nearest even, once. Differentiable between "
           "floating "
           "types.")
      .def(
          "clone", [](const Tensor& t) { return unlocked(t.numel(), [&] { return t.clone(); }); },
          "A new tensor of the same values with storage of its own. Differentiable.")
      .def(
          "copy_from",
          [](Tensor& t, const Tensor& source) { unlocked(t.numel(), [&] { t.copy_from(source); }); },
          "source"_a,
          "Overwrites the values in place with those of source (same shape and dtype, any device). Counts as "
          "a write: "
          "ValueError for the result of a recorded op.")
      .def(
          "fill", [](Tensor& t, Number value) { unlocked(t.numel(), [&] { fill(t, value); }); }, "value"_a,
          "ValueError for a number that integer elements cannot hold.")
      .def(
          "digest", [](const Tensor& t) { return unlocked([&] { return t.digest(); }); },
          "SHA-256 of dtype, shape and the little-endian elements (NaNs made canonical), in hex.")
      .def(
          "to_string", [](const Tensor& t, int edge) { return unlocked([&] { return t.to_string(edge); }); },
          "edge"_a = 3, "NumPy-like text; at most edge values at each end of an axis that is longer.")
      .def("__hash__", [](const Tensor& t) { return reinterpret_cast<std::uintptr_t>(t.impl()) >> 4; })
      .def("__copy__", [](const Tensor& t) { return t; })
      .def(
          "__deepcopy__", [](const Tensor& t, nb::handle) { return t.clone(); }, "memo"_a.none());
}

void bind_creation(nb::module_& m) {
  m.def(
      "empty",
      [](ShapeArg shape, DTypeArg dtype, DeviceArg device) {
        return empty(shape("shape"), options(dtype, device));
      },
      "shape"_a, "dtype"_a = "f32", "device"_a = nb::none(), "Uninitialised memory.");
  m.def(
      "zeros",
      [](ShapeArg shape, DTypeArg dtype, DeviceArg device) {
        return zeros(shape("shape"), options(dtype, device));
      },
      "shape"_a, "dtype"_a = "f32", "device"_a = nb::none());
  m.def(
      "ones",
      [](ShapeArg shape, DTypeArg dtype, DeviceArg device) {
        return ones(shape("shape"), options(dtype, device));
      },
      "shape"_a, "dtype"_a = "f32", "device"_a = nb::none());
  m.def(
      "full",
      [](ShapeArg shape, nb::handle value, DTypeArg dtype, DeviceArg device) {
        const Number number = to_number(value, "value");
        const Shape s = shape("shape");
        const TensorOptions o = options(dtype, device);
        if (!is_floating(o.dtype)) return full(s, number.whole("full", o.dtype), o);
        return number.integer ? full(s, *number.integer, o) : full(s, number.real, o);
      },
      "shape"_a, "value"_a, "dtype"_a = "f32", "device"_a = nb::none(),
      "ValueError for a number that elements of an integer dtype cannot hold.");
  m.def("zeros_like", &zeros_like, "t"_a);
  m.def("ones_like", &ones_like, "t"_a);
  m.def("empty_like", &empty_like, "t"_a);
  m.def(
      "arange",
      [](IntArg count, double start, double step, DTypeArg dtype, DeviceArg device) {
        return arange(count("count"), start, step, options(dtype, device));
      },
      "count"_a, "start"_a = 0.0, "step"_a = 1.0, "dtype"_a = "f32", "device"_a = nb::none(),
      "start, start + step, ...: `count` of them; element i is start + i * step, computed in f64 and rounded "
      "once.");
  m.def(
      "eye", [](IntArg n, DTypeArg dtype, DeviceArg device) { return eye(n("n"), options(dtype, device)); },
      "n"_a, "dtype"_a = "f32", "device"_a = nb::none());
  m.def(
      "random_uniform",
      [](ShapeArg shape, KeyArg key, double low, double high, DTypeArg dtype, DeviceArg device,
         SeedArg first) {
        const Shape s = shape("shape");
        const RandomKey k = key("key");
        const TensorOptions o = options(dtype, device);
        const std::uint64_t f = first("first").value;
        return unlocked(s.numel(), [&] { return random_uniform(s, k, low, high, o, f); });
      },
      "shape"_a, "key"_a, "low"_a = 0.0, "high"_a = 1.0, "dtype"_a = "f32", "device"_a = nb::none(),
      "first"_a = 0,
      "Uniform in [low, high): element i is drawn at counter first + i of the key's stream. A plain int is "
      "the key "
      "RandomKey(int, 0).");
  m.def(
      "random_normal",
      [](ShapeArg shape, KeyArg key, double mean, double deviation, DTypeArg dtype, DeviceArg device,
         SeedArg first) {
        const Shape s = shape("shape");
        const RandomKey k = key("key");
        const TensorOptions o = options(dtype, device);
        const std::uint64_t f = first("first").value;
        return unlocked(s.numel(), [&] { return random_normal(s, k, mean, deviation, o, f); });
      },
      "shape"_a, "key"_a, "mean"_a = 0.0, "deviation"_a = 1.0, "dtype"_a = "f32", "device"_a = nb::none(),
      "first"_a = 0, "Normal by Box and Muller; element i is drawn at counter first + i.");
}

}  // namespace

void bind_tensor(nb::module_& m) {
  nb::class_<Tensor> tensor(
      m, "Tensor",
      "A shape, an element type and a counted reference to storage on one device. Always contiguous, "
      "channels last by "
      "convention (n, (d, h,) w, c). reshape and a slice along the first axis share storage with their "
      "source, every "
      "other op makes a new tensor. Concurrent reads are fine, a write needs the caller's exclusion.",
      nb::is_weak_referenceable(), nb::type_slots(buffer_slots()));
  bind_members(tensor);
  bind_creation(m);
  bind_exchange(m, tensor);
  bind_elementwise(m, tensor);
  bind_shapes(m, tensor);
  bind_rows(m, tensor);
  bind_autograd(m, tensor);
  m.def(
      "equal_bits",
      [](const Tensor& a, const Tensor& b) { return unlocked(a.numel(), [&] { return equal_bits(a, b); }); },
      "a"_a, "b"_a,
      "Same dtype, shape and bits (any NaN equals any NaN; -0 differs from +0), on whatever devices the two "
      "live.");
  m.def(
      "first_difference",
      [](const Tensor& a, const Tensor& b) {
        return unlocked(a.numel(), [&] { return first_difference(a, b); });
      },
      "a"_a, "b"_a,
      "Index of the first element whose bits differ, or -1. ValueError when dtype or shape differ.");
}

}  // namespace isobit::python
