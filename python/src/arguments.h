// What Python passes for the library's small types: ints and tuples for PerAxis, names for enums. Everything
// is hostile until it is checked; what has a wrong type is a TypeError, what has a wrong value a ValueError,
// and both name the argument.
#pragma once
#include <isobit/data.h>
#include <isobit/nn_init.h>
#include <isobit/ops.h>
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace isobit::python {

namespace nb = nanobind;
using namespace nb::literals;

/// An argument that is looked at by the function that gets it: so its error names it. `Kind` says what it
/// becomes.
template <class Kind>
struct Arg {
  nb::handle value;
  auto operator()(const char* name) const { return Kind::parse(value, name); }
};

/// An int (anything with __index__, no bool) that fits 64 bits.
std::int64_t to_int(nb::handle value, const char* name);
/// A float (anything with __float__ or __index__).
double to_double(nb::handle value, const char* name);
bool to_bool(nb::handle value, const char* name);
std::string to_text(nb::handle value, const char* name);
std::vector<std::int64_t> to_ints(nb::handle value, const char* name);
/// The name's place in `names`; a ValueError lists them.
int to_choice(nb::handle value, const char* name, const std::vector<std::string_view>& names);

/// A number of Python's that stands beside a tensor: an int keeps all its digits.
struct Number {
  double real = 0;
  std::optional<std::int64_t> integer;  ///< of an int (anything with __index__) that fits 64 bits

  /// Whether this int may have more digits than a double.
  bool beyond_double() const {
    constexpr std::int64_t kTwo53 = std::int64_t{1} << 53;
    return integer && (*integer > kTwo53 || *integer < -kTwo53);
  }
  /// The value as an element of an integer dtype or bool; a ValueError of `op` where there is none.
  std::int64_t whole(const char* op, DType dtype) const;
};
/// False when `value` is no number.
bool read_number(nb::handle value, Number& number) noexcept;
Number to_number(nb::handle value, const char* name);

struct IntKind {
  static std::int64_t parse(nb::handle v, const char* name) { return to_int(v, name); }
  static constexpr auto hint = nb::detail::const_name("int");
};
struct ShapeKind {
  static Shape parse(nb::handle v, const char* name);
  static constexpr auto hint = nb::detail::const_name("int | collections.abc.Sequence[int]");
};
struct AxesKind {  // None: all
  static std::vector<int> parse(nb::handle v, const char* name);
  static constexpr auto hint = nb::detail::const_name("int | collections.abc.Sequence[int] | None");
};
struct PerAxisKind {
  static PerAxis parse(nb::handle v, const char* name);
  static constexpr auto hint = nb::detail::const_name("int | collections.abc.Sequence[int]");
};
struct OptionalPerAxisKind {
  static std::optional<PerAxis> parse(nb::handle v, const char* name);
  static constexpr auto hint = nb::detail::const_name("int | collections.abc.Sequence[int] | None");
};
struct PaddingKind {  // a rule's name, a width, or a width or (before, after) for each axis
  static Padding parse(nb::handle v, const char* name);
  static constexpr auto hint =
      nb::detail::const_name("str | int | collections.abc.Sequence[int | tuple[int, int]]");
};
struct PadModesKind {
  static PadModes parse(nb::handle v, const char* name);
  static constexpr auto hint = nb::detail::const_name("str | collections.abc.Sequence[str]");
};
struct WidthsKind {  // (before, after) for each axis
  static std::vector<std::pair<std::int64_t, std::int64_t>> parse(nb::handle v, const char* name);
  static constexpr auto hint = nb::detail::const_name("collections.abc.Sequence[tuple[int, int]]");
};
struct ActivateKind {
  static Activate parse(nb::handle v, const char* name);
  static constexpr auto hint = nb::detail::const_name("str | None");
};
struct MathKind {  // None: what is around it
  static std::optional<Math> parse(nb::handle v, const char* name);
  static constexpr auto hint = nb::detail::const_name("str | None");
};
struct DTypeKind {
  static DType parse(nb::handle v, const char* name);
  static constexpr auto hint = nb::detail::const_name("DType | str");
};
struct OptionalDTypeKind {
  static std::optional<DType> parse(nb::handle v, const char* name);
  static constexpr auto hint = nb::detail::const_name("DType | str | None");
};
struct DeviceKind {  // None: the CPU
  static Device parse(nb::handle v, const char* name);
  static constexpr auto hint = nb::detail::const_name("Device | str | None");
};
struct TensorKind {  // None: the undefined tensor
  static Tensor parse(nb::handle v, const char* name);
  static constexpr auto hint = nb::detail::const_name("Tensor | None");
};
struct TensorsKind {
  static std::vector<Tensor> parse(nb::handle v, const char* name);
  static constexpr auto hint = nb::detail::const_name("collections.abc.Sequence[Tensor]");
};
struct SeedKind {
  static Seed parse(nb::handle v, const char* name);
  static constexpr auto hint = nb::detail::const_name("int");
};
struct KeyKind {  // RandomKey, or a seed for the stream of that name alone
  static RandomKey parse(nb::handle v, const char* name);
  static constexpr auto hint = nb::detail::const_name("RandomKey | int");
};
struct InitKind {  // None: the layer's choice
  static nn::Init parse(nb::handle v, const char* name);
  static constexpr auto hint = nb::detail::const_name("Init | None");
};
struct NormaliseKind {  // None: as it is; else (mean, deviation)
  static data::Normalise parse(nb::handle v, const char* name);
  static constexpr auto hint = nb::detail::const_name("Normalise | None");
};
struct AugmentKind {
  static data::Augment parse(nb::handle v, const char* name);
  static constexpr auto hint = nb::detail::const_name("Augment | None");
};

using IntArg = Arg<IntKind>;
using ShapeArg = Arg<ShapeKind>;
using AxesArg = Arg<AxesKind>;
using PerAxisArg = Arg<PerAxisKind>;
using OptionalPerAxisArg = Arg<OptionalPerAxisKind>;
using PaddingArg = Arg<PaddingKind>;
using PadModesArg = Arg<PadModesKind>;
using WidthsArg = Arg<WidthsKind>;
using ActivateArg = Arg<ActivateKind>;
using MathArg = Arg<MathKind>;
using DTypeArg = Arg<DTypeKind>;
using OptionalDTypeArg = Arg<OptionalDTypeKind>;
using DeviceArg = Arg<DeviceKind>;
using TensorArg = Arg<TensorKind>;
using TensorsArg = Arg<TensorsKind>;
using SeedArg = Arg<SeedKind>;
using KeyArg = Arg<KeyKind>;
using InitArg = Arg<InitKind>;
using NormaliseArg = Arg<NormaliseKind>;
using AugmentArg = Arg<AugmentKind>;

/// DType as Python sees it.
struct ElementType {
  DType value;
  std::string name() const { return std::string(name_of(value)); }
  friend bool operator==(ElementType, ElementType) = default;
};

/// A tuple of ints.
nb::tuple to_tuple(const Shape& shape);
/// None for an undefined tensor.
nb::object to_object(Tensor t);

/// Calls f without the interpreter's lock where the work (in elements) is worth it: taking the lock back can
/// cost more than a small op.
inline constexpr std::int64_t kLongWork = 8192;
template <class F>
auto unlocked(std::int64_t work, F&& f) {
  if (work < kLongWork) return f();
  nb::gil_scoped_release released;
  return f();
}
template <class F>
auto unlocked(F&& f) {
  nb::gil_scoped_release released;
  return f();
}

/// Calls f with the interpreter's lock, from whatever thread drops the last count of something of Python's:
/// also from its own thread while the interpreter ends (the lock is held then, and taking it again would be
/// fatal). When another thread comes that late there is nothing left to be told.
template <class F>
void locked_anywhere(F&& f) noexcept {
  if (PyGILState_Check() != 0) {
    f();
  } else if (Py_IsInitialized() != 0) {
    const PyGILState_STATE state = PyGILState_Ensure();
    f();
    PyGILState_Release(state);
  }
}

/// A count of a Python object that any thread may drop.
std::shared_ptr<PyObject> shared_count(nb::object object);

/// A Python callable that C++ keeps: may be copied and destroyed by any thread.
class Callable {
 public:
  explicit Callable(nb::object function) : owned_(shared_count(std::move(function))) {}
  /// Call with the lock held.
  nb::handle get() const { return owned_.get(); }

 private:
  std::shared_ptr<PyObject> owned_;
};

}  // namespace isobit::python

namespace nanobind::detail {
template <class Kind>
struct type_caster<isobit::python::Arg<Kind>> {
  NB_TYPE_CASTER(isobit::python::Arg<Kind>, Kind::hint)
  bool from_python(handle source, uint32_t, cleanup_list*) noexcept {
    value.value = source;
    return true;
  }
};
template <>
struct type_caster<isobit::python::Number> {
  NB_TYPE_CASTER(isobit::python::Number, const_name("float"))
  bool from_python(handle source, uint32_t, cleanup_list*) noexcept {
    return isobit::python::read_number(source, value);
  }
};
}  // namespace nanobind::detail
