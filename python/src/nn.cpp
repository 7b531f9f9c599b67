// Layers and modules: what every layer can do, and modules written in Python.
#include "layer.h"

#include <isobit/autograd.h>
#include <isobit/nn_module.h>
#include <isobit/saved_model.h>

#include <algorithm>

#include "module.h"

namespace isobit::python {
namespace {

/// Deletes a count of the Python object instead of the module, which that object owns.
struct ObjectOwner {
  std::shared_ptr<PyObject> object;
  void operator()(nn::Module*) { object.reset(); }
};

// ---- garbage collection: networks hold Python objects, among them modules whose class refers to everything

/// The object that a child keeps alive, if this network alone has it do so.
PyObject* owned_object(const nn::Layer& child) {
  if (child.pointer().use_count() != 1) return nullptr;
  const auto* owner = std::get_deleter<ObjectOwner>(child.pointer());
  return owner != nullptr && owner->object.use_count() == 1 ? owner->object.get() : nullptr;
}

int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  if (!nb::inst_ready(self)) return 0;
  const nn::Layer& layer = *nb::inst_ptr<nn::Layer>(self);
  if (!layer || layer.pointer().use_count() != 1) return 0;
  for (const nn::Child& child : layer.module().children()) Py_VISIT(owned_object(child.layer));
  return 0;
}

int clear(PyObject* self) {
  if (nb::inst_ready(self)) *nb::inst_ptr<nn::Layer>(self) = nn::Layer();
  return 0;
}

PyType_Slot layer_slots[] = {{Py_tp_traverse, reinterpret_cast<void*>(&traverse)},
                             {Py_tp_clear, reinterpret_cast<void*>(&clear)},
                             {0, nullptr}};

// ---- modules written in Python

/// A module whose forward is a Python method. The Python object owns it, so it may refer to that without a
/// count.
class PythonModule final : public nn::Module {
 public:
  explicit PythonModule(nb::handle self) : self_(self) {}
  Tensor forward(const Tensor& x) override {
    nb::gil_scoped_acquire locked;
    const nb::object y = self_.attr("forward")(x);
    const Tensor* t = nullptr;
    if (!nb::try_cast(y, t) || t == nullptr)
      throw nb::type_error(
          fmt::format("{}.forward returned {}, expected a Tensor", kind(), nb::type_name(y.type()).c_str())
              .c_str());
    return *t;
  }
  std::string kind() const override {
    nb::gil_scoped_acquire locked;
    return to_text(self_.attr("_kind")(), "_kind's result");
  }
  std::string describe() const override {
    nb::gil_scoped_acquire locked;
    return to_text(self_.attr("describe")(), "describe's result");
  }
  nn::Plan plan(const Shape& in) const override {
    nb::gil_scoped_acquire locked;
    const nb::object result = self_.attr("plan")(to_tuple(in));
    if (nb::isinstance<nn::Plan>(result)) return nb::cast<nn::Plan>(result);
    if (!result.is_none())
      throw nb::type_error(fmt::format("{}.plan returned {}, expected a Plan or None", kind(),
                                       nb::type_name(result.type()).c_str())
                               .c_str());
    nn::Plan plan = Module::plan(in);
    if (children().empty()) plan.output = dry_run(in);
    return plan;
  }
  void add(std::string name, nn::Layer child) { add_child(std::move(name), std::move(child)); }
  Tensor parameter_at(std::int64_t i) { return own("parameter", &nn::Layer::named_parameters, i); }
  Tensor buffer_at(std::int64_t i) { return own("buffer", &nn::Layer::named_buffers, i); }

 private:
  /// Tensor i of those that the plan asked for: they come before the children's.
  Tensor own(const char* what, nn::StateDict (nn::Layer::*all)() const, std::int64_t i) {
    if (!built()) return {};
    const nn::Layer here(std::shared_ptr<nn::Module>(std::shared_ptr<nn::Module>(), this));
    const nn::StateDict state = (here.*all)();
    const auto of_child = [&](const nn::Named& entry) {
      return std::any_of(children().begin(), children().end(),
                         [&](const nn::Child& c) { return entry.first.starts_with(c.name + "."); });
    };
    const auto end = std::find_if(state.begin(), state.end(), of_child);
    if (i < 0 || i >= end - state.begin())
      throw nb::index_error(
          fmt::format("{}: there is no {} {}, its plan has {}", kind(), what, i, end - state.begin())
              .c_str());
    return state[static_cast<std::size_t>(i)].second;
  }

