// How layers go back and forth: a Python layer is kept by C++ networks together with its Python object, so
// that what a network holds comes back as the very object that was put in.
#pragma once
#include <isobit/nn_layers.h>

#include "arguments.h"

namespace isobit::python {

/// The layer of a Python object for C++ to keep: as long as C++ holds it, the object lives.
nn::Layer kept_layer(nb::handle object, const char* name);
/// The Python object of a layer: the one that it came from, or a new one.
nb::object to_object(const nn::Layer& layer);

struct LayerKind {
  static nn::Layer parse(nb::handle v, const char* name) { return kept_layer(v, name); }
  static constexpr auto hint = nb::detail::const_name("Layer");
};
using LayerArg = Arg<LayerKind>;

nb::dict to_dict(const nn::StateDict& state);
nn::StateDict to_state(nb::handle mapping, const char* name);

}  // namespace isobit::python
