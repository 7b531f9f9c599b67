// Networks as data and in files.
#include <isobit/nn_description.h>
#include <isobit/saved_model.h>

#include "layer.h"
#include "module.h"

namespace isobit::python {
namespace {

nb::object json() {
  return nb::module_::import_("json");
}

}  // namespace

void bind_saved(nb::module_& m) {
  m.def(
      "describe", [](LayerArg net) { return json().attr("loads")(nn::to_text(nn::describe(net("net")))); },
      "net"_a, nb::sig("def describe(net: Layer) -> dict"),
      "Of which layers with which options a network is made: {\"kind\", \"options\", \"layers\"}, as JSON "
      "has it. "
      "ValueError names a layer that cannot say (Lambda, modules written in Python).");
  m.def(
      "from_description",
      [](nb::handle description) {
        const nb::object text = PyUnicode_Check(description.ptr()) != 0 ? nb::borrow(description)
                                                                        : json().attr("dumps")(description);
        return to_object(nn::from_description(nn::parse_description(nb::cast<std::string>(text))));
      },
      "description"_a, nb::sig("def from_description(description: dict | str) -> Layer"),
      "The network of a description (or of its JSON), not built. Options that are left out have their "
      "defaults.");
  nb::class_<nn::SavedModel>(m, "SavedModel", "A network from a file.")
      .def_prop_ro(
          "net", [](const nn::SavedModel& s) { return to_object(s.net); }, nb::sig("def net(self) -> Layer"),
          "Built, in evaluation mode.")
      .def_prop_ro(
          "input", [](const nn::SavedModel& s) { return to_tuple(s.input); }, "Shape of one sample.")
      .def_prop_ro("name", [](const nn::SavedModel& s) { return s.info.name; })
      .def_prop_ro("classes", [](const nn::SavedModel& s) { return s.info.classes; })
      .def_prop_ro("normalise", [](const nn::SavedModel& s) { return s.info.normalise; });
  m.def(
      "save_model",
      [](const std::string& path, LayerArg net, std::string name, std::vector<std::string> classes,
         NormaliseArg normalise) {
        nn::save_model(path, net("net"), {std::move(name), std::move(classes), normalise("normalise")});
      },
      "path"_a, "net"_a, "name"_a = "", "classes"_a = nb::make_tuple(), "normalise"_a = nb::none(),
      "Description, weights and what is needed to use them, in one safetensors file; written as a whole or "
      "not at "
      "all. ValueError when the network is not built, or has a layer that cannot say what it is made of.");
  m.def(
      "load_model",
      [](const std::string& path, DeviceArg device) {
        const Device d = device("device");
        return unlocked([&] { return nn::load_model(path, d); });
      },
      "path"_a, "device"_a = nb::none(),
      "A file of save_model, or a checkpoint of a training run. ValueError names what is wrong with it.");
}

}  // namespace isobit::python