  /// What forward makes of one sample of zeros.
  Shape dry_run(const Shape& in) const {
    const NoGrad no_grad;
    const nn::NetworkState here = state() ? *state() : nn::NetworkState();
    const nb::object y = self_.attr("forward")(zeros(in.inserted(0, 1), {here.dtype, here.device}));
    const Tensor t = TensorKind::parse(y, "forward's result");
    if (!t.defined() || t.rank() < 1 || t.shape(0) != 1)
      fail("nn", "{} turned one sample {} into {}: the first axis must stay the batch", kind(), in,
           t.defined() ? fmt::format("{}", t.shape()) : "None");
    return t.shape().sub(1, t.rank());
  }

  nb::handle self_;
};

PythonModule& python_module(const nn::Layer& layer) {
  auto* module = dynamic_cast<PythonModule*>(&layer.module());
  if (module == nullptr) throw nb::type_error("this is for modules that are written in Python");
  return *module;
}

void bind_network(nb::class_<nn::Layer>& layer) {
  layer
      .def(
          "__call__", [](const nn::Layer& l, const Tensor& x) { return unlocked([&] { return l(x); }); },
          "x"_a,
          "The forward pass on x[n, ...]. A network that was not built is built for x's sample shape, device "
          "and dtype "
          "with seed 0. In training mode every outermost call begins a new training step.")
      .def(
          "build",
          [](nb::handle self, ShapeArg sample, DeviceArg device, SeedArg seed, DTypeArg dtype) {
            const nn::Layer& l = nb::cast<const nn::Layer&>(self);
            const Shape s = sample("sample");
            const Device d = device("device");
            const Seed number = seed("seed");
            const DType t = dtype("dtype");
            unlocked([&] { l.build(s, d, number, t); });
            return nb::borrow(self);
          },
          "sample"_a, "device"_a = nb::none(), "seed"_a = 0, "dtype"_a = "f32",
          nb::sig("def build(self, sample: int | collections.abc.Sequence[int], device: Device | str | None "
                  "= None, "
                  "seed: int = 0, dtype: DType | str = 'f32') -> typing.Self"),
          "Infers every shape from that of one sample (no batch axis), makes the parameters on `device` and "
          "names them. "
          "Parameter \"3.weight\" draws from the stream (seed, \"3.weight\"). A module that is built already "
          "keeps its "
          "parameters and joins this network's state.")
      .def("built", &nn::Layer::built)
      .def(
          "output_shape",
          [](const nn::Layer& l, ShapeArg sample) { return to_tuple(l.output_shape(sample("sample"))); },
          "sample"_a, "Shape of one sample's output for one sample's input; makes nothing.")
      .def("parameters", &nn::Layer::parameters)
      .def("named_parameters", [](const nn::Layer& l) { return to_dict(l.named_parameters()); })
      .def("named_buffers", [](const nn::Layer& l) { return to_dict(l.named_buffers()); })
      .def(
          "state_dict", [](const nn::Layer& l) { return to_dict(l.state_dict()); },
          "Parameters and buffers by path; they share storage with the network.")
      .def(
          "load_state_dict",
          [](const nn::Layer& l, nb::handle state) {
            const nn::StateDict s = to_state(state, "state");
            unlocked([&] { l.load_state_dict(s); });
          },
          "state"_a,
          nb::sig("def load_state_dict(self, state: collections.abc.Mapping[str, Tensor]) -> None"),
          "Copies the values in. ValueError naming every missing, unexpected and misshapen entry, and then "
          "nothing has "
          "changed.")
      .def(
          "train",
          [](nb::handle self, bool on) {
            nb::cast<const nn::Layer&>(self).train(on);
            return nb::borrow(self);
          },
          "on"_a = true, nb::sig("def train(self, on: bool = True) -> typing.Self"),
          "Training mode (Dropout draws, BatchNorm uses and records the batch's statistics) or evaluation.")
      .def(
          "eval",
          [](nb::handle self) {
            nb::cast<const nn::Layer&>(self).eval();
            return nb::borrow(self);
          },
          nb::sig("def eval(self) -> typing.Self"), "Evaluation mode.")
      .def_prop_ro("training", &nn::Layer::training)
      .def_prop_rw(
          "math",
          [](const nn::Layer& l) -> std::optional<std::string> {
            if (const auto math = l.math()) return std::string(name_of(*math));
            return {};
          },
          [](const nn::Layer& l, MathArg math) { l.set_math(math("math")); }, nb::arg("math").none(),
          nb::for_getter(nb::sig("def math(self) -> str | None")),
          nb::for_setter(nb::sig("def math(self, math: str | None, /) -> None")),
          "The arithmetic of this layer and of all that is in it, forward and backward, whatever scope calls "
          "it: \"exact\", \"fast\", \"fast-f16\" or \"fast-bf16\" (isobit.Math). A layer inside that has one "
          "of "
          "its own keeps it. None, as it is at first: that of the layer which it is in, else the scope's "
          "(isobit.math). Files do not hold it.")
      .def("zero_grad", &nn::Layer::zero_grad)
      .def(
          "set_step", [](const nn::Layer& l, SeedArg n) { l.set_step(n("n").value); }, "n"_a,
          "The next training pass is step n: its random draws are keyed by (seed, module path, n, index in "
          "the whole "
          "batch).")
      .def("step", &nn::Layer::step)
      .def(
          "summarize",
          [](const nn::Layer& l, nb::handle sample) {
            return l.summarize(sample.is_none() ? l.input_shape() : ShapeKind::parse(sample, "sample"));
          },
          "sample"_a = nb::none(),
          nb::sig(
              "def summarize(self, sample: int | collections.abc.Sequence[int] | None = None) -> Summary"),
          "A table of layer, output shape, parameters and multiply-adds, for the sample shape of build() or "
          "the given "
          "one.")
      .def(
          "summary", [](nb::handle self, nb::handle sample) { return self.attr("summarize")(sample); },
          "sample"_a = nb::none(),
          nb::sig("def summary(self, sample: int | collections.abc.Sequence[int] | None = None) -> Summary"),
          "As summarize: a table as text, and in Jupyter as a table.")
      .def(
          "digest", [](const nn::Layer& l) { return unlocked([&] { return nn::digest(l); }); },
          "SHA-256 over names, dtypes, shapes and elements of the state: the same on every device.");
}

void bind_module(nb::class_<nn::Layer>& layer) {
  layer
      .def_prop_ro(
          "kind", [](const nn::Layer& l) { return l.module().kind(); }, "The type's name.")
      .def(
          "describe", [](const nn::Layer& l) { return l.module().describe(); },
          "What a table shows, e.g. \"Conv2D(32, 5x5, same)\".")
      .def_prop_ro(
          "path", [](const nn::Layer& l) { return l.module().path(); }, "In the network it was built in.")
      .def_prop_ro(
          "input_shape", [](const nn::Layer& l) { return to_tuple(l.input_shape()); },
          "The sample shape it was built for.")
      .def_prop_ro("device", [](const nn::Layer& l) { return l.state().device; })
      .def_prop_ro("dtype", [](const nn::Layer& l) { return ElementType{l.state().dtype}; })
      .def_prop_ro("seed", [](const nn::Layer& l) { return l.state().seed.value; })
      .def(
          "children",
          [](const nn::Layer& l) {
            nb::dict children;
            for (const nn::Child& c : l.module().children()) children[c.name.c_str()] = to_object(c.layer);
            return children;
          },
          nb::sig("def children(self) -> dict[str, Layer]"), "By name, in order.")
      .def(
          "__eq__",
          [](const nn::Layer& a, nb::handle b) {
            return nb::isinstance<nn::Layer>(b) &&
                   a.pointer().get() == nb::cast<const nn::Layer&>(b).pointer().get();
          },
          "other"_a.none(), nb::is_operator())
      .def("__hash__",
           [](const nn::Layer& l) { return reinterpret_cast<std::uintptr_t>(l.pointer().get()) >> 4; })
      .def("_make_python_module",
           [](nb::handle self) {
             nb::cast<nn::Layer&>(self) = nn::Layer(std::make_shared<PythonModule>(self));
           })
      .def("_option_list",
           [](const nn::Layer& l) -> nb::object {
             const auto options = l.module().option_list();
             if (!options) return nb::none();
             nb::dict result;
             for (const auto& [name, value] : *options)
               result[name.c_str()] = std::visit([](const auto& v) { return nb::cast(v); }, value);
             return result;
           })
      .def(
          "_add_child",
          [](const nn::Layer& l, std::string name, LayerArg child) {
            python_module(l).add(std::move(name), child("child"));
          },
          "name"_a, "child"_a)
      .def("_parameter",
           [](const nn::Layer& l, IntArg i) { return to_object(python_module(l).parameter_at(i("i"))); })
      .def("_buffer",
           [](const nn::Layer& l, IntArg i) { return to_object(python_module(l).buffer_at(i("i"))); });
}

}  // namespace

