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
