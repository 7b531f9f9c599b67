"""A built network as exporters read it: its leaves with what they are made of and the shapes that they meet."""

from isobit import nn
from isobit.convert._graph import joined, refuse


class Node:
    """One place of the network. path: of the place; owner: of the layer's parameters (another where a layer is shared);
    children: by name."""

    def __init__(self, path, owner, kind, options, children):
        self.path, self.owner, self.kind, self.options, self.children = path, owner, kind, options, children
        self.input = self.output = None  # shapes of one sample


def tree_of(net):
    """The Node of a built network, with shapes."""
    if not net.built():
        raise ValueError("the network is not built: call build(sample shape) first")
    description = nn.describe(net)
    places = {}
    root = _node(description, "", "", places)
    outputs = {row.path: tuple(row.output) for row in net.summarize().rows}
    _shapes(root, tuple(net.input_shape), outputs)
    return root


def _node(d, path, owner, places):
    if d["kind"] == "Shared":
        owner = d["options"]["path"]
        d = places[owner]
    else:
        places.setdefault(owner, d)
    children = {
        c["name"]: _node(c, joined(path, c["name"]), joined(owner, c["name"]), places) for c in d.get("layers", [])
    }
    return Node(path, owner, d["kind"], d.get("options", {}), children)


def _shapes(node, shape, outputs):
    node.input = shape
    if node.kind == "Sequential":
        for child in node.children.values():
            shape = _shapes(child, shape, outputs)
    elif node.kind == "Residual":
        shape = [_shapes(child, shape, outputs) for child in node.children.values()][0]
    elif node.kind == "Concat":
        parts = [_shapes(child, shape, outputs) for child in node.children.values()]
        shape = (*parts[0][:-1], sum(part[-1] for part in parts))
    else:
        shape = outputs[node.path]
    node.output = shape
    return shape


def leaves(node):
    """Layers that are no containers, in order of execution."""
    if node.kind in ("Sequential", "Residual", "Concat"):
        for child in node.children.values():
            yield from leaves(child)
    else:
        yield node


def check_shapes(net, steps):
    """Throws unless every layer of the built network gives what its step of the graph did."""
    built, expected = {}, {}
    for leaf in leaves(tree_of(net)):
        built.setdefault(leaf.owner, []).append(leaf.output)
    for step in steps:
        if step.layer is not None and step.shape is not None:
            expected.setdefault(step.layer.path, []).append(step)
    for path, places in expected.items():
        ours, theirs = sorted(built[path]), sorted(tuple(step.shape) for step in places)
        if ours != theirs:
            refuse(places[0].origin, f"it gives {theirs}, isobit's layer {ours}", "Write it as a module of your own")


def per_axis(value, spatial):
    """[2] or [2, 1] as one number for each of `spatial` axes."""
    value = [value] if isinstance(value, int) else list(value)
    return value * spatial if len(value) == 1 else value


def sides(options, spatial, extents, kernel, stride, dilation):
    """(before, after) of each axis for what "padding" says of a convolution over `extents`."""
    padding = options["padding"]
    if not isinstance(padding, str):
        pairs = list(zip(padding[::2], padding[1::2]))
        return pairs * spatial if len(pairs) == 1 else pairs
    result = []
    for n, k, s, d in zip(extents, kernel, stride, dilation):
        span = d * (k - 1)
        if padding == "valid":
            pair = (0, 0)
        elif padding == "full":
            pair = (span, span)
        elif padding == "causal":
            pair = (span, 0)
        else:
            total = max((-(-n // s) - 1) * s + span + 1 - n, 0)
            small = total // 2
            pair = (small, total - small) if padding == "same" else (total - small, small)
        result.append(pair)
    return result
