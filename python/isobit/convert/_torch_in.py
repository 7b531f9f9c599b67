"""From torch: the module's graph by torch.fx, its shapes by a run on zeros."""

import operator

import torch
import torch.nn.functional as F
from torch import fx
from torch import nn as tnn

import isobit
from isobit.convert import _graph, _net, _torch_layers
from isobit.convert._graph import ConversionError, Step, refuse

# Functions and methods are converted as the module that does the same.
_FUNCTIONS = {
    F.relu: tnn.ReLU, torch.relu: tnn.ReLU, F.leaky_relu: tnn.LeakyReLU, F.elu: tnn.ELU, F.gelu: tnn.GELU,
    F.silu: tnn.SiLU, torch.sigmoid: tnn.Sigmoid, F.sigmoid: tnn.Sigmoid, torch.tanh: tnn.Tanh, F.tanh: tnn.Tanh,
    F.softplus: tnn.Softplus, F.softmax: tnn.Softmax, torch.softmax: tnn.Softmax, F.log_softmax: tnn.LogSoftmax,
    torch.log_softmax: tnn.LogSoftmax, F.dropout: tnn.Dropout, torch.flatten: tnn.Flatten,
    F.max_pool1d: tnn.MaxPool1d, F.max_pool2d: tnn.MaxPool2d, F.max_pool3d: tnn.MaxPool3d,
    F.avg_pool1d: tnn.AvgPool1d, F.avg_pool2d: tnn.AvgPool2d, F.avg_pool3d: tnn.AvgPool3d,
    F.adaptive_avg_pool1d: tnn.AdaptiveAvgPool1d, F.adaptive_avg_pool2d: tnn.AdaptiveAvgPool2d,
    F.adaptive_avg_pool3d: tnn.AdaptiveAvgPool3d, F.adaptive_max_pool2d: tnn.AdaptiveMaxPool2d,
    F.pixel_shuffle: tnn.PixelShuffle,
}
_METHODS = {"relu": tnn.ReLU, "sigmoid": tnn.Sigmoid, "tanh": tnn.Tanh, "softmax": tnn.Softmax,
            "log_softmax": tnn.LogSoftmax, "flatten": tnn.Flatten}
_ADD = {operator.add, operator.iadd, torch.add, "add", "add_"}
_CONCAT = {torch.cat, torch.concat, torch.concatenate}


class _Tracer(fx.Tracer):
    """Goes into every module that is not converted as a whole."""

    def is_leaf_module(self, module, path):
        return _torch_layers.known(module) or (
            super().is_leaf_module(module, path) and not isinstance(module, tnn.Sequential)
        )


class _Shapes(fx.Interpreter):
    """Runs the graph and keeps the shape and the memory of every tensor, and for every node which tensors it wrote to."""

    def __init__(self, traced):
        super().__init__(traced)
        self.found, self.memory, self.overwritten = {}, {}, {}

    def run_node(self, node):
        self.at = node  # for errors
        tensors = {n: self.env[n] for n in node.all_input_nodes if isinstance(self.env[n], torch.Tensor)}
        versions = {n: t._version for n, t in tensors.items()}
        value = super().run_node(node)
        self.overwritten[node] = [n for n, t in tensors.items() if t._version != versions[n]]
        if self._dropped_in_place(node):
            self.overwritten[node] = [node.args[0]]
        if isinstance(value, torch.Tensor):
            self.found[node] = tuple(value.shape)
            self.memory[node] = value.untyped_storage().data_ptr()
        return value

    def _dropped_in_place(self, node):
        """Of a dropout, which writes in training alone."""
        if node.op == "call_module":
            module = self.fetch_attr(node.target)
            return isinstance(module, tnn.Dropout) and module.inplace
        return node.target is F.dropout and (node.kwargs.get("inplace", False) or node.args[3:] == (True,))


