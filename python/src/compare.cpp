// Why two results differ: isobit.compare.
#include <isobit/compare_network.h>

#include <span>

#include "layer.h"
#include "module.h"

namespace isobit::python {
namespace {

namespace cmp = compare;

template <class Enum>
Enum named(const std::string& name, const char* what, std::initializer_list<Enum> all) {
  std::vector<std::string_view> names;
  for (const Enum one : all) {
    if (cmp::name_of(one) == name) return one;
    names.push_back(cmp::name_of(one));
  }
  throw nb::value_error(
      fmt::format("there is no {} \"{}\": choose {}", what, name, fmt::join(names, ", ")).c_str());
}

cmp::Op op_of(const std::string& name) {
  return named(
      name, "op",
      {cmp::Op::conv, cmp::Op::conv_transpose, cmp::Op::linear, cmp::Op::avg_pool, cmp::Op::max_pool});
}

cmp::Result result_of(const std::string& name) {
  return named(name, "result", {cmp::Result::y, cmp::Result::dx, cmp::Result::dw, cmp::Result::db});
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

/// What `fails` says of something smaller.
template <class T>
std::function<bool(const T&)> asked(nb::object fails) {
  return [fails = Callable(std::move(fails))](const T& smaller) {
    nb::gil_scoped_acquire locked;
    return to_bool(fails.get()(smaller), "fails' result");
  };
}

void bind_problem(nb::module_& m) {
  using cmp::Problem;
  nb::class_<Problem>(
      m, "Problem",
      "One op and everything it reads: what a result is judged by. op is \"conv\", "
      "\"conv_transpose\", \"linear\", \"avg_pool\" or \"max_pool\"; result is \"y\", or of the "
      "gradients for dy \"dx\", \"dw\", \"db\"; the other arguments are those of the op, the "
      "activation none or relu.")
      .def(
          "__init__",
          [](Problem* self, const std::string& op, const Tensor& x, TensorArg w, TensorArg b, TensorArg dy,
             const std::string& result, PerAxisArg window, OptionalPerAxisArg stride, PaddingArg padding,
             PerAxisArg dilation, IntArg groups, ActivateArg activation, PadModesArg mode, double pad_value,
             bool flip, PerAxisArg output_padding, OptionalPerAxisArg output_shape, bool ceil_mode,
             bool count_include_pad) {
            Problem p;
            p.op = op_of(op);
            p.result = result_of(result);
            p.x = x;
            p.w = w("w");
            p.b = b("b");
            p.dy = dy("dy");
            const std::optional<PerAxis> step = stride("stride");
            p.conv = {step.value_or(1),
                      padding("padding"),
                      dilation("dilation"),
                      groups("groups"),
                      activation("activation"),
                      0.01,
                      mode("mode"),
                      pad_value,
                      flip};
            p.transpose = {p.conv.stride,
                           p.conv.padding,
                           p.conv.dilation,
                           p.conv.groups,
                           p.conv.activation,
                           p.conv.slope,
                           p.conv.mode,
                           flip,
                           output_padding("output_padding"),
                           output_shape("output_shape")};
            p.window = window("window");
            p.pool = {step, p.conv.padding, p.conv.dilation, ceil_mode, count_include_pad};
            new (self) Problem(std::move(p));
          },
          "op"_a, "x"_a, "w"_a = nb::none(), "b"_a = nb::none(), "dy"_a = nb::none(), "result"_a = "y",
          "window"_a = 1, "stride"_a = nb::none(), "padding"_a = "valid", "dilation"_a = 1, "groups"_a = 1,
          "activation"_a = "none", "mode"_a = "constant", "pad_value"_a = 0.0, "flip"_a = false,
          "output_padding"_a = 0, "output_shape"_a = nb::none(), "ceil_mode"_a = false,
          "count_include_pad"_a = false)
      .def_prop_ro("op", [](const Problem& p) { return std::string(cmp::name_of(p.op)); })
      .def_prop_ro("result", [](const Problem& p) { return std::string(cmp::name_of(p.result)); })
      .def_ro("x", &Problem::x)
      .def_prop_ro(
          "w", [](const Problem& p) { return to_object(p.w); }, nb::sig("def w(self) -> Tensor | None"))
      .def_prop_ro(
          "b", [](const Problem& p) { return to_object(p.b); }, nb::sig("def b(self) -> Tensor | None"))
      .def_prop_ro(
          "dy", [](const Problem& p) { return to_object(p.dy); }, nb::sig("def dy(self) -> Tensor | None"))
      .def(
          "judge",
          [](const Problem& p, const Tensor& got) { return unlocked([&] { return cmp::judge(p, got); }); },
          "got"_a, "Judges a result of the problem from whatever device or library.")
      .def(
          "run",
          [](const Problem& p, DeviceArg device, const std::string& operands) {
            const Device d = device("device");
            return unlocked([&] { return cmp::run(p, d, cmp::parse_operands(operands)); });
          },
          "device"_a = nb::none(), "operands"_a = "f32",
          "isobit's own result, on a device; operands \"tf32\", \"bf16\" or \"f16\" rounds what is "
          "multiplied "
          "first.")
      .def(
          "shrink",
          [](const Problem& p, nb::object fails) {
            const auto ask = asked<Problem>(std::move(fails));
            return unlocked([&] { return cmp::shrink(p, ask); });
          },
          "fails"_a, nb::sig("def shrink(self, fails: collections.abc.Callable[[Problem], bool]) -> Problem"),
          "A smaller problem for which fails still says True: extents, channels, taps, strides are lowered "
          "as "
          "long as it "
          "does, the tensors cut to fit.")
      .def(
          "shape_line", [](const Problem& p, const std::string& name) { return cmp::shape_line(p, name); },
          "name"_a, "The line of a shape file (docs/verify.md) for a convolution; empty for other ops.")
      .def("__str__", &Problem::to_string)
      .def("__repr__", [](const Problem& p) { return fmt::format("Problem({})", p.to_string()); });
}

// ---- networks

/// The network again, in f64 on the CPU; none where it cannot say what it is made of.
nn::Layer in_f64(const nn::Layer& net, const Tensor& x) {
  if (!nn::describable(net)) return {};
  nn::Layer wide = nn::from_description(nn::describe(net));
  wide.build(x.shape().sub(1, x.rank()), {}, {}, DType::f64);
  nn::StateDict state = net.state_dict();
  for (auto& [name, tensor] : state) tensor = tensor.detach().to(Device::cpu()).to(DType::f64);
  wide.load_state_dict(state);
  return wide.eval();
}

/// Another network, a mapping of arrays, or a function of a layer.
cmp::Implementation implementation(nb::handle other, const std::string& operands, bool& chained) {
  if (nb::isinstance<nn::Layer>(other))
    return cmp::on_device(kept_layer(other, "other"), cmp::parse_operands(operands));
  if (operands != "f32") throw nb::value_error("operands can be rounded where other is a network");
  if (nb::hasattr(other, "items")) {
    chained = true;
    return cmp::from_tensors(to_state(other, "other"));
  }
  if (!nb::isinstance<nb::callable>(other))
    throw nb::type_error("other: expected a network, a mapping from names to Tensors, or a function");
  return [call = Callable(nb::borrow(other))](const cmp::LayerCall& c) -> nn::StateDict {
    nb::gil_scoped_acquire locked;
    const nb::object result = call.get()(c.path, to_object(c.layer), c.x, to_object(c.dy));
    if (result.is_none()) return {};
    return to_state(result, "what other gives");
  };
}

void bind_network_comparison(nb::module_& m) {
  using cmp::LayerResult;
  using cmp::NetworkComparison;
  nb::class_<LayerResult>(m, "LayerResult", "One tensor of one layer.")
      .def_ro("path", &LayerResult::path)
      .def_ro("layer", &LayerResult::layer, "\"Conv2D(32, 5x5, same)\".")
      .def_ro("tensor", &LayerResult::tensor, "\"y\", \"dx\", \"weight\", \"bias\", ...")
      .def_ro("judgement", &LayerResult::judgement)
      .def_ro("derived", &LayerResult::derived, "By a derived bound, else by a yardstick (docs/compare.md).")
      .def_prop_ro(
          "problem",
          [](const LayerResult& r) { return r.problem ? nb::cast(*r.problem) : nb::object(nb::none()); },
          nb::sig("def problem(self) -> Problem | None"), "Where the bound is derived.");
  nb::class_<NetworkComparison>(m, "NetworkComparison", "A network against another, layer by layer.")
      .def_ro("layers", &NetworkComparison::layers)
      .def_ro("skipped", &NetworkComparison::skipped)
      .def_ro("end_to_end", &NetworkComparison::end_to_end,
              "The largest difference of the outputs / their largest value; negative when it was not asked.")
      .def_ro("end_to_end_equal", &NetworkComparison::end_to_end_equal)
      .def_prop_ro("ok", &NetworkComparison::ok, "Nothing is wrong, and something was compared.")
      .def_prop_ro(
          "first_difference",
          [](const NetworkComparison& c) {
            const LayerResult* first = c.first_difference();
            return first == nullptr ? nb::object(nb::none()) : nb::cast(*first);
          },
          nb::sig("def first_difference(self) -> LayerResult | None"),
          "The first result that is not bit-equal.")
      .def_prop_ro("wrong_layers", &NetworkComparison::wrong_layers,
                   "Where two layers or more are wrong, which and why; else empty.")
      .def(
          "to_html", [](const NetworkComparison& c) { return cmp::to_html(c); },
          "One page of HTML with its pictures inside.")
      .def("__str__", &NetworkComparison::to_string);
  m.def(
      "compare_network",
      [](LayerArg net, const Tensor& x, nb::object other, const std::string& operands, bool backward,
         TensorArg output, const std::string& name) {
        const nn::Layer layer = net("net");
        cmp::NetworkOptions options;
        options.backward = backward;
        options.output = output("output");
        const cmp::Implementation theirs = implementation(other, operands, options.chained);
        options.in_f64 = in_f64(layer, x);
        NetworkComparison c = unlocked([&] { return cmp::compare_network(layer, x, theirs, options); });
        c.model = "network";
        c.other = name;
        c.operands = operands;
        return c;
      },
      "net"_a, "x"_a, "other"_a, "operands"_a = "f32", "backward"_a = true, "output"_a = nb::none(),
      "name"_a = "other",
      nb::sig(
          "def compare_network(net: Layer, x: Tensor, other: Layer | collections.abc.Mapping[str, Tensor] | "
          "collections.abc.Callable, operands: str = 'f32', backward: bool = True, output: Tensor | None = "
          "None, name: str = 'other') -> NetworkComparison"),
      "Compares a network built on the CPU, layer by layer and from the same inputs, with another "
      "implementation of it: the "
      "same network built elsewhere (operands rounds what it multiplies), arrays called \"<path>\", "
      "\"<path>.dx\", "
      "\"<path>.<parameter>\", or a function of (path, layer, x, dy) that gives a dict of any of \"y\", "
      "\"dx\" "
      "and the "
      "parameters' names, or None. `output` is what the other makes of x from end to end.");
}

}  // namespace

void bind_compare(nb::module_& parent) {
  nb::module_ m = parent.def_submodule("compare", "Why two results differ (docs/compare.md).");
  bind_judgement(m);
  bind_problem(m);
  bind_network_comparison(m);
  m.def(
      "round_operands",
      [](const Tensor& t, const std::string& to) {
        return unlocked(t.numel(), [&] { return cmp::round_operands(t, cmp::parse_operands(to)); });
      },
      "t"_a, "to"_a,
      "The values of t rounded to \"tf32\", \"bf16\", \"f16\" (or \"f32\"), of t's own dtype.");
  m.def(
      "heat_map",
      [](const Tensor& values, double most, IntArg scale) {
        return cmp::heat_map(values, most, scale("scale"));
      },
      "values"_a, "most"_a, "scale"_a = 8,
      "values[rows, columns] as a picture u8 [h, w, 3], each a square of `scale` pixels: 0 darkest, `most` "
      "brightest, not "
      "finite white.");
}

}  // namespace isobit::python
