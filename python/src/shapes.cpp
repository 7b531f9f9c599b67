// Ops that move elements: axes, padding, rows by index.
#include <isobit/ops.h>

#include "module.h"

namespace isobit::python {
namespace {

Tensor permuted(const Tensor& x, const std::vector<int>& axes) {
  return unlocked(x.numel(), [&] { return permute(x, axes); });
}

void bind_padding(nb::module_& m) {
  m.def(
      "pad",
      [](const Tensor& x, WidthsArg widths, nb::handle mode, double value) {
        const auto w = widths("widths");
        std::vector<PadMode> modes;
        if (PyUnicode_Check(mode.ptr()) != 0) {
          modes.push_back(PadModesKind::parse(mode, "mode").value[0]);
        } else {
          for (const nb::handle one : nb::borrow<nb::sequence>(mode))
            modes.push_back(PadModesKind::parse(one, "mode").value[0]);
        }
        return unlocked(x.numel(), [&] { return pad(x, w, modes, value); });
      },
      "x"_a, "widths"_a, "mode"_a = "constant", "value"_a = 0.0,
      nb::sig("def pad(x: Tensor, widths: collections.abc.Sequence[tuple[int, int]], mode: str | "
              "collections.abc.Sequence[str] = 'constant', value: float = 0.0) -> Tensor"),
      "(before, after) for each axis, outermost first; negative crops. The mode (constant, reflect, "
      "symmetric, "
      "replicate, circular) is one for all axes, or one for each; widths beyond the axis go on by the mode's "
      "rule. "
      "Any dtype. Gradient: the elements that read one are added in row-major order.");
}

void bind_rows_by_index(nb::module_& m) {
  m.def(
      "gather",
      [](const Tensor& x, const Tensor& index) {
        return unlocked(x.numel(), [&] { return gather(x, index); });
      },
      "x"_a, "index"_a,
      "Row index[i] of x for each i; index i64 of any shape, result shape index.shape + x.shape[1:]. "
      "ValueError on "
      "an index outside. Gradient: chain in ascending position.");
  m.def(
      "scatter_add",
      [](const Tensor& y, const Tensor& index, IntArg rows) {
        const std::int64_t count = rows("rows");
        return unlocked(y.numel(), [&] { return scatter_add(y, index, count); });
      },
      "y"_a, "index"_a, "rows"_a,
      "The adjoint of gather: rows of y added to row index[i] of `rows` zero rows.");
  m.def(
      "one_hot",
      [](const Tensor& labels, IntArg classes, double on, double off, DTypeArg dtype) {
        return one_hot(labels, classes("classes"), on, off, dtype("dtype"));
      },
      "labels"_a, "classes"_a, "on"_a = 1.0, "off"_a = 0.0, "dtype"_a = "f32",
      "[n] i64 to [n, classes]: on where the class is the label, else off. ValueError on a label outside.");
}

}  // namespace

void bind_shapes(nb::module_& m, nb::class_<Tensor>& tensor) {
  m.def(
      "broadcast_to", [](const Tensor& x, ShapeArg shape) { return broadcast_to(x, shape("shape")); }, "x"_a,
      "shape"_a);
  m.def(
      "permute", [](const Tensor& x, AxesArg axes) { return permuted(x, axes("axes")); }, "x"_a, "axes"_a,
      "Output axis i is input axis axes[i]. Any dtype (gradient for floating).");
  m.def(
      "transpose", [](const Tensor& x) { return unlocked(x.numel(), [&] { return transpose(x); }); }, "x"_a,
      "The last two axes.");
  m.def(
      "to_nchw", [](const Tensor& x) { return unlocked(x.numel(), [&] { return to_nchw(x); }); }, "x"_a,
      "[n, ..., c] to [n, c, ...], a copy: for people and files that think channels first.");
  m.def(
      "from_nchw", [](const Tensor& x) { return unlocked(x.numel(), [&] { return from_nchw(x); }); }, "x"_a,
      "[n, c, ...] to [n, ..., c], a copy.");
  m.def(
      "concat",
      [](TensorsArg parts, int axis) {
        const auto p = parts("parts");
        return unlocked([&] { return concat(p, axis); });
      },
      "parts"_a, "axis"_a = 0);
  m.def(
      "stack",
      [](TensorsArg parts, int axis) {
        const auto p = parts("parts");
        return unlocked([&] { return stack(p, axis); });
      },
      "parts"_a, "axis"_a = 0);
  m.def(
      "flip",
      [](const Tensor& x, AxesArg axes) {
        const auto a = axes("axes");
        return unlocked(x.numel(), [&] { return flip(x, a); });
      },
      "x"_a, "axes"_a, "Reverses the axes. Any dtype.");
  m.def(
      "flatten", [](const Tensor& x, int from_axis) { return flatten(x, from_axis); }, "x"_a,
      "from_axis"_a = 1);
  m.def(
      "reshape", [](const Tensor& x, ShapeArg shape) { return x.reshape(to_ints(shape.value, "shape")); },
      "x"_a, "shape"_a, "x.reshape(shape)");
  bind_padding(m);
  bind_rows_by_index(m);

  tensor
      .def(
          "permute",
          [](const Tensor& x, const nb::args& axes) {
            return permuted(
                x, AxesKind::parse(axes.size() == 1 ? nb::handle(axes[0]) : nb::handle(axes), "axes"));
          },
          nb::sig("def permute(self, *axes: int | collections.abc.Sequence[int]) -> Tensor"),
          "Output axis i is input axis axes[i].")
      .def(
          "transpose", [](const Tensor& x) { return transpose(x); }, "The last two axes.")
      .def_prop_ro(
          "T", [](const Tensor& x) { return transpose(x); }, "The last two axes exchanged.")
      .def(
          "flatten", [](const Tensor& x, int from_axis) { return flatten(x, from_axis); }, "from_axis"_a = 1)
      .def(
          "broadcast_to", [](const Tensor& x, ShapeArg shape) { return broadcast_to(x, shape("shape")); },
          "shape"_a);
}

}  // namespace isobit::python