def _sample(shape):
    """A torch shape [n, c, h, w] as that of one sample here."""
    n, c, *spatial = shape
    return (*spatial, c)


class _Importer:
    def __init__(self, module, input_shape):
        self.module = module
        self.dtype, self.device = _kind_of(module)
        tracer = _Tracer()
        try:
            graph = tracer.trace(module)
        except Exception as error:  # whatever forward did with a value that is no tensor
            raise ConversionError(
                f"{type(module).__name__}: torch.fx cannot trace its forward ({error}). Write it without branches on "
                f"values, or convert its parts"
            ) from error
        self.traced = fx.GraphModule(tracer.root, graph)
        self._run(input_shape)
        self.steps, self.layers, self.stale = {}, {}, {}

    def _run(self, input_shape):
        *spatial, c = input_shape
        was = {m: m.training for m in self.module.modules()}
        self.module.eval()
        run = _Shapes(self.traced)
        try:
            with torch.no_grad():
                run.run(torch.zeros((1, c, *spatial), dtype=self.dtype, device=self.device))
            self.shapes, self.memory, self.overwritten = run.found, run.memory, run.overwritten
        except Exception as error:
            raise ConversionError(
                f"{type(self.module).__name__}: it cannot be run on one sample of {list(input_shape)} (channels last: "
                f"torch gets {[1, c, *spatial]}), at {run.at.target}: {str(error).splitlines()[0]}"
            ) from error
        finally:
            for m, training in was.items():
                m.training = training

    def shape_of(self, node):
        shape = self.shapes.get(node, ())
        return _sample(shape) if len(shape) > 1 else None

    def output(self):
        for node in self.traced.graph.nodes:
            if node.op == "placeholder":
                if self.steps:
                    refuse(node.name, "a second input", "isobit's networks have one")
                self.steps[node] = Step(node.name, "input", shape=self.shape_of(node))
            elif node.op == "output":
                result = node.args[0]
                if not isinstance(result, fx.Node):
                    refuse("output", "the module returns several values", "isobit's networks give one tensor")
                return self.step_of(result, "output")
            else:
                self._take(node)
                self._overwrite(node)
        raise AssertionError("a graph without an output")

    def step_of(self, node, origin):
        if node not in self.steps:
            refuse(origin, f"it reads {node}, which is no value of the network ({node.op} {node.target})",
                   "Constants and parameters beside layers need a module of your own")
        if node in self.stale:
            refuse(origin, f"it reads {node}, which {self.stale[node]} has overwritten by way of another view",
                   "Make that one not inplace")
        return self.steps[node]

    def _overwrite(self, node):
        """What a node wrote to is, for all that read it later, what the node gives."""
        for target in self.overwritten[node]:
            was = self.steps.get(target)
            for other, memory in self.memory.items():
                if other is node or other not in self.steps or memory != self.memory[target]:
                    continue
                if self.steps[other] is was:
                    self.steps[other] = self.steps[node]
                else:
                    self.stale[other] = node

    def _take(self, node):
        if node.op == "call_module":
            module = self.traced.get_submodule(node.target)
            origin = f"{node.target} ({type(module).__name__})"
            if len(node.args) != 1 or node.kwargs:
                refuse(origin, f"it is called with {[*map(str, node.args[1:]), *node.kwargs]} beside the value",
                       "Say it when the module is made")
            self._layer(node, module, origin, str(node.target), shared=True)
        elif node.op in ("call_function", "call_method"):
            self._call(node)
        # get_attr: an error where somebody reads it

    def _layer(self, node, module, origin, name, shared=False):
        source = self.step_of(node.args[0], origin)
        shape = self.shape_of(node)
        place = _torch_layers.Place(name, origin, source.shape, source.order, shape and shape[:-1])
        layer, weights, order = _torch_layers.convert(module, place)
        if shared and layer is not None:
            layer = self._once(module, layer, weights, origin)
        self.steps[node] = Step(name, "layer", [source], layer, weights, shape, order, origin)

    def _once(self, module, layer, weights, origin):
        """A module that is called twice is one layer at two places, unless it is not the same at both."""
        first, its = self.layers.setdefault(module, (layer, weights))
        if isobit.nn.describe(first) != isobit.nn.describe(layer):
            if weights:
                refuse(origin, "it is called twice, with extents that make it two different layers", "Take two modules")
            return layer
        if any(not layout.same(its[name][1]) for name, (_, layout) in weights.items()):
            refuse(origin, "it is called twice, with features in the order of a flattened picture and in another",
                   "Take two modules")
        return first

    def _call(self, node):
        called = node.target
        name = called if isinstance(called, str) else getattr(called, "__name__", str(called))
        origin = f"{node.name} ({name})"
        if called in _ADD:
            return self._join(node, "add", node.args[:2], origin)
        if called in _CONCAT:
            parts = node.args[0] if node.args else node.kwargs["tensors"]
            dim = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
            rank = len(self.step_of(parts[0], origin).shape) + 1
            if dim not in (1, 1 - rank):
                refuse(origin, f"it joins along axis {dim}", "isobit's Concat joins channels: dim=1")
            return self._join(node, "concat", parts, origin)
        if name in ("size", "getattr", "getitem"):
            return None  # of shapes: view reads them
        if name in ("view", "reshape"):
            return self._view(node, origin)
        if name == "mean":
            return self._mean(node, origin)
        make = _FUNCTIONS.get(called) or _METHODS.get(called)
        if make is None:
            make = _by_name(name)
        if make is None:
            refuse(origin, "this function cannot be converted", "Use the torch.nn module, or write an isobit.nn.Module")
        self._layer(node, _module_of(make, node, origin), origin, node.name)

    def _join(self, node, kind, parts, origin):
        if node.kwargs.get("alpha", 1) != 1:
            refuse(origin, "it scales the second operand", "Add without alpha")
        if any(not isinstance(p, fx.Node) for p in parts):
            refuse(origin, "it adds a constant", "Write it as an isobit.nn.Lambda")
        stack = list(node.meta.get("nn_module_stack", {}))
        name = f"{stack[-1]}.{kind}" if stack and stack[-1] else node.name
        step = Step(name, kind, [self.step_of(p, origin) for p in parts], shape=self.shape_of(node), origin=origin)
        _graph.check_join(step)
        self.steps[node] = step

    def _view(self, node, origin):
        source, shape = self.step_of(node.args[0], origin), self.shape_of(node)
        if shape is None or len(shape) != 1:
            refuse(origin, f"it makes {source.shape} {shape}", "Of reshapes isobit has Flatten alone")
        self._layer(node, tnn.Flatten(), origin, node.name)

    def _mean(self, node, origin):
        source = self.step_of(node.args[0], origin)
        axes = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
        keep = node.args[2] if len(node.args) > 2 else node.kwargs.get("keepdim", False)
        rank = len(source.shape) + 1
        axes = sorted(a % rank for a in ([axes] if isinstance(axes, int) else axes or []))
        if axes != list(range(2, rank)) or rank < 3:
            refuse(origin, f"a mean over axes {axes}", "isobit's GlobalAvgPool takes all spatial axes")
        layer = isobit.nn.AdaptiveAvgPool(1) if keep else isobit.nn.GlobalAvgPool()
        self.steps[node] = Step(node.name, "layer", [source], layer, {}, self.shape_of(node), None, origin)


