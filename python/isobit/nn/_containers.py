"""Layers made of layers, layers made of a function, and modules written in Python."""

from isobit._core import Layer
from isobit._core import layers as _make
from isobit.nn._made import Made


class Sequential(Layer):
    """One layer after another, named "0", "1", ... or as given to add. A list or a generator of layers will do too."""

    def __init__(self, *layers):
        self._net = _make.Sequential()
        super().__init__(self._net)
        if len(layers) == 1 and not isinstance(layers[0], Layer):
            layers = tuple(layers[0])
        for layer in layers:
            self.add(layer)

    def add(self, *named_layer):
        """add(layer) or add(name, layer); returns the network. ValueError for one that is built."""
        name, layer = named_layer if len(named_layer) == 2 else (str(len(self)), *named_layer)
        self._net.add(name, layer)
        return self

    def __len__(self):
        return len(self.children())

    def __iter__(self):
        return iter(self.children().values())

    def __getitem__(self, index):
        """The layer that was put in; by its number, its name, or a slice (a new Sequential of the same layers)."""
        if isinstance(index, str):
            return self.children()[index]
        layers = list(self)
        return Sequential(*layers[index]) if isinstance(index, slice) else layers[index]


class Residual(Made):
    """y = body(x) + shortcut(x), the shortcut being the identity or `projection`."""

    def __init__(self, body, projection=None):
        super().__init__(_make.residual(body, projection))


class Lambda(Made):
    """Any function of a tensor as a layer without parameters: Lambda("Square", lambda x: x * x). Shapes are found by
    running it on one sample of zeros."""

    def __init__(self, name, function):
        super().__init__(_make.lambda_(name, function))


class Module(Layer):
    """Base class of modules of your own: set layers as attributes and write forward.

        class Gate(nn.Module):
            def __init__(self):
                super().__init__()
                self.value = nn.Linear(32)
                self.gate = nn.Linear(32)

            def forward(self, x):
                return self.value(x) * isobit.sigmoid(self.gate(x))

    A module with parameters of its own says so in plan, and reads them by their number or name:

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
        """What the module itself needs for one sample of that shape: a Plan, or None (nothing; a module without
        children keeps the shape)."""
        return None

    def describe(self):
        """What a table shows."""
        return type(self).__name__

    def parameter(self, i):
        """Parameter i of the plan; None before build."""
        return self._parameter(i)

    def buffer(self, i):
        """Buffer i of the plan; None before build."""
        return self._buffer(i)
