#include "arguments.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

namespace isobit::python {
namespace {

std::string shown(nb::handle value) {
  std::string text = nb::cast<std::string>(nb::repr(value));
  return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

[[noreturn]] void wrong_type(const char* name, const char* expected, nb::handle value) {
  throw nb::type_error(fmt::format("{}: expected {}, got {} of type {}", name, expected, shown(value),
                                   nb::type_name(value.type()).c_str())
                           .c_str());
}

bool is_string(nb::handle value) {
  return PyUnicode_Check(value.ptr()) != 0;
}

bool is_int(nb::handle value) {
  return PyIndex_Check(value.ptr()) != 0 && PyBool_Check(value.ptr()) == 0;
}

/// A tuple, a list, or anything that is a sequence and no text.
std::optional<nb::object> as_sequence(nb::handle value) {
  if (is_string(value) || PyBytes_Check(value.ptr()) != 0 || PySequence_Check(value.ptr()) == 0) return {};
  nb::object items = nb::steal(PySequence_Fast(value.ptr(), ""));
  if (!items.is_valid()) {
    PyErr_Clear();
    return {};
  }
  return items;
}
Py_ssize_t length_of(const nb::object& items) {
  return PySequence_Fast_GET_SIZE(items.ptr());
}
nb::handle item_of(const nb::object& items, Py_ssize_t i) {
  return PySequence_Fast_GET_ITEM(items.ptr(), i);
}

std::pair<std::int64_t, std::int64_t> to_pair(nb::handle value, const char* name) {
  if (is_int(value)) {
    const std::int64_t both = to_int(value, name);
    return {both, both};
  }
  const auto items = as_sequence(value);
  if (!items || length_of(*items) != 2) wrong_type(name, "(before, after) for each axis", value);
  return {to_int(item_of(*items, 0), name), to_int(item_of(*items, 1), name)};
}

constexpr std::string_view kRules[] = {"valid", "same", "same_lower", "full", "causal"};
constexpr std::string_view kModes[] = {"constant", "reflect", "symmetric", "replicate", "circular"};

PadMode to_mode(nb::handle value, const char* name) {
  return static_cast<PadMode>(to_choice(value, name, {std::begin(kModes), std::end(kModes)}));
}

}  // namespace

std::int64_t to_int(nb::handle value, const char* name) {
  if (!is_int(value)) wrong_type(name, "an int", value);
  const nb::object index = nb::steal(PyNumber_Index(value.ptr()));
  if (!index.is_valid()) throw nb::python_error();
  int overflow = 0;
  const long long v = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
  if (overflow != 0)
    throw nb::value_error(fmt::format("{}: {} does not fit 64 bits", name, shown(index)).c_str());
  return v;
}

double to_double(nb::handle value, const char* name) {
  if (is_string(value)) wrong_type(name, "a float", value);
  const double v = PyFloat_AsDouble(value.ptr());
  if (v == -1.0 && PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    wrong_type(name, "a float", value);
  }
  return v;
}

bool to_bool(nb::handle value, const char* name) {
  if (PyBool_Check(value.ptr()) == 0) wrong_type(name, "a bool", value);
  return value.is(Py_True);
}

std::string to_text(nb::handle value, const char* name) {
  if (!is_string(value)) wrong_type(name, "a str", value);
  return nb::cast<std::string>(value);
}

bool read_number(nb::handle value, Number& number) noexcept {
  number = {};
  if (PyFloat_Check(value.ptr()) == 0 && PyIndex_Check(value.ptr()) != 0) {
    const nb::object index = nb::steal(PyNumber_Index(value.ptr()));
    if (index.is_valid()) {
      int overflow = 0;
      const long long integer = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
      if (overflow == 0) number.integer = integer;
    } else {
      PyErr_Clear();  // an array, say
    }
  }
  number.real = PyFloat_AsDouble(value.ptr());
  if (number.real != -1.0 || PyErr_Occurred() == nullptr) return true;
  PyErr_Clear();
  return false;
}

Number to_number(nb::handle value, const char* name) {
  Number number;
  if (!read_number(value, number)) wrong_type(name, "a number", value);
  return number;
}

std::int64_t Number::whole(const char* op, DType dtype) const {
  constexpr double kTwo63 = 9223372036854775808.0;
  std::int64_t least = std::numeric_limits<std::int64_t>::min(), most = -(least + 1);
  if (dtype == DType::i32) least = std::numeric_limits<std::int32_t>::min(), most = -(least + 1);
  if (dtype == DType::u8) least = 0, most = 255;
  if (dtype == DType::boolean) least = 0, most = 1;
  if (!integer && std::trunc(real) != real)
    fail(op, "{} is not a whole number, the elements are {}", real, dtype);
  const bool fits = integer || (real >= -kTwo63 && real < kTwo63);
  const std::int64_t value = integer ? *integer : fits ? static_cast<std::int64_t>(real) : 0;
  if (!fits || value < least || value > most)
    fail(op, "{} is out of range, {} holds {} to {}",
         integer ? fmt::format("{}", value) : fmt::format("{}", real), dtype, least, most);
  return value;
}

std::vector<std::int64_t> to_ints(nb::handle value, const char* name) {
  if (is_int(value)) return {to_int(value, name)};
  const auto items = as_sequence(value);
  if (!items) wrong_type(name, "an int or a sequence of ints", value);
  std::vector<std::int64_t> result;
  for (Py_ssize_t i = 0; i < length_of(*items); ++i) result.push_back(to_int(item_of(*items, i), name));
  return result;
}

int to_choice(nb::handle value, const char* name, const std::vector<std::string_view>& names) {
  if (!is_string(value)) wrong_type(name, "a str", value);
  const std::string text = nb::cast<std::string>(value);
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] == text) return static_cast<int>(i);
  throw nb::value_error(fmt::format("{}: '{}' is none of {}", name, text, fmt::join(names, ", ")).c_str());
}

