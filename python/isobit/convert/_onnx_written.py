"""Arithmetic in ONNX graphs: sums and products with constants, and GELU and GroupNorm as exporters write them out where an
opset has no such op. A value inside of such a chain is no layer's result: it is kept until the chain ends, and refused
where something else reads it."""

import numpy as np

from isobit import nn
from isobit.convert._graph import Layout, refuse


class Written:
    """A value of which only the start of a chain is known. finish() makes it a step, or says why that cannot be."""

    def __init__(self, node, what, todo):
        self.node, self.what, self.todo = node, what, todo

    def finish(self, importer):
        refuse(importer.origin(self.node), self.what, self.todo)


class Product(Written):
    """factor * x^power * (1 + erf(x / sqrt 2))^erfs."""

    def __init__(self, node, x, factor=1.0, power=1, erfs=0):
        super().__init__(node, "arithmetic with constants, which belongs to no gelu and no norm",
                         "isobit has it at the input alone, by one number")
        self.x, self.factor, self.power, self.erfs = x, factor, power, erfs

    def scaled(self, node, factor):
        return Product(node, self.x, self.factor * factor, self.power, self.erfs)

    def times(self, node, other):
        return Product(node, self.x, self.factor * other.factor, self.power + other.power, self.erfs + other.erfs)

    def is_gelu(self):
        return (self.power, self.erfs) == (1, 1) and abs(self.factor - 0.5) < 1e-6

    def is_scaled_for_erf(self, tolerance):
        return (self.power, self.erfs) == (1, 0) and abs(self.factor * np.sqrt(2) - 1) < tolerance


class Erf(Written):
    """erf(x / sqrt 2)."""

    def __init__(self, node, x):
        super().__init__(node, "it belongs to no gelu", "isobit has erf in 0.5 x (1 + erf(x / sqrt 2)) alone")
        self.x = x


class Groups(Written):
    """x with its channels in groups, each laid flat: normalised or not."""

    def __init__(self, node, x, groups, eps=None):
        super().__init__(node, f"it makes groups of channels {[groups, 'all']}, and no norm of groups follows",
                         "Of reshapes isobit has Flatten")
        self.x, self.groups, self.eps = x, groups, eps


class GroupNorm(Written):
    """A norm of groups, and what of its weights has been met."""

    def __init__(self, node, x, groups, eps, gamma=None, beta=None):
        super().__init__(node, "", "")
        self.x, self.groups, self.eps, self.gamma, self.beta = x, groups, eps, gamma, beta

    def with_weights(self, node, gamma, beta):
        return GroupNorm(node, self.x, self.groups, self.eps, gamma, beta)

    def finish(self, importer):
        c = self.x.shape[-1]
        weights, given = {}, [("gamma", self.gamma, 1), ("beta", self.beta, 0)]
        # A norm without weights is written with one number for all channels that changes nothing.
        if any(v is not None and (v.size > 1 or v.reshape(-1)[0] != none) for _, v, none in given):
            dtype = next(v.dtype for _, v, _ in given if v is not None)
            for name, v, none in given:
                values = np.full(1, none, dtype) if v is None else v.reshape(-1)
                weights[name] = (np.broadcast_to(values, (c,)), Layout((0,)))
        importer.put(self.node, nn.GroupNorm(self.groups, eps=self.eps, affine=bool(weights)), weights, source=self.x)


def per_channel(value, shape):
    """Whether a constant of an NCHW graph is one number, or one for each channel of a sample of `shape`."""
    *spatial, c = shape
    if value.size == 1:
        return value.ndim <= len(shape) + 1
    padded = (1,) * (len(shape) + 1 - value.ndim) + value.shape
    return padded == (1, c, *[1] * len(spatial))


