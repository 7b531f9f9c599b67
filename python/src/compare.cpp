// Why two results differ: isobit.compare.
#include <isobit/compare.h>

#include "module.h"

namespace isobit::python {
namespace {

namespace cmp = compare;

cmp::Op op_of(const std::string& name) {
  for (const cmp::Op op : {cmp::Op::conv, cmp::Op::linear, cmp::Op::avg_pool, cmp::Op::max_pool})
    if (cmp::name_of(op) == name) return op;
  throw nb::value_error(
      fmt::format("judge: there is no op \"{}\": choose conv, linear, avg_pool or max_pool", name).c_str());
}

cmp::Result result_of(const std::string& name) {
  for (const cmp::Result r : {cmp::Result::y, cmp::Result::dx, cmp::Result::dw, cmp::Result::db})
    if (cmp::name_of(r) == name) return r;
  throw nb::value_error(
      fmt::format("judge: there is no result \"{}\": choose y, dx, dw or db", name).c_str());
}

void bind_judgement(nb::module_& m) {
  using cmp::Judgement;
  nb::class_<Judgement>(m, "Judgement", "Why a result differs; str() is a report of a few lines.")
      .def_prop_ro(
          "verdict", [](const Judgement& j) { return std::string(cmp::name_of(j.verdict)); },
          "\"bit-equal\", \"reordered\", \"lower precision\", \"overflow\", \"NaN swallowed\", \"wrong\".")
      .def_ro("explanation", &Judgement::explanation, "\"filter flipped\"; empty if nothing explains it.")
      .def_ro("others", &Judgement::others, "Further faults that would explain it as well.")
      .def_ro("note", &Judgement::note)
      .def_ro("numel", &Judgement::numel)
      .def_ro("different", &Judgement::different, "Elements whose bits are not exact mode's.")
      .def_ro("beyond", &Judgement::beyond, "Elements outside of the bound of exact arithmetic.")
      .def_ro("max_share", &Judgement::max_share, "The largest |error| / bound.")
      .def_ro("median_share", &Judgement::median_share)
      .def_ro("max_error", &Judgement::max_error)
      .def_ro("ratio", &Judgement::ratio, "rms of the error / rms of the error of isobit's exact result.")
      .def_ro("first", &Judgement::first, "The first element beyond the bound, or else that differs; or -1.")
      .def_prop_ro(
          "where", [](const Judgement& j) { return j.where.words; },
          "Where the wrong elements lie, in words.")
      .def_prop_ro(
          "map", [](const Judgement& j) { return to_object(j.where.map); },
          nb::sig("def map(self) -> Tensor | None"),
          "f32 [rows, columns]: the largest share of the bound at each position.")
      .def_prop_ro("map_axes", [](const Judgement& j) { return j.where.map_axes; })
      .def("__str__", &Judgement::to_string);
}

}  // namespace

void bind_compare(nb::module_& parent) {
  nb::module_ m = parent.def_submodule("compare", "Why two results differ (docs/compare.md).");
  bind_judgement(m);
  m.def(
      "judge",
      [](const std::string& op, const Tensor& got, const Tensor& x, TensorArg w, TensorArg b, TensorArg dy,
         const std::string& result, PerAxisArg window, OptionalPerAxisArg stride, PaddingArg padding,
         PerAxisArg dilation, IntArg groups, PadModesArg mode, double pad_value, bool flip, bool ceil_mode,
         bool count_include_pad) {
        cmp::Problem p;
        p.op = op_of(op);
        p.result = result_of(result);
        p.x = x;
        p.w = w("w");
        p.b = b("b");
        p.dy = dy("dy");
        const std::optional<PerAxis> step = stride("stride");
        p.conv = {step.value_or(1), padding("padding"), dilation("dilation"),
                  groups("groups"), Activate::none,     0.01,
                  mode("mode"),     pad_value,          flip};
        p.window = window("window");
        p.pool = {step, padding("padding"), dilation("dilation"), ceil_mode, count_include_pad};
        return unlocked([&] { return cmp::judge(p, got); });
      },
      "op"_a, "got"_a, "x"_a, "w"_a = nb::none(), "b"_a = nb::none(), "dy"_a = nb::none(), "result"_a = "y",
      "window"_a = 1, "stride"_a = nb::none(), "padding"_a = "valid", "dilation"_a = 1, "groups"_a = 1,
      "mode"_a = "constant", "pad_value"_a = 0.0, "flip"_a = false, "ceil_mode"_a = false,
      "count_include_pad"_a = false,
      "Judges `got`, the result of an op (conv, linear, avg_pool, max_pool) from whatever device or library: "
      "bits, "
      "order of summation, precision of operands, or a fault, and where. result is \"y\", or of the "
      "gradients for dy "
      "\"dx\", \"dw\", \"db\"; the other arguments are those of the op.");
  m.def(
      "round_operands",
      [](const Tensor& t, const std::string& to) {
        return unlocked(t.numel(), [&] { return cmp::round_operands(t, cmp::parse_operands(to)); });
      },
      "t"_a, "to"_a,
      "The values of t rounded to \"tf32\", \"bf16\", \"f16\" (or \"f32\"), of t's own dtype.");
}

}  // namespace isobit::python
