"""How far a result may be from the truth: an arithmetic that computes, for every element, the sum S of the absolute
values of its terms and the number K of its roundings.

A Bounded stands for a tensor of an expression. Its s is the same expression of absolute values: every input by its
absolute value, every minus by a plus. For what is linear in each operand (padding, convolution, averages, fold, ...)
that is the op itself, run on absolute values. Gradients of such an op are sums of products too, so their S is the
gradient of the op on absolute values with absolute seeds, and so on for second gradients: `grad` builds the backward
pass of Bounded expressions out of Bounded expressions, by the chain rule that is written beside every primitive here,
and each of its results has an S and a K of its own. A function f that is not linear hands its operand's error on by
its slope: S = |f(a)| + |f'(a)| S(a). k counts roundings on the longest way: the terms of a sum of products, those of a
sum less one (nothing is rounded where one term stands alone), and both operands' for a product.

Results below the smallest normal number keep fewer bits, and PyTorch's exp flushes them to zero: `floor` joins S wherever
functions and their products may get there.

To first order an implementation of the expression, in whichever order it sums, has an error of at most k u S (u = 2^-53
for f64), the peer as well, and 4 k u S leaves a factor of two for another arrangement of the formula.
"""
import itertools
import math

import torch

_ids = itertools.count()
floor = 0.0  # of the case at hand; check.py sets it


class Bounded:
    """s: a tensor, at least the absolute value; v: the value, computed when somebody asks; k: roundings."""

    def __init__(self, s, k, value, parents=(), needs=None):
        self.s, self.k, self._value, self.parents = s, k, value, parents
        self.id = next(_ids)
        self.needs = any(p.needs for p, _ in parents) if needs is None else needs
        if not self.needs:
            self.parents = ()

    @property
    def v(self):
        if callable(self._value):
            self._value = self._value()
        return self._value

    @property
    def shape(self):
        return self.s.shape


def leaf(t):
    return Bounded(t.abs(), 0, t, needs=True)


def constant(t, k=1):
    """k = 1: a number that the computation rounds once to its own type."""
    return Bounded(t.abs(), k, t, needs=False)


class Form:
    """A function of tensors, linear in each of them. Slots are its operands by position; the last slot is the cotangent
    of its result. With all slots but one given, `evaluate` is the derivative of <f(slots), cotangent> with respect to
    the missing one; its own derivatives are the form again with another slot missing. `count` is f with every
    coefficient replaced by one (f itself where it has none), `bound` is f with coefficients that cover what f's own
    are off by when they are computed."""

    def __init__(self, f, shapes, count=None, exact=None, bound=None):
        self.f, self.count, self.bound, self.shapes = f, count or f, bound or f, [tuple(s) for s in shapes]
        self.out = len(shapes)
        # A sum of n elements as they are rounds n - 1 times; products or coefficients round too.
        self.exact = len(shapes) == 1 and count is None if exact is None else exact
        self.roundings = {}

    def evaluate(self, missing, values, f=None):
        f = f or self.f
        if missing == self.out:
            return f(*(values[i] for i in range(self.out)))
        hole = torch.zeros(self.shapes[missing], dtype=torch.float64, requires_grad=True)
        with torch.enable_grad():
            y = f(*(hole if i == missing else values[i] for i in range(self.out)))
        if y.numel() == 0 or not y.requires_grad:
            return torch.zeros(self.shapes[missing], dtype=torch.float64)
        return torch.autograd.grad(y, hole, values[self.out])[0]

    def terms(self, missing, shapes):
        if missing not in self.roundings:
            ones = {i: torch.ones(s, dtype=torch.float64) for i, s in shapes.items()}
            n = self.evaluate(missing, ones, self.count)
            most = n.max().item() if n.numel() else 0
            self.roundings[missing] = max(most - 1, 0) if self.exact else most
        return self.roundings[missing]

    def apply(self, missing, operands):
        s = self.evaluate(missing, {i: m.s for i, m in operands.items()}, self.bound)
        k = sum(m.k for m in operands.values()) + self.terms(missing, {i: m.shape for i, m in operands.items()})

        def backward(slot):
            rest = {i: m for i, m in operands.items() if i != slot}
            return lambda h: self.apply(slot, {**rest, missing: h})

        return Bounded(s, k, lambda: self.evaluate(missing, {i: m.v for i, m in operands.items()}),
                       [(m, backward(i)) for i, m in operands.items() if m.needs])

    def __call__(self, *operands):
        return self.apply(self.out, dict(enumerate(operands)))


def linear(x, f, count=None):
    return Form(f, [x.shape], count)(x)