Shape ShapeKind::parse(nb::handle v, const char* name) {
  return Shape(std::span<const std::int64_t>(to_ints(v, name)));
}

std::vector<int> AxesKind::parse(nb::handle v, const char* name) {
  std::vector<int> axes;
  if (v.is_none()) return axes;
  for (const std::int64_t axis : to_ints(v, name)) {
    if (axis != static_cast<int>(axis))
      throw nb::value_error(fmt::format("{}: there is no axis {}", name, axis).c_str());
    axes.push_back(static_cast<int>(axis));
  }
  return axes;
}

PerAxis PerAxisKind::parse(nb::handle v, const char* name) {
  const std::vector<std::int64_t> n = to_ints(v, name);
  switch (n.size()) {
    case 1:
      return n[0];
    case 2:
      return {n[0], n[1]};
    case 3:
      return {n[0], n[1], n[2]};
    default:
      throw nb::value_error(
          fmt::format("{}: {} numbers, expected one, or one for each of up to 3 spatial axes", name, n.size())
              .c_str());
  }
}

std::optional<PerAxis> OptionalPerAxisKind::parse(nb::handle v, const char* name) {
  if (v.is_none()) return {};
  return PerAxisKind::parse(v, name);
}

Padding PaddingKind::parse(nb::handle v, const char* name) {
  if (is_string(v)) {
    if (nb::cast<std::string>(v) == "same_upper") return SameRule::same_upper;
    return static_cast<SameRule>(to_choice(v, name, {std::begin(kRules), std::end(kRules)}));
  }
  if (is_int(v)) return to_int(v, name);
  const auto items = as_sequence(v);
  if (!items) wrong_type(name, "a rule's name, an int, or an int or (before, after) for each axis", v);
  if (length_of(*items) == 0) throw nb::value_error(fmt::format("{}: an empty sequence", name).c_str());
  std::vector<std::pair<std::int64_t, std::int64_t>> sides;
  for (Py_ssize_t i = 0; i < length_of(*items); ++i) sides.push_back(to_pair(item_of(*items, i), name));
  return sides;
}

PadModes PadModesKind::parse(nb::handle v, const char* name) {
  if (is_string(v)) return to_mode(v, name);
  const auto items = as_sequence(v);
  if (!items) wrong_type(name, "a padding mode's name, or one for each axis", v);
  const Py_ssize_t count = length_of(*items);
  if (count < 1 || count > 3)
    throw nb::value_error(fmt::format("{}: {} modes, expected 1 to 3", name, count).c_str());
  PadModes modes;
  modes.count = static_cast<int>(count);
  for (Py_ssize_t i = 0; i < count; ++i)
    modes.value[static_cast<std::size_t>(i)] = to_mode(item_of(*items, i), name);
  if (count == 1) modes = modes.value[0];
  return modes;
}

std::vector<std::pair<std::int64_t, std::int64_t>> WidthsKind::parse(nb::handle v, const char* name) {
  const auto items = as_sequence(v);
  if (!items) wrong_type(name, "(before, after) for each axis", v);
  std::vector<std::pair<std::int64_t, std::int64_t>> widths;
  for (Py_ssize_t i = 0; i < length_of(*items); ++i) widths.push_back(to_pair(item_of(*items, i), name));
  return widths;
}

