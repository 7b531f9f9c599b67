"""The common middle of all importers: values that layers, additions and concatenations make of one another, and how a
graph of them becomes a tree of Sequential, Residual and Concat."""

import re

import numpy as np

from isobit import nn


class ConversionError(ValueError):
    """What cannot be converted: names the layer, its kind and what to do."""


class Layout:
    """How a weight lies elsewhere: there axis i of ours is axes[i], and our row j is row rows[j] of that. Works on NumPy
    arrays and on torch tensors; there and back are the same bits."""

    def __init__(self, axes, rows=None):
        self.axes, self.rows = tuple(axes), rows

    def here(self, x):
        """Ours, of theirs."""
        x = _permuted(x, self.axes)
        return x if self.rows is None else x[self.rows]

    def there(self, x):
        """Theirs, of ours."""
        if self.rows is not None:
            x = x[np.argsort(self.rows)]
        return _permuted(x, np.argsort(self.axes).tolist())

    def same(self, other):
        if self.rows is None or other.rows is None:
            return self.axes == other.axes and self.rows is other.rows
        return self.axes == other.axes and np.array_equal(self.rows, other.rows)


def _permuted(x, axes):
    return x.transpose(axes) if isinstance(x, np.ndarray) else x.permute(*axes)


def filters_layout(spatial):
    """[k, c, (t,) (r,) s] there, [(t,) (r,) s, c, k] here."""
    return Layout((*range(2, 2 + spatial), 1, 0))


def transposed_filters_layout(spatial):
    """Of transposed convolutions: [c, k / groups, (t,) (r,) s] there, [(t,) (r,) s, k / groups, c] here."""
    return Layout((*range(2, 2 + spatial), 1, 0))


def features(shape):
    """Where the features of a flattened sample come from: ours are in order (h, w, c) of `shape`, theirs in order
    (c, h, w). None where that is no difference."""
    *spatial, c = shape
    if c == 1 or int(np.prod(spatial)) == 1:
        return None
    theirs = np.arange(int(np.prod(shape))).reshape((c, *spatial))
    return np.ascontiguousarray(np.moveaxis(theirs, 0, -1)).reshape(-1)


class Step:
    """One value of the graph. kind: "input", "layer", "add" or "concat".

    shape: of one sample, as isobit lays it out. order: features() of what was flattened before, while that still
    matters. weights: name in the layer -> (their tensor, Layout). origin: path and kind, for errors."""

    def __init__(self, name, kind, inputs=(), layer=None, weights=None, shape=None, order=None, origin=None):
        self.name, self.kind, self.inputs, self.layer = name, kind, list(inputs), layer
        self.weights, self.shape, self.order = weights or {}, shape, order
        self.origin = origin or name


def refuse(origin, what, todo):
    raise ConversionError(f"{origin}: {what}. {todo}")


def ancestors(output):
    """Every step that leads to `output`, each before those that read it."""
    order, seen, stack = [], set(), [(output, iter(output.inputs))]
    seen.add(id(output))
    while stack:
        step, inputs = stack[-1]
        for source in inputs:
            if id(source) not in seen:
                seen.add(id(source))
                stack.append((source, iter(source.inputs)))
                break
        else:
            order.append(step)
            stack.pop()
    return order


class _Tree:
    """Every step and its dominator: the nearest step before it that all ways to it pass."""

    def __init__(self, output):
        self.steps = ancestors(output)
        self.number = {id(step): i for i, step in enumerate(self.steps)}
        self.dominator = {}
        self.used = {}
        for step in self.steps:
            if not step.inputs:
                self.dominator[id(step)] = step
                continue
            common = step.inputs[0]
            for source in step.inputs[1:]:
                common = self._meet(common, source)
            self.dominator[id(step)] = common

    def _meet(self, a, b):
        while a is not b:
            if self.number[id(a)] > self.number[id(b)]:
                a = self.dominator[id(a)]
            else:
                b = self.dominator[id(b)]
        return a

    def chain(self, step, until):
        """The layers that make `step` of `until`, by name."""
        layers = []
        while step is not until:
            if id(step) in self.used:
                refuse(step.origin, "its result is read by branches that do not begin there",
                       "Networks are trees of Sequential, Residual and Concat: write this part as a module of your own")
            self.used[id(step)] = True
            if step.kind == "layer" or len(step.inputs) == 1:  # which joins nothing
                if step.layer is not None:
                    layers.append((step.name, step.layer))
                step = step.inputs[0]
            else:
                start = self.dominator[id(step)]
                branches = [self.chain(source, start) for source in step.inputs]
                layers.append((step.name, _joined(step, branches)))
                step = start
        layers.reverse()
        return layers