nn::Layer kept_layer(nb::handle object, const char* name) {
  nn::Layer* layer = nullptr;
  if (nb::isinstance<nn::Layer>(object) && !nb::inst_ready(object))
    throw nb::type_error(fmt::format("{}: {}.__init__ did not call super().__init__()", name,
                                     nb::type_name(object.type()).c_str())
                             .c_str());
  if (!nb::try_cast(object, layer) || layer == nullptr)
    throw nb::type_error(fmt::format("{}: expected a layer, got an object of type {}", name,
                                     nb::type_name(object.type()).c_str())
                             .c_str());
  if (!*layer) fail("nn", "{}: this layer is empty", name);
  return nn::Layer(
      std::shared_ptr<nn::Module>(layer->pointer().get(), ObjectOwner{shared_count(nb::borrow(object))}));
}

nb::object to_object(const nn::Layer& layer) {
  if (!layer) return nb::none();
  if (const auto* owner = std::get_deleter<ObjectOwner>(layer.pointer()); owner != nullptr && owner->object)
    return nb::borrow(owner->object.get());
  return nb::module_::import_("isobit.nn._made").attr("from_library")(nb::cast(layer));
}

nb::dict to_dict(const nn::StateDict& state) {
  nb::dict dict;
  for (const auto& [name, tensor] : state) dict[name.c_str()] = to_object(tensor);
  return dict;
}