Activate ActivateKind::parse(nb::handle v, const char* name) {
  if (v.is_none()) return Activate::none;
  return static_cast<Activate>(
      to_choice(v, name, {"none", "relu", "leaky_relu", "silu", "sigmoid", "tanh", "gelu"}));
}

std::optional<Math> MathKind::parse(nb::handle v, const char* name) {
  if (v.is_none()) return {};
  return static_cast<Math>(to_choice(v, name, {"exact", "fast", "fast-f16", "fast-bf16"}));
}

DType DTypeKind::parse(nb::handle v, const char* name) {
  if (nb::isinstance<ElementType>(v)) return nb::cast<ElementType>(v).value;
  if (is_string(v)) return parse_dtype(nb::cast<std::string>(v));
  wrong_type(name, "a DType or its name", v);
}

std::optional<DType> OptionalDTypeKind::parse(nb::handle v, const char* name) {
  if (v.is_none()) return {};
  return DTypeKind::parse(v, name);
}

Device DeviceKind::parse(nb::handle v, const char* name) {
  if (v.is_none()) return Device::cpu();
  if (nb::isinstance<Device>(v)) return nb::cast<Device>(v);
  if (is_string(v)) return Device::parse(nb::cast<std::string>(v));
  wrong_type(name, "a Device or its name", v);
}

Tensor TensorKind::parse(nb::handle v, const char* name) {
  if (v.is_none()) return {};
  const Tensor* t = nullptr;
  if (!nb::try_cast(v, t)) wrong_type(name, "a Tensor", v);
  return *t;
}

std::vector<Tensor> TensorsKind::parse(nb::handle v, const char* name) {
  if (nb::isinstance<Tensor>(v)) return {nb::cast<Tensor>(v)};
  const auto items = as_sequence(v);
  if (!items) wrong_type(name, "a sequence of Tensors", v);
  std::vector<Tensor> tensors;
  for (Py_ssize_t i = 0; i < length_of(*items); ++i) {
    if (item_of(*items, i).is_none()) wrong_type(name, "a sequence of Tensors", v);
    tensors.push_back(TensorKind::parse(item_of(*items, i), name));
  }
  return tensors;
}

Seed SeedKind::parse(nb::handle v, const char* name) {
  if (!is_int(v)) wrong_type(name, "an int", v);
  const nb::object index = nb::steal(PyNumber_Index(v.ptr()));
  const unsigned long long seed = index.is_valid() ? PyLong_AsUnsignedLongLong(index.ptr()) : 0;
  if (PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    throw nb::value_error(fmt::format("{}: {} is not in 0 .. 2^64 - 1", name, shown(v)).c_str());
  }
  return {seed};
}

RandomKey KeyKind::parse(nb::handle v, const char* name) {
  if (nb::isinstance<RandomKey>(v)) return nb::cast<RandomKey>(v);
  return {SeedKind::parse(v, name).value, 0};
}

nn::Init InitKind::parse(nb::handle v, const char* name) {
  if (v.is_none()) return {};
  if (nb::isinstance<nn::Init>(v)) return nb::cast<nn::Init>(v);
  wrong_type(name, "an initialiser of isobit.nn (kaiming_uniform(), constant(0), ...)", v);
}

data::Normalise NormaliseKind::parse(nb::handle v, const char* name) {
  if (v.is_none()) return {};
  if (nb::isinstance<data::Normalise>(v)) return nb::cast<data::Normalise>(v);
  wrong_type(name, "an isobit.data.Normalise", v);
}

data::Augment AugmentKind::parse(nb::handle v, const char* name) {
  if (v.is_none()) return {};
  if (nb::isinstance<data::Augment>(v)) return nb::cast<data::Augment>(v);
  wrong_type(name, "an isobit.data.Augment", v);
}

nb::tuple to_tuple(const Shape& shape) {
  nb::object tuple = nb::steal(PyTuple_New(shape.rank()));
  for (int i = 0; i < shape.rank(); ++i)
    PyTuple_SET_ITEM(tuple.ptr(), i, PyLong_FromLongLong(shape.begin()[i]));
  return nb::borrow<nb::tuple>(tuple);
}

nb::object to_object(Tensor t) {
  return t.defined() ? nb::cast(std::move(t)) : nb::none();
}

std::shared_ptr<PyObject> shared_count(nb::object object) {
  return {object.release().ptr(), [](PyObject* p) { locked_anywhere([p] { Py_XDECREF(p); }); }};
}

}  // namespace isobit::python
