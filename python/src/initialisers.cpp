// What modules say of themselves: initialisers, plans, summaries.
#include <isobit/nn_module.h>
#include <nanobind/stl/pair.h>

#include "module.h"

namespace isobit::python {
namespace {

void bind_plan(nb::module_& m) {
  nb::class_<nn::Fans>(m, "Fans",
                       "Terms that enter one output (fan in) and outputs that one input enters (fan out).")
      .def(
          "__init__",
          [](nn::Fans* self, IntArg in, IntArg out) {
            new (self) nn::Fans{in("fan_in"), out("fan_out")};
          },
          "fan_in"_a = 1, "fan_out"_a = 1)
      .def_ro("fan_in", &nn::Fans::in)
      .def_ro("fan_out", &nn::Fans::out);
  nb::class_<nn::ParameterSpec>(m, "ParameterSpec", "One parameter or buffer that a module asks for.")
      .def(
          "__init__",
          [](nn::ParameterSpec* self, std::string name, ShapeArg shape, InitArg init,
             std::pair<std::int64_t, std::int64_t> fans, bool compute_type) {
            new (self) nn::ParameterSpec{
                std::move(name), shape("shape"), init("init"), {fans.first, fans.second}, compute_type};
          },
          "name"_a, "shape"_a, "init"_a = nb::none(), "fans"_a = nb::make_tuple(1, 1),
          "compute_type"_a = false,
          "`init` None: zeros. `fans` (in, out) is what the initialiser scales by; compute_type: f32 in a "
          "half-precision network.")
      .def_ro("name", &nn::ParameterSpec::name)
      .def_prop_ro("shape", [](const nn::ParameterSpec& s) { return to_tuple(s.shape); });
  nb::class_<nn::Plan>(m, "Plan", "What a module says of itself for a given input: shapes of one sample.")
      .def(
          "__init__",
          [](nn::Plan* self, ShapeArg output, std::vector<nn::ParameterSpec> parameters,
             std::vector<nn::ParameterSpec> buffers, IntArg multiply_adds) {
            for (auto* specs : {&parameters, &buffers})
              for (nn::ParameterSpec& s : *specs) s.init = s.init.or_else(nn::zeros());
            new (self) nn::Plan{output("output"), std::move(parameters), std::move(buffers),
                                multiply_adds("multiply_adds")};
          },
          "output"_a, "parameters"_a = nb::make_tuple(), "buffers"_a = nb::make_tuple(),
          "multiply_adds"_a = 0)
      .def_prop_ro("output", [](const nn::Plan& p) { return to_tuple(p.output); });
}

void bind_initialisers(nb::module_& m) {
  nb::class_<nn::Init>(m, "Init", "How a parameter begins.")
      .def("__repr__",
           [](const nn::Init& i) {
             constexpr const char* kKinds[] = {"layers_choice", "constant", "uniform", "normal",
                                               "kaiming",       "xavier",   "lecun"};
             return fmt::format("Init({}{}, gain={}, a={}, b={})", kKinds[static_cast<int>(i.kind)],
                                i.gaussian ? ", gaussian" : "", i.gain, i.a, i.b);
           })
      .def("__reduce__", [](const nn::Init& i) {
        return nb::make_tuple(
            nb::module_::import_("isobit._pickle").attr("make_init"),
            nb::make_tuple(static_cast<int>(i.kind), i.gaussian, static_cast<int>(i.fan), i.gain, i.a, i.b));
      });
  m.def("_init", [](int kind, bool gaussian, int fan, double gain, double a, double b) {
    return nn::Init{static_cast<nn::Init::Kind>(kind), gaussian, static_cast<nn::Fan>(fan), gain, a, b};
  });
  const auto fan_of = [](nb::handle v) { return static_cast<nn::Fan>(to_choice(v, "fan", {"in", "out"})); };
  m.attr("relu_gain") = nn::relu_gain;
  m.def(
      "kaiming_uniform",
      [fan_of](double gain, nb::str fan) { return nn::kaiming_uniform(gain, fan_of(fan)); },
      "gain"_a = nn::relu_gain, "fan"_a = "in", "Uniform in +-gain * sqrt(3 / fan): He et al. 2015.");
  m.def(
      "kaiming_normal", [fan_of](double gain, nb::str fan) { return nn::kaiming_normal(gain, fan_of(fan)); },
      "gain"_a = nn::relu_gain, "fan"_a = "in", "Normal of deviation gain / sqrt(fan).");
  m.def("xavier_uniform", &nn::xavier_uniform, "gain"_a = 1.0,
        "Uniform in +-gain * sqrt(6 / (fan in + fan out)): Glorot and Bengio 2010.");
  m.def("xavier_normal", &nn::xavier_normal, "gain"_a = 1.0,
        "Normal of deviation gain * sqrt(2 / (fan in + fan out)).");
  m.def("lecun_uniform", &nn::lecun_uniform, "Uniform in +-sqrt(3 / fan in): LeCun et al. 1998.");
  m.def("lecun_normal", &nn::lecun_normal, "Normal of deviation 1 / sqrt(fan in).");
  m.def("init_uniform", &nn::uniform, "low"_a, "high"_a);
  m.def("init_normal", &nn::normal, "mean"_a, "deviation"_a);
  m.def("init_constant", &nn::constant, "value"_a);
  m.def(
      "initialize",
      [](InitArg init, ShapeArg shape, std::pair<std::int64_t, std::int64_t> fans, KeyArg key, DTypeArg dtype,
         DeviceArg device) {
        return nn::initialize(init("init"), shape("shape"), {fans.first, fans.second}, key("key"),
                              {dtype("dtype"), device("device")});
      },
      "init"_a, "shape"_a, "fans"_a, "key"_a, "dtype"_a = "f32", "device"_a = nb::none(),
      "A tensor drawn by `init`; fans is (in, out).");
}

void bind_summary(nb::module_& m) {
  nb::class_<nn::SummaryRow>(m, "SummaryRow", "One line of a summary.")
      .def_ro("path", &nn::SummaryRow::path)
      .def_ro("kind", &nn::SummaryRow::kind)
      .def_prop_ro("output", [](const nn::SummaryRow& r) { return to_tuple(r.output); })
      .def_ro("parameters", &nn::SummaryRow::parameters)
      .def_ro("buffers", &nn::SummaryRow::buffers)
      .def_ro("multiply_adds", &nn::SummaryRow::multiply_adds)
      .def_prop_ro(
          "math", [](const nn::SummaryRow& r) { return name_of(r.math); },
          "The arithmetic that it runs in where it is called from here.");
  nb::class_<nn::Summary>(m, "Summary", "A table of layer, output shape, parameters and multiply-adds.")
      .def_prop_ro("input", [](const nn::Summary& s) { return to_tuple(s.input); })
      .def_ro("rows", &nn::Summary::rows)
      .def_ro("parameters", &nn::Summary::parameters)
      .def_ro("buffers", &nn::Summary::buffers)
      .def_ro("multiply_adds", &nn::Summary::multiply_adds)
      .def_prop_ro(
          "math", [](const nn::Summary& s) { return name_of(s.math); }, "The network's, or the scope's.")
      .def("__str__", &nn::Summary::to_string)
      .def("__repr__", &nn::Summary::to_string);
}

}  // namespace

void bind_descriptions(nb::module_& m) {
  bind_initialisers(m);
  bind_plan(m);
  bind_summary(m);
}

}  // namespace isobit::python
