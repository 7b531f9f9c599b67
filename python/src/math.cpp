// Which arithmetic convolutions and matrix products run in: the scope.
#include <isobit/arithmetic.h>

#include <memory>
#include <stdexcept>

#include "module.h"

namespace isobit::python {
namespace {

/// with math("fast"): as a context manager, entered as often as one likes.
struct MathMode {
  Math math;
  std::vector<std::unique_ptr<MathScope>> scopes;
  explicit MathMode(Math m) : math(m) {}
  MathMode(const MathMode&) = delete;
  MathMode& operator=(const MathMode&) = delete;
};

}  // namespace

void bind_math(nb::module_& m) {
  nb::class_<MathMode>(
      m, "math",
      "with math(\"fast\"): convolutions and matrix products of this thread, and their gradients wherever "
      "they "
      "are computed, run in that arithmetic: \"exact\", \"fast\" (f32 through tf32, on CPUs through two "
      "bf16), "
      "\"fast-f16\" or \"fast-bf16\", or a member of isobit.Math. A device without a fast algorithm for a "
      "problem computes it exactly. Also as a decorator.")
      .def(
          "__init__",
          [](MathMode* self, MathArg math) {
            const std::optional<Math> of = math("math");
            if (!of) throw nb::type_error("math: expected the name of an arithmetic, got None");
            new (self) MathMode(*of);
          },
          "math"_a, nb::sig("def __init__(self, math: str) -> None"))
      .def_prop_ro("name", [](const MathMode& self) { return name_of(self.math); })
      .def("__enter__", [](MathMode& self) { self.scopes.push_back(std::make_unique<MathScope>(self.math)); })
      .def("__exit__", [](MathMode& self, nb::args) {
        if (self.scopes.empty()) throw std::runtime_error("math: __exit__ without an __enter__");
        self.scopes.pop_back();
      });
  m.def(
      "current_math", [] { return name_of(current_math()); },
      "The scope's arithmetic on this thread; \"exact\" outside of any.");
}

}  // namespace isobit::python
