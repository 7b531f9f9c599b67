"""From ONNX: nodes of the inference graph as layers, shapes by onnx's own inference."""

import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import isobit
from isobit import nn
from isobit.convert import _graph, _net
from isobit.convert import _onnx_written as written
from isobit.convert._graph import Layout, Step, features, filters_layout, refuse, transposed_filters_layout
from isobit.convert._onnx_shapes import folded, sample_shapes

_DTYPES = {TensorProto.FLOAT: "f32", TensorProto.DOUBLE: "f64", TensorProto.FLOAT16: "f16"}
_RULES = {"VALID": "valid", "SAME_UPPER": "same", "SAME_LOWER": "same_lower"}


class _Importer(written.Arithmetic):
    def __init__(self, model, input_shape):
        opset = max([i.version for i in model.opset_import if i.domain in ("", "ai.onnx")], default=0)
        if opset < 13:
            refuse("from_onnx", f"the model is of opset {opset}", "Convert it to opset 13 or later: onnx.version_converter")
        self.opset, self.graph = opset, model.graph
        self.constants = {t.name: numpy_helper.to_array(t) for t in self.graph.initializer}
        inputs = [i for i in self.graph.input if i.name not in self.constants]
        if len(inputs) != 1 or len(self.graph.output) != 1:
            refuse("from_onnx", f"the model has {len(inputs)} inputs and {len(self.graph.output)} outputs",
                   "isobit's networks have one of each")
        self.input = inputs[0]
        self.dtype = _DTYPES.get(self.input.type.tensor_type.elem_type)
        if self.dtype is None:
            refuse(self.input.name, "the input is no f32, f64 or f16", "Give it a floating type")
        self.shapes = sample_shapes(model, self.input, input_shape)
        self.readers = {}
        for node in self.graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node.op_type)
        self.steps, self.written, self.extents = {}, {}, set()

    def output(self):
        self.steps[self.input.name] = Step("input", "input", shape=self.shapes[self.input.name])
        for node in self.graph.node:
            if node.op_type == "Constant":
                self.constants[node.output[0]] = _constant(node)
            elif any(name in self.steps or name in self.written for name in node.input):
                self._take(node)
            else:
                self._fold(node)
        return self.step_of(self.graph.output[0].name, "output")

    def origin(self, node):
        return f"{node.name or node.output[0]} ({node.op_type})"

    def _fold(self, node):
        """What reads constants alone is one. What cannot be computed is an error where somebody reads it."""
        inputs = [name for name in node.input if name]
        if len(node.output) != 1 or any(name not in self.constants for name in inputs):
            return
        value = folded(node, {name: self.constants[name] for name in inputs}, self.opset)
        if value is not None:
            self.constants[node.output[0]] = value
            if not self.extents.isdisjoint(inputs):
                self.extents.add(node.output[0])

    def _shape(self, node, a):
        *spatial, c = self.step_of(node.input[0], self.origin(node)).shape
        self.constants[node.output[0]] = np.array([1, c, *spatial][a.get("start", 0):a.get("end")])
        self.extents.add(node.output[0])  # of one sample: to be read by what makes shapes alone

    def step_of(self, name, origin):
        if name in self.written and name not in self.steps:
            self.written[name].finish(self)
        if name not in self.steps:
            refuse(origin, f"\"{name}\" is no value that the input leads to", "Fold constants first (onnxsim, onnxoptimizer)")
        return self.steps[name]

    def constant(self, node, i, default=None):
        if len(node.input) <= i or not node.input[i]:
            return default
        if node.input[i] not in self.constants:
            refuse(self.origin(node), f"its input {i} (\"{node.input[i]}\") is no constant",
                   "Fold constants first (onnxsim, onnxoptimizer)")
        if node.input[i] in self.extents:
            refuse(self.origin(node), f"its input {i} (\"{node.input[i]}\") follows from the extents of its input",
                   "Export the network with constants there")
        return self.constants[node.input[i]]

    def shape(self, node):
        name = node.output[0]
        if name not in self.shapes:
            refuse(self.origin(node), "its output's shape cannot be inferred", "Give the model a fixed input shape")
        return self.shapes[name]

    def put(self, node, layer, weights=None, order=None, source=None, kind="layer"):
        sources = [source or self.step_of(node.input[0], self.origin(node))]
        self.steps[node.output[0]] = Step(node.name or node.op_type, kind, sources, layer, weights, self.shape(node), order,
                                          self.origin(node))

    def _take(self, node):
        make = getattr(self, "_" + node.op_type.lower(), None)
        simple = _SIMPLE.get(node.op_type)
        if make is None and simple is None:
            refuse(self.origin(node), "this op cannot be converted", "Replace it, or write the network by hand")
        a = {x.name: helper.get_attribute_value(x) for x in node.attribute}
        a = {k: _plain(v) for k, v in a.items()}
        if simple is not None:
            self.put(node, simple(a), order=self.step_of(node.input[0], self.origin(node)).order)
        else:
            make(node, a)

    def ordered(self, node):
        source = self.step_of(node.input[0], self.origin(node))
        if source.order is not None:
            refuse(self.origin(node), "it reads a flattened picture, whose features isobit has in another order",
                   "Put it before the Flatten")
        return source

    # ---- weights

    def _windows(self, node, a, kernel):
        n = len(kernel)
        rule = a.get("auto_pad", "NOTSET")
        pads = a.get("pads", [0] * (2 * n))
        padding = _RULES[rule] if rule in _RULES else list(zip(pads[:n], pads[n:]))
        return {"stride": list(a.get("strides", [1] * n)), "dilation": list(a.get("dilations", [1] * n)),
                "padding": padding}

    def _weights(self, node, layout):
        weights = {"weight": (self.constant(node, 1), layout)}
        bias = self.constant(node, 2)
        if bias is not None:
            weights["bias"] = (bias, Layout((0,)))
        return weights

    def _conv(self, node, a):
        self.ordered(node)
        w = self.constant(node, 1)
        n = w.ndim - 2
        weights = self._weights(node, filters_layout(n))
        make = (nn.Conv1D, nn.Conv2D, nn.Conv3D)[n - 1]
        self.put(node, make(w.shape[0], list(w.shape[2:]), groups=a.get("group", 1), bias="bias" in weights,
                            **self._windows(node, a, w.shape[2:])), weights)

    def _convtranspose(self, node, a):
        source = self.ordered(node)
        w, groups = self.constant(node, 1), a.get("group", 1)
        n = w.ndim - 2
        weights = self._weights(node, transposed_filters_layout(n))
        make = (nn.ConvTranspose1D, nn.ConvTranspose2D, nn.ConvTranspose3D)[n - 1]
        how = self._windows(node, a, w.shape[2:])
        if "output_shape" in a or a.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
            refuse(self.origin(node), "its padding follows from an output shape", "Give pads and output_padding")
        extra = list(a.get("output_padding", [0] * n))
        if any(e >= s for e, s in zip(extra, how["stride"])):
            refuse(self.origin(node), f"output_padding {extra} is not below the stride {how['stride']}", "Pad behind it")
        self.put(node, make(w.shape[1] * groups, list(w.shape[2:]), groups=groups, bias="bias" in weights,
                            output_padding=extra, **how), weights, source=source)

    def _gemm(self, node, a):
        source = self.step_of(node.input[0], self.origin(node))
        if a.get("transA", 0) or a.get("alpha", 1.0) != 1 or (a.get("beta", 1.0) != 1 and len(node.input) > 2):
            refuse(self.origin(node), "transA, alpha and beta have no counterpart", "Fold them into the weights")
        weights = self._weights(node, Layout((1, 0) if a.get("transB", 0) else (0, 1), source.order))
        outputs = self.shape(node)[-1]
        if "bias" in weights:
            weights["bias"] = (np.broadcast_to(weights["bias"][0].reshape(-1), (outputs,)), Layout((0,)))
        self.put(node, nn.Linear(outputs, bias="bias" in weights), weights)

    def _matmul(self, node, a):
        source = self.step_of(node.input[0], self.origin(node))
        w = self.constant(node, 1)
        if w.ndim != 2 or len(source.shape) != 1:
            refuse(self.origin(node), f"it multiplies {list(source.shape)} by {list(w.shape)}", "Linear takes features [n, c]")
        self.put(node, nn.Linear(w.shape[1], bias=False), {"weight": (w, Layout((0, 1), source.order))})

    def _affine(self, node, first, order=None):
        return {name: (self.constant(node, first + i), Layout((0,), order)) for i, name in enumerate(("gamma", "beta"))}

    def _batchnormalization(self, node, a):
        if a.get("training_mode", 0):
            refuse(self.origin(node), "it normalises by the statistics of its batch (training_mode)",
                   "Export the network in evaluation mode")
        order = self.step_of(node.input[0], self.origin(node)).order
        weights = self._affine(node, 1, order)
        weights["running_mean"] = (self.constant(node, 3), Layout((0,), order))
        weights["running_variance"] = (self.constant(node, 4), Layout((0,), order))
        momentum = float(np.clip(1 - a.get("momentum", 0.9), 0, 1))
        self.put(node, nn.BatchNorm(eps=a.get("epsilon", 1e-5), momentum=momentum), weights, order)

    def _instancenormalization(self, node, a):
        groups = self.written.get(node.input[0])
        if isinstance(groups, written.Groups) and groups.eps is None:
            if any(np.any(self.constant(node, i) != v) for i, v in ((1, 1), (2, 0))):
                refuse(self.origin(node), "it scales whole groups", "Scale channels behind it")
            eps = a.get("epsilon", 1e-5)
            self.written[node.output[0]] = written.Groups(node, groups.x, groups.groups, eps)
            return
        self.ordered(node)
        self.put(node, nn.InstanceNorm(eps=a.get("epsilon", 1e-5)), self._affine(node, 1))

    def _groupnormalization(self, node, a):
        source = self.ordered(node)
        groups, c = a["num_groups"], source.shape[-1]
        weights = {}
        for i, name in ((1, "gamma"), (2, "beta")):
            value = self.constant(node, i)
            # Until opset 20 a group has one scale.
            weights[name] = (value if value.size == c else np.repeat(value, c // groups), Layout((0,)))
        self.put(node, nn.GroupNorm(groups, eps=a.get("epsilon", 1e-5)), weights)

    def _layernormalization(self, node, a):
        source = self.step_of(node.input[0], self.origin(node))
        if len(source.shape) != 1 or a.get("axis", -1) not in (-1, 1) or len(node.input) < 3:
            refuse(self.origin(node), f"it normalises samples {list(source.shape)}", "LayerNorm takes features [n, c], scale and B")
        self.put(node, nn.LayerNorm(eps=a.get("epsilon", 1e-5)), self._affine(node, 1, source.order), source.order)

    def _lrn(self, node, a):
        self.ordered(node)
        self.put(node, nn.LocalResponseNorm(a["size"], alpha=a.get("alpha", 1e-4), beta=a.get("beta", 0.75),
                                            bias=a.get("bias", 1.0)))

    # ---- windows and positions

    def _pool(self, node, a, make, **more):
        self.ordered(node)
        how = self._windows(node, a, a["kernel_shape"])
        self.put(node, make(list(a["kernel_shape"]), ceil_mode=bool(a.get("ceil_mode", 0)), **how, **more))

    def _maxpool(self, node, a):
        if len(node.output) > 1 and node.output[1]:
            refuse(self.origin(node), "it gives indices", "Leave the second output out")
        self._pool(node, a, nn.MaxPool)

    def _averagepool(self, node, a):
        self._pool(node, a, nn.AvgPool, count_include_pad=bool(a.get("count_include_pad", 0)))

    def _lppool(self, node, a):
        self._pool(node, a, nn.LpPool, p=float(a.get("p", 2)))

    def _everywhere(self, node, layer):
        self.ordered(node)
        self.put(node, layer)

    def _globalaveragepool(self, node, a):
        self._everywhere(node, nn.AdaptiveAvgPool(1))

    def _globalmaxpool(self, node, a):
        self._everywhere(node, nn.AdaptiveMaxPool(1))

    def _reducemean(self, node, a):
        source = self.ordered(node)
        axes = a.get("axes") if "axes" in a else self.constant(node, 1)
        rank = len(source.shape) + 1
        if axes is None or sorted(int(x) % rank for x in axes) != list(range(2, rank)):
            refuse(self.origin(node), f"a mean over axes {axes}", "GlobalAvgPool takes all spatial axes")
        self.put(node, nn.AdaptiveAvgPool(1) if a.get("keepdims", 1) else nn.GlobalAvgPool())

    def _pad(self, node, a):
        self.ordered(node)
        pads = [int(p) for p in self.constant(node, 1)]
        rank = len(pads) // 2
        if any(pads[i] or pads[rank + i] for i in range(2)) or len(node.input) > 3 and node.input[3]:
            refuse(self.origin(node), "it pads samples or channels, or names its axes", "Pad pads all spatial axes")
        mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}[
            a.get("mode", "constant")]
        value = float(np.asarray(self.constant(node, 2, 0.0)).reshape(-1)[0])
        self.put(node, nn.Pad(list(zip(pads[2:rank], pads[rank + 2:])), mode=mode, value=value))

    def _resize(self, node, a):
        source = self.ordered(node)
        ours = self.shape(node)
        factors = [o / i for o, i in zip(ours[:-1], source.shape[:-1])]
        scales = self.constant(node, 2, np.ones(0))
        if any(s != int(s) for s in scales) or a.get("keep_aspect_ratio_policy", "stretch") != "stretch":
            # The extents may be whole multiples of the old ones: positions are not.
            refuse(self.origin(node), f"its scales are {scales.tolist()}, {a.get('keep_aspect_ratio_policy', 'stretch')}",
                   "Upsample takes whole factors, stretched")
        how = (a.get("mode", "nearest"), a.get("coordinate_transformation_mode", "half_pixel"),
               a.get("nearest_mode", "round_prefer_floor"))
        known = {("nearest", "asymmetric", "floor"): ("nearest", False)}
        mode = known.get(how) or {("linear", "half_pixel"): ("linear", False),
                                  ("linear", "align_corners"): ("linear", True)}.get(how[:2])
        if mode is None or any(f != int(f) or f < 1 for f in factors):
            refuse(self.origin(node), f"it resizes by {factors}, {how}",
                   "Upsample takes whole factors; nearest asymmetric floor, linear half_pixel or align_corners")
        self.put(node, nn.Upsample([int(f) for f in factors], mode[0], align_corners=mode[1]))

    def _depthtospace(self, node, a):
        self.ordered(node)
        self.put(node, nn.DepthToSpace(a["blocksize"], a.get("mode", "DCR").lower()))

    # ---- shapes, joints, rows

    def _flatten(self, node, a):
        source = self.step_of(node.input[0], self.origin(node))
        if a.get("axis", 1) != 1:
            refuse(self.origin(node), f"axis is {a['axis']}", "isobit's Flatten joins all but the first")
        self._flat(node, source)

    def _flat(self, node, source):
        order = source.order if len(source.shape) == 1 else features(source.shape)
        self.put(node, nn.Flatten(), order=order)

    def _reshape(self, node, a):
        groups = self.written.get(node.input[0])
        if isinstance(groups, written.Groups) and groups.eps is not None and self.shape(node) == groups.x.shape:
            self.written[node.output[0]] = written.GroupNorm(node, groups.x, groups.groups, groups.eps)
            return
        source = self.step_of(node.input[0], self.origin(node))
        if self.readers.get(node.output[0]) == ["InstanceNormalization"] and len(self.shape(node)) == 2:
            number = self.shape(node)[-1]
            if self.ordered(node).shape[-1] % number == 0:
                self.written[node.output[0]] = written.Groups(node, source, number)
                return
        if len(self.shape(node)) != 1:
            refuse(self.origin(node), f"it makes {list(source.shape)} {list(self.shape(node))}", "Of reshapes isobit has Flatten")
        self._flat(node, source)

    def _squeeze(self, node, a):
        source = self.ordered(node)
        if any(e != 1 for e in source.shape[:-1]) or len(self.shape(node)) != 1:
            refuse(self.origin(node), f"it squeezes {list(source.shape)}", "Of reshapes isobit has Flatten")
        self._flat(node, source)

    def _join(self, node, kind):
        sources = [self.step_of(name, self.origin(node)) for name in node.input]
        step = Step(node.name or kind, kind, sources, shape=self.shape(node), origin=self.origin(node))
        _graph.check_join(step)
        self.steps[node.output[0]] = step

    def _concat(self, node, a):
        if a["axis"] not in (1, -len(self.shape(node))):
            refuse(self.origin(node), f"it joins along axis {a['axis']}", "isobit's Concat joins channels: axis=1")
        self._join(node, "concat")

    def _dropout(self, node, a):
        if np.any(self.constant(node, 2, False)):
            refuse(self.origin(node), "it drops (training_mode)", "Export the network in evaluation mode")
        p = float(np.asarray(self.constant(node, 1, np.float32(0.5))).reshape(-1)[0])
        self.put(node, nn.Dropout(p), order=self.step_of(node.input[0], self.origin(node)).order)

    def _rows(self, node, a, layer):
        rank = len(self.shape(node)) + 1
        if a.get("axis", -1) % rank != 1:
            refuse(self.origin(node), f"it goes over axis {a.get('axis', -1)}", "isobit's goes over the channels: axis=1")
        self.put(node, layer, order=self.step_of(node.input[0], self.origin(node)).order)

    def _gelu(self, node, a):
        if a.get("approximate", "none") != "none":
            refuse(self.origin(node), f"it is the approximation by {a['approximate']}",
                   "isobit's GELU is exact: take approximate='none'")
        self.put(node, nn.GELU(), order=self.step_of(node.input[0], self.origin(node)).order)

    def _softmax(self, node, a):
        self._rows(node, a, nn.Softmax())

    def _logsoftmax(self, node, a):
        self._rows(node, a, nn.LogSoftmax())


_SIMPLE = {
    "Relu": lambda a: nn.ReLU(), "LeakyRelu": lambda a: nn.LeakyReLU(a.get("alpha", 0.01)),
    "Elu": lambda a: nn.ELU(a.get("alpha", 1.0)), "Sigmoid": lambda a: nn.Sigmoid(), "Tanh": lambda a: nn.Tanh(),
    "Softplus": lambda a: nn.Softplus(), "Identity": lambda a: None,
}


def _plain(value):
    """Texts as str; numbers, which ONNX holds in f32, as the shortest decimal that is the same f32: 0.001 stays 0.001."""
    if isinstance(value, bytes):
        return value.decode()
    return float(str(np.float32(value))) if isinstance(value, float) else value


def _constant(node):
    value = helper.get_attribute_value(node.attribute[0])
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


def from_onnx(model, input_shape):
    if isinstance(model, (str, os.PathLike)):
        model = onnx.load(os.fspath(model))
    elif isinstance(model, (bytes, bytearray)):
        model = onnx.load_from_string(bytes(model))
    importer = _Importer(model, input_shape)
    output = importer.output()
    net = _graph.assemble(output)
    shape = importer.steps[importer.input.name].shape
    net.build(shape, dtype=importer.dtype)
    steps = _graph.ancestors(output)
    _net.check_shapes(net, steps)
    _graph.load(net, [s for s in steps if s.weights],
                lambda array: isobit.tensor(np.ascontiguousarray(array)))
    return net.eval()