class Arithmetic:
    """The part of the importer that takes Add, Sub, Mul, Div and Erf."""

    def _operands(self, node):
        """(name of the value, constant) where one operand is a constant."""
        for i in (0, 1):
            if node.input[i] in self.constants:
                return node.input[1 - i], self.constant(node, i)
        return None

    def _add(self, node, a):
        pair = self._operands(node)
        if pair is None:
            return self._join(node, "add")
        name, value = pair
        chain = self.written.get(name)
        if isinstance(chain, Erf) and value.size == 1 and value.reshape(-1)[0] == 1:
            self.written[node.output[0]] = Product(node, chain.x, power=0, erfs=1)
            return None
        if isinstance(chain, GroupNorm) and chain.beta is None and per_channel(value, chain.x.shape):
            self.written[node.output[0]] = chain.with_weights(node, chain.gamma, value)
            return None
        source = self.step_of(name, self.origin(node))
        product = source.weights if source.origin.endswith("(MatMul)") else None
        if product and value.size == source.shape[-1] and len(self.readers[name]) == 1:
            weights = {**product, "bias": (value.reshape(-1), Layout((0,)))}
            return self.put(node, nn.Linear(value.size), weights, source=source.inputs[0])
        return self._scaled(node, source, value, lambda v: {"mean": -v})

    def _sub(self, node, a):
        self._scaled(node, *self._first(node), lambda v: {"mean": v})

    def _div(self, node, a):
        if node.input[1] in self.constants and self.constant(node, 1).size == 1 and not self._at_input(node):
            return self._product(node, self._factor(node, node.input[0]), 1 / float(self.constant(node, 1).reshape(-1)[0]))
        return self._scaled(node, *self._first(node), lambda v: {"deviation": v})

    def _first(self, node):
        return self.step_of(node.input[0], self.origin(node)), self.constant(node, 1)

    def _at_input(self, node):
        step = self.steps.get(node.input[0])
        return (step is not None and (step.kind == "input" or isinstance(step.layer, nn.Input))
                and "Erf" not in self.readers.get(node.output[0], []))

    def _scaled(self, node, source, value, options):
        at_input = source.kind == "input" or isinstance(source.layer, nn.Input)
        if value.size != 1 or not at_input:
            refuse(self.origin(node), "arithmetic with constants", "isobit has it at the input alone, by one number")
        self.put(node, nn.Input(source.shape, **options(float(value.reshape(-1)[0]))), source=source)

    def _factor(self, node, name):
        """The value as a Product."""
        chain = self.written.get(name)
        return chain if isinstance(chain, Product) else Product(node, self.step_of(name, self.origin(node)))

    def _product(self, node, product, factor=1.0):
        product = product.scaled(node, factor)
        if product.is_gelu():
            return self.put(node, nn.GELU(), order=product.x.order, source=product.x)
        self.written[node.output[0]] = product

    def _erf(self, node, a):
        product = self._factor(node, node.input[0])
        if not product.is_scaled_for_erf(1e-3 if self.dtype == "f16" else 1e-6):
            refuse(self.origin(node), "it belongs to no gelu", "isobit has erf in 0.5 x (1 + erf(x / sqrt 2)) alone")
        self.written[node.output[0]] = Erf(node, product.x)

    def _mul(self, node, a):
        pair = self._operands(node)
        if pair is not None:
            name, value = pair
            chain = self.written.get(name)
            if (isinstance(chain, GroupNorm) and chain.gamma is None and chain.beta is None
                    and per_channel(value, chain.x.shape)):
                self.written[node.output[0]] = chain.with_weights(node, value, None)
                return None
            if value.size != 1:
                refuse(self.origin(node), "arithmetic with constants", "isobit has it at the input alone, by one number")
            return self._product(node, self._factor(node, name), float(value.reshape(-1)[0]))
        # x * sigmoid(x) is silu.
        for x, gate in (node.input, reversed(node.input)):
            step = self.steps.get(gate)
            if step is not None and step.origin.endswith("(Sigmoid)") and step.inputs[0] is self.steps.get(x):
                return self.put(node, nn.SiLU(), order=self.steps[x].order, source=self.steps[x])
        x, y = (self._factor(node, name) for name in node.input)
        if x.x is not y.x or x.erfs + y.erfs != 1:
            refuse(self.origin(node), "a product that is no x * sigmoid(x) and no gelu", "Write it as a module of your own")
        return self._product(node, x.times(node, y))