def _by_name(name):
    # F.max_pool2d and others are wrappers; what the graph holds may be the function behind.
    for function, make in _FUNCTIONS.items():
        if getattr(function, "__name__", None) == name:
            return make
    return tnn.ReLU if name == "relu_" else None


def _module_of(make, node, origin):
    kwargs = {k: v for k, v in node.kwargs.items() if k not in ("input", "training", "dtype", "_stacklevel")}
    args = list(node.args[1:])
    if make is tnn.Dropout:
        args = args[:1]  # the rest is training, inplace
    if make in (tnn.Softmax, tnn.LogSoftmax):
        args = args[:1]
    if make is tnn.Flatten and not args and "start_dim" not in kwargs:
        args = [0]  # the function's default
    try:
        return make(*args, **kwargs)
    except TypeError as error:
        raise ConversionError(f"{origin}: its arguments {args} {kwargs} are not those of {make.__name__}: {error}")


def _kind_of(module):
    for t in [*module.parameters(), *module.buffers()]:
        if t.is_floating_point():
            return t.dtype, t.device
    return torch.float32, torch.device("cpu")


_DTYPES = {torch.float32: "f32", torch.float64: "f64", torch.float16: "f16", torch.bfloat16: "bf16"}


def _converted(module, input_shape):
    importer = _Importer(module, tuple(input_shape))
    output = importer.output()
    net = _graph.assemble(output)
    device = f"cuda:{importer.device.index or 0}" if importer.device.type == "cuda" else "cpu"
    net.build(tuple(input_shape), device=device, dtype=_DTYPES[importer.dtype])
    steps = _graph.ancestors(output)
    _net.check_shapes(net, steps)
    return net, [s for s in steps if s.weights]


