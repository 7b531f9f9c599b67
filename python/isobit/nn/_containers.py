"""Layers made of layers, layers made of a function, and modules written in Python."""

from isobit._core import Layer
from isobit._core import layers as _make
from isobit.nn._made import Made


class _Container(Layer):
    """Layers with names, "0", "1", ... or as given to add. A list or a generator of layers will do too."""

    def __init__(self, *layers):
        super().__init__(self._make())
        if len(layers) == 1 and not isinstance(layers[0], Layer):
            layers = tuple(layers[0])
        for layer in layers:
            self.add(layer)

    def add(self, *named_layer):
        """add(layer) or add(name, layer); returns the network. ValueError for one that is built."""
        name, layer = named_layer if len(named_layer) == 2 else (str(len(self)), *named_layer)
        _make.add(self, name, layer)
        return self

    def __len__(self):
        return len(self.children())

    def __iter__(self):
        return iter(self.children().values())

    def __getitem__(self, index):
        """The layer that was put in; by its number, its name, or a slice (a new network of the same layers)."""
        if isinstance(index, str):
            return self.children()[index]
        layers = list(self)
        return type(self)(*layers[index]) if isinstance(index, slice) else layers[index]


class Sequential(_Container):
    """One layer after another."""

    _make = staticmethod(_make.sequential)


class Concat(_Container):
    """The outputs of the branches, all on the same x, one after the other along the channels (the last axis).
    Sequential() is the branch that gives x itself."""

    _make = staticmethod(_make.concat)


class Residual(Made):
    """y = body(x) + shortcut(x), the shortcut being the identity or `projection`."""

    def __init__(self, body, projection=None):
        super().__init__(_make.residual(body, projection))


class Module(Layer):
    """Base class of modules of your own: set layers as attributes and write forward.

        class Gate(nn.Module):
            def __init__(self):
                super().__init__()
                self.value = nn.Linear(32)
                self.gate = nn.Linear(32)

            def forward(self, x):
                return self.value(x) * isobit.sigmoid(self.gate(x))

    A module with parameters of its own says so in plan, and reads them by their number:

            def plan(self, sample):
                return nn.Plan(sample, [nn.ParameterSpec("scale", sample[-1:], nn.ones())])

            def forward(self, x):
                return x * self.parameter(0)
    """

    def __init__(self):
        super().__init__()
        self._make_python_module()

    def __setattr__(self, name, value):
        if isinstance(value, Layer):
            self._add_child(name, value)
        super().__setattr__(name, value)

    def add_child(self, name, layer):
        """A child that is no attribute: of a list, say. Names are unique in the module, not empty and without dots."""
        self._add_child(name, layer)
        return layer

    def forward(self, x):
        raise NotImplementedError(f"{type(self).__name__} has no forward(self, x)")

    def plan(self, sample):
        """What the module itself needs for one sample of that shape: a Plan, or None for nothing (the shape of the
        output is then found by running the module on a sample of zeros)."""
        return None

    def _kind(self):
        return type(self).__name__

    def describe(self):
        """What a table shows."""
        return type(self).__name__

    def parameter(self, i):
        """Parameter i of the plan; None before build, IndexError where the plan has none."""
        return self._parameter(i)

    def buffer(self, i):
        """Buffer i of the plan; None before build, IndexError where the plan has none."""
        return self._buffer(i)


class Lambda(Module):
    """Any function of a tensor as a layer without parameters: Lambda("Square", lambda x: x * x). Shapes are found by
    running it on one sample of zeros."""

    def __init__(self, name, function):
        super().__init__()
        self.name = name
        self.function = function

    def forward(self, x):
        return self.function(x)

    def _kind(self):
        return self.name

    def describe(self):
        return self.name
