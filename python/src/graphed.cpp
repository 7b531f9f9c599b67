// nn::Graphed for steps written in Python.
#include <isobit/nn_graphed.h>

#include <memory>

#include "module.h"

namespace isobit::python {
namespace {

/// A graph of a Python function, whose tensors are its arguments.
struct GraphedStep {
  GraphedStep(Device device, nb::object function)
      : graphed(device,
                [f = Callable(std::move(function)), single = alone](const std::vector<Tensor>& inputs) {
                  nb::gil_scoped_acquire locked;
                  const nb::tuple arguments =
                      nb::steal<nb::tuple>(PyTuple_New(static_cast<Py_ssize_t>(inputs.size())));
                  for (std::size_t i = 0; i < inputs.size(); ++i)
                    PyTuple_SET_ITEM(arguments.ptr(), static_cast<Py_ssize_t>(i),
                                     to_object(inputs[i]).release().ptr());
                  const nb::object results = f.get()(*arguments);
                  *single = nb::isinstance<Tensor>(results);
                  return TensorsKind::parse(results, "the step's result");
                }) {}
  std::shared_ptr<bool> alone = std::make_shared<bool>(false);  // the function returns a tensor, no sequence
  nn::Graphed graphed;
};

}  // namespace

void bind_graphed(nb::module_& m) {
  nb::class_<GraphedStep>(
      m, "Graphed",
      "step = Graphed(device, function): function(*tensors) returns a tensor or a sequence of them, all on "
      "the "
      "device. For each list of shapes and dtypes the first call of step runs it, the second records it as a "
      "graph of its launches (a CUDA graph), and all further ones replay that: the same bits, without the "
      "time "
      "that Python and the launches take, nor anything else that the function does. What it computes may "
      "depend on its arguments, on tensors that are there, and on what isobit advances: rates and counters "
      "of "
      "optimizers, the draws of Dropout, running statistics; not on other numbers of the caller's. item(), "
      "numpy() and other copies from the device are refused inside. On the CPU every call runs the function.")
      .def(
          "__init__",
          [](GraphedStep* self, DeviceArg device, nb::callable function) {
            new (self) GraphedStep(device("device"), std::move(function));
          },
          "device"_a, "function"_a,
          nb::sig("def __init__(self, device: Device | str, function: collections.abc.Callable[..., Tensor | "
                  "collections.abc.Sequence[Tensor]]) -> None"))
      .def(
          "__call__",
          [](GraphedStep& self, nb::args inputs) -> nb::object {
            const std::vector<Tensor> tensors = TensorsKind::parse(inputs, "inputs");
            std::vector<Tensor> results = unlocked([&] { return self.graphed(tensors); });
            if (*self.alone && results.size() == 1) return to_object(std::move(results.front()));
            nb::list list;
            for (Tensor& t : results) list.append(to_object(std::move(t)));
            return nb::tuple(list);
          },
          nb::sig("def __call__(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]"))
      .def_prop_ro("graphs", [](const GraphedStep& s) { return s.graphed.graphs(); })
      .def_prop_ro(
          "nodes", [](const GraphedStep& s) { return s.graphed.nodes(); },
          "Launches and copies in the graphs.")
      .def_prop_ro(
          "replays", [](const GraphedStep& s) { return s.graphed.replays(); }, "Calls so far that replayed.")
      .def(
          "forget", [](GraphedStep& s) { s.graphed.forget(); }, "Records anew from the next calls on.");
}

}  // namespace isobit::python