def from_torch(module, input_shape):
    net, steps = _converted(module, input_shape)
    _graph.load(net, steps, _torch_layers.tensor_of)
    return net.train(module.training)


def _pairs(module, net):
    """(path in `net`, weights of the torch module there) for every layer with weights, in order."""
    twin, steps = _converted(module, net.input_shape)
    weights = {step.layer.path: step for step in steps}
    theirs = [leaf for leaf in _with_parameters(twin)]
    ours = [leaf for leaf in _with_parameters(net)]
    for a, b in zip(theirs, ours):
        if a.kind != b.kind or a.output != b.output:
            refuse(weights[a.owner].origin, f"it gives {list(a.output)}, its counterpart \"{b.path}\" is a {b.kind} that "
                   f"gives {list(b.output)}", "Both must have the same layers in the same order")
    if len(theirs) != len(ours):
        refuse(type(module).__name__, f"it has {len(theirs)} layers with weights, the network {len(ours)}",
               "Both must have the same layers in the same order")
    return [(b.owner, weights[a.owner]) for a, b in zip(theirs, ours)]


def _with_parameters(net):
    names = {name.rpartition(".")[0] for name in net.state_dict()}
    seen = set()
    for leaf in _net.leaves(_net.tree_of(net)):
        if leaf.owner in names and leaf.owner not in seen:
            seen.add(leaf.owner)
            yield leaf


def weights_from(module, net):
    state = {}
    for path, step in _pairs(module, net):
        for name, (theirs, layout) in step.weights.items():
            state[_graph.joined(path, name)] = _torch_layers.tensor_of(layout.here(theirs))
    net.load_state_dict(_graph.widened(state, net))


def weights_to(net, module):
    state = net.state_dict()
    moves = []
    for path, step in _pairs(module, net):
        for name, (theirs, layout) in step.weights.items():
            ours = layout.there(_torch_layers.torch_of(state[_graph.joined(path, name)].detach()))
            if ours.shape != theirs.shape:
                refuse(step.origin, f"{name} is {list(theirs.shape)}, the network's {list(ours.shape)}",
                       "Both must have the same layers")
            narrowed = ours.to(theirs.dtype)
            if not torch.allclose(narrowed.to(ours.dtype), ours, rtol=0, atol=0, equal_nan=True):
                refuse(step.origin, f"{name} is {theirs.dtype} there, which does not hold the values of the network's "
                       f"{ours.dtype}", "Make that layer of the wider type, e.g. by float()")
            moves.append((theirs, ours))
    with torch.no_grad():
        for theirs, ours in moves:
            theirs.copy_(ours)