def add(a, b, rounded=True):
    """Of equal shapes. rounded=False: where one of them is zero everywhere."""
    return Bounded(a.s + b.s, max(a.k, b.k) + (1 if rounded else 0), lambda: a.v + b.v,
                   [(a, lambda h: h), (b, lambda h: h)])


def scale(a, c):
    """By a number; a power of two rounds nothing."""
    rounds = 0 if c != 0 and math.frexp(abs(c))[0] == 0.5 else 2
    return Bounded(a.s * abs(c), a.k + rounds, lambda: a.v * c, [(a, lambda h: scale(h, c))])


def sub(a, b):
    return add(a, scale(b, -1.0))


def mul(a, b):
    s = a.s * b.s
    return Bounded(s + floor * (s > 0), a.k + b.k + 1, lambda: a.v * b.v, [(a, lambda h: mul(h, b)), (b, lambda h: mul(h, a))])


def shift(a, c):
    return add(a, constant(torch.full(a.shape, float(c), dtype=torch.float64)))


def mask(a, m):
    """Times a constant tensor of zeros, ones and perhaps a slope."""
    k = 0 if bool(((m == 0) | (m == 1)).all()) else 2
    return Bounded(a.s * m.abs(), a.k + k, lambda: a.v * m, [(a, lambda h: mask(h, m))])


def expand(a, shape):
    """Broadcast; its adjoint sums."""
    return linear(a, lambda t: t.expand(shape))


def total(a, axes, keep=True):
    return linear(a, lambda t: t.sum(axes, keepdim=keep) if axes else t)


def reshape(a, shape):
    return linear(a, lambda t: t.reshape(shape))


def _unary(a, f, slope, backward, k=3):
    """slope(v, f(v)): |f'|. backward(node): the derivative as an expression."""
    v = f(a.v)
    node = Bounded(v.abs() + slope(a.v, v).abs() * a.s + floor, a.k + k, v)
    node.needs = a.needs
    if a.needs:
        node.parents = [(a, lambda h: mul(h, backward(node)))]
    return node


def exp(a):
    return _unary(a, torch.exp, lambda x, y: y, lambda y: y)


def log(a):
    return _unary(a, torch.log, lambda x, y: 1 / x, lambda y: power(a, -1))


def power(a, p):
    if p == 0:
        return constant(torch.ones(a.shape, dtype=torch.float64), 0)
    if p == 1:
        return a
    return _unary(a, lambda x: x**p, lambda x, y: p * x ** (p - 1), lambda y: scale(power(a, p - 1), p),
                  3 + 3 * abs(p) + (0 if p == int(p) or p == 0.5 else 8))


def sigmoid(a):
    return _unary(a, torch.sigmoid, lambda x, y: y * (1 - y), lambda y: mul(y, shift(scale(y, -1.0), 1)))


def tanh(a):
    return _unary(a, torch.tanh, lambda x, y: 1 - y * y, lambda y: shift(scale(mul(y, y), -1.0), 1))


def erf(a):
    c = 2 / math.sqrt(math.pi)
    return _unary(a, torch.erf, lambda x, y: c * torch.exp(-x * x), lambda y: scale(exp(scale(mul(a, a), -1.0)), c))


def absolute(a):
    return mask(a, torch.sign(a.v))


def activation(name, a, slope=0.01):
    if name == "none":
        return a
    if name == "relu":
        return mask(a, (a.v > 0).double())
    if name == "leaky_relu":
        return mask(a, torch.where(a.v < 0, slope, 1.0).double())
    if name == "silu":
        return mul(a, sigmoid(a))
    if name == "gelu":
        return mul(a, scale(shift(erf(scale(a, math.sqrt(0.5))), 1), 0.5))
    return {"sigmoid": sigmoid, "tanh": tanh}[name](a)


def grad(outputs, inputs, seeds):
    """As torch.autograd.grad with create_graph: an expression for each input, or None where nothing depends on it."""
    waiting, nodes = {}, {}

    def give(node, h):
        if node.needs:
            waiting[node.id] = add(waiting[node.id], h) if node.id in waiting else h
            nodes[node.id] = node

    for y, h in zip(outputs, seeds):
        if y is not None:
            give(y, h)
    wanted, found = {m.id for m in inputs}, {}
    while waiting:
        node = nodes.pop(max(waiting))
        h = waiting.pop(node.id)
        if node.id in wanted:
            found[node.id] = h
        for parent, backward in node.parents:
            if parent.needs:
                give(parent, backward(h))
    return [found.get(m.id) for m in inputs]
