"""Layers remember what they were made with."""

import functools
import inspect

from isobit._core import Layer


class Made(Layer):
    """A layer of the library. `options` holds the arguments that it was made with, defaults included."""

    options: dict

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        init = cls.__dict__.get("__init__")
        if init is None:
            return
        signature = inspect.signature(init)

        @functools.wraps(init)
        def recording(self, *args, **kwargs):
            if "options" not in vars(self):  # the outermost class's arguments
                bound = signature.bind(self, *args, **kwargs)
                bound.apply_defaults()
                self.options = dict(list(bound.arguments.items())[1:])
            init(self, *args, **kwargs)

        cls.__init__ = recording


def _option(name, value):
    """An option as descriptions have it (isobit/nn_description.h), as the constructors take it."""
    from isobit import nn

    if name in ("padding", "widths") and isinstance(value, list):
        return list(zip(value[::2], value[1::2]))
    if name == "mode" and "/" in value:
        return value.split("/")
    if name in ("init", "bias_init"):
        kind, *numbers = value.split()
        return getattr(nn, kind)(*(n if n in ("in", "out") else float(n) for n in numbers))
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def from_library(layer):
    """A layer that C++ made, as the class of isobit.nn that its kind names, with its options; else as it is."""
    from isobit import nn

    cls = getattr(nn, layer.kind, None)
    options = layer._option_list()
    if type(layer) is not Layer or options is None or not (isinstance(cls, type) and issubclass(cls, Layer)):
        return layer
    made = cls.__new__(cls)
    Layer.__init__(made, layer)
    if issubclass(cls, Made):
        made.options = {name: _option(name, value) for name, value in options.items()}
        made.options.update(layer.children())  # body and projection of a Residual
    return made
