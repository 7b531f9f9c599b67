"""Pickling, and copying by the copy module: tensors, layers, networks and modules come back bit by bit.

A tensor goes as its bytes. A network goes as its structure (classes and arguments; a layer that stands at two places
stays one) and, once it is built, its state. Lambda layers go if their function does: one that a file defines, no lambda."""

import copyreg

from isobit import _core
from isobit._core import Layer, Tensor


def _device(name):
    try:
        return _core.Device(name)
    except ValueError:  # a machine without that device: the values are the same on the CPU
        return _core.Device()


def _tensor(data, shape, dtype, device, requires_grad, grad):
    t = _core.from_bytes(data, shape, dtype, _device(device))
    if requires_grad:
        t.set_requires_grad()
        t.grad = grad
    return t


def make_init(*fields):
    return _core._init(*fields)


def reduce_tensor(t):
    marked = t.is_leaf and t.requires_grad
    return _tensor, (t.tobytes(), t.shape, str(t.dtype), str(t.device), marked, t.grad if marked else None)


class _Structure:
    """A layer without its tensors."""

    def __init__(self, layer, known):
        from isobit.nn import Module
        from isobit.nn._containers import _Container

        self.cls = type(layer)
        self.made = None
        self.math = layer.math
        children = layer.children()
        if isinstance(layer, (_Container, Module)):
            self.arguments = None
            self.children = {name: _structure(child, known) for name, child in children.items()}
            self.attributes = {k: _replace(v, known) for k, v in vars(layer).items()}
        elif "options" in vars(layer):
            self.arguments = {k: _replace(v, known) for k, v in layer.options.items()}
        else:
            raise TypeError(f"{layer!r} was not made in Python: it has no arguments to pickle")

    def __getstate__(self):
        return {k: v for k, v in vars(self).items() if k != "made"}

    def __setstate__(self, state):
        vars(self).update(state, made=None)

    def make(self):
        if self.made is None:
            self.made = self._make()
            self.made.math = vars(self).get("math")  # pickles of before have none
        return self.made

    def _make(self):
        from isobit.nn import Module
        from isobit.nn._containers import _Container

        if self.arguments is not None:
            return self.cls(**{k: _put_back(v) for k, v in self.arguments.items()})
        layer = self.cls.__new__(self.cls)
        if issubclass(self.cls, Module):
            Module.__init__(layer)
            add = layer.add_child
        else:
            _Container.__init__(layer)
            add = layer.add
        for name, child in self.children.items():
            add(name, child.make())
        for name, value in self.attributes.items():
            object.__setattr__(layer, name, _put_back(value))
        return layer


def _structure(layer, known):
    if layer not in known:  # equal handles are of one layer
        known[layer] = _Structure(layer, known)
    return known[layer]


def _map(value, kind, change):
    if isinstance(value, kind):
        return change(value)
    if type(value) in (list, tuple):
        return type(value)(_map(v, kind, change) for v in value)
    if type(value) is dict:
        return {k: _map(v, kind, change) for k, v in value.items()}
    return value


def _replace(value, known):
    return _map(value, Layer, lambda layer: _structure(layer, known))


def _put_back(value):
    return _map(value, _Structure, lambda structure: structure.make())


def _state(layer):
    if not layer.built():
        return None
    return {
        "sample": layer.input_shape,
        "device": str(layer.device),
        "dtype": str(layer.dtype),
        "seed": layer.seed,
        "step": layer.step(),
        "training": layer.training,
        "frozen": [name for name, p in layer.named_parameters().items() if not p.requires_grad],
        "tensors": {name: t.detach() for name, t in layer.state_dict().items()},
    }


def _rebuild(structure, state):
    layer = structure.make()
    if state is None:
        return layer
    layer.build(state["sample"], _device(state["device"]), state["seed"], state["dtype"])
    layer.load_state_dict(state["tensors"])
    parameters = layer.named_parameters()
    for name in state["frozen"]:
        parameters[name].set_requires_grad(False)
    layer.set_step(state["step"])
    return layer.train(state["training"])


def reduce_layer(layer):
    return _rebuild, (_structure(layer, {}), _state(layer))


def install():
    copyreg.pickle(Tensor, reduce_tensor)
    Layer.__reduce_ex__ = lambda layer, protocol: reduce_layer(layer)