def _joined(step, branches):
    if step.kind == "concat":
        net = nn.Concat()
        for i, branch in enumerate(branches):
            net.add(str(i), _one(branch))
        return net
    body, shortcut = branches
    if not body:
        body, shortcut = shortcut, body
    return nn.Residual(_one(body), _one(shortcut)) if shortcut else nn.Residual(_one(body))


def _one(layers):
    return layers[0][1] if len(layers) == 1 else sequential(layers)


def sequential(layers):
    """A Sequential of (name, layer); names become legal ones, each once."""
    net, names = nn.Sequential(), set()
    for name, layer in layers:
        base = re.sub(r"[^0-9A-Za-z_]+", "_", name).strip("_") or "layer"
        name, i = base, 1
        while name in names:
            i += 1
            name = f"{base}_{i}"
        names.add(name)
        net.add(name, layer)
    return net


def assemble(output):
    """The network that gives `output` (not built)."""
    if output.order is not None:
        refuse(output.origin, "the network's output is a flattened picture, in an order that isobit does not have",
               "End with a Linear layer, or leave the Flatten out")
    tree = _Tree(output)
    try:
        return sequential(tree.chain(output, tree.steps[0]))
    except ConversionError:
        if not _factor(tree.steps):
            raise
    tree = _Tree(output)
    return sequential(tree.chain(output, tree.steps[0]))


def _factor(steps):
    """Lets concatenations read earlier ones in place of the values that those join, as in DenseNets, where every layer
    reads all before it: [a, b, c] of [a, b] and c. So the branches begin at one value. Whether anything was changed."""
    changed, known, flat = False, [], {}  # known: what an earlier one joins, and its step, the longest first
    for step in steps:
        if step.kind != "concat":
            flat[id(step)] = [step]
            continue
        whole = [part for source in step.inputs for part in flat[id(source)]]
        inputs, rest = [], whole
        while rest:
            parts, source = next((pair for pair in known if pair[0] == rest[: len(pair[0])]), ([rest[0]], rest[0]))
            inputs.append(source)
            rest = rest[len(parts):]
        if len(inputs) < len(step.inputs):
            step.inputs, changed = inputs, True
        flat[id(step)] = whole
        known.append((whole, step))
        known.sort(key=lambda pair: -len(pair[0]))
    return changed


def check_join(step):
    """Throws unless the operands of an addition or concatenation can be joined."""
    shapes = [source.shape for source in step.inputs]
    if step.kind == "add":
        if len(set(shapes)) != 1:
            refuse(step.origin, f"it adds shapes {shapes}",
                   "Residual adds equal shapes: expand the smaller one in a module of your own")
        orders = [source.order is None or source.order.tobytes() for source in step.inputs]
        if len(set(orders)) != 1:
            refuse(step.origin, "it adds features of different order", "Flatten both operands, or neither")
        step.order = step.inputs[0].order
    elif any(source.order is not None for source in step.inputs):
        refuse(step.origin, "it joins flattened pictures", "Join them before the Flatten")


def load(net, steps, tensor_of):
    """Puts the weights of the steps into the built network; tensor_of makes a tensor of a layer's own."""
    state = {}
    for step in steps:
        for name, (theirs, layout) in step.weights.items():
            state[joined(step.layer.path, name)] = tensor_of(layout.here(theirs))
    net.load_state_dict(widened(state, net))


_WIDER = {"f16": ("f32", "f64"), "bf16": ("f32", "f64"), "f32": ("f64",)}


def widened(state, net):
    """The tensors in the dtypes of the net's own where those are wider: norms of a network in half precision are f32."""
    ours = net.state_dict()
    return {
        name: t.to(ours[name].dtype) if name in ours and str(ours[name].dtype) in _WIDER.get(str(t.dtype), ()) else t
        for name, t in state.items()
    }


def joined(path, name):
    return f"{path}.{name}" if path else name