nn::StateDict to_state(nb::handle mapping, const char* name) {
  if (!nb::hasattr(mapping, "items"))
    throw nb::type_error(fmt::format("{}: expected a mapping from names to Tensors, got {}", name,
                                     nb::type_name(mapping.type()).c_str())
                             .c_str());
  nn::StateDict state;
  for (const nb::handle entry : mapping.attr("items")()) {
    const std::string key = to_text(entry[0], name);
    Tensor t = TensorKind::parse(entry[1], key.c_str());
    if (!t.defined())
      throw nb::type_error(fmt::format("{}: '{}' is None, expected a Tensor", name, key).c_str());
    state.emplace_back(key, std::move(t));
  }
  return state;
}

void bind_nn(nb::module_& m) {
  nb::class_<nn::Layer> layer(m, "Layer", "What every layer and network can do.", nb::is_weak_referenceable(),
                              nb::type_slots(layer_slots));
  layer.def(nb::init<>())
      .def(
          "__init__",
          [](nn::Layer* self, const nn::Layer& other) {
            const bool pythons = other && dynamic_cast<PythonModule*>(&other.module()) != nullptr;
            new (self) nn::Layer(pythons ? kept_layer(nb::find(other), "other") : other);
          },
          "other"_a, "Another handle to the same layer.");
  bind_network(layer);
  bind_module(layer);
}

}  // namespace isobit::python
