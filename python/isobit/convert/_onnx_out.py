"""To ONNX: nodes and initialisers of an inference graph, channels first."""

import re

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import isobit
from isobit.convert import _net
from isobit.convert._graph import Layout, features, filters_layout, joined, refuse, transposed_filters_layout
from isobit.convert._net import per_axis

_TYPES = {"f32": TensorProto.FLOAT, "f64": TensorProto.DOUBLE, "f16": TensorProto.FLOAT16}
_ANY_ORDER = {"ReLU", "LeakyReLU", "ELU", "GELU", "SiLU", "Sigmoid", "Tanh", "Softplus", "Softmax", "LogSoftmax",
              "Dropout", "BatchNorm", "LayerNorm", "Flatten", "Linear"}


def _refuse(node, what, todo):
    refuse(f"{node.path or 'the network'} ({node.kind})", what, todo)


def _flat(pairs):
    """ONNX's pads: all begins, then all ends."""
    return [a for a, _ in pairs] + [b for _, b in pairs]


class _Exporter:
    def __init__(self, net, opset):
        dtype = str(net.dtype)
        if dtype not in _TYPES:
            refuse("to_onnx", f"the network is {dtype}", "Export f32, f64 or f16")
        self.opset, self.type = opset, _TYPES[dtype]
        self.numpy = helper.tensor_dtype_to_np_dtype(self.type)
        self.state = net.state_dict()
        self.nodes, self.constants, self.count = [], {}, 0

    def constant(self, name, array):
        tensor = numpy_helper.from_array(np.asarray(array, order="C"), name)
        base, i = name, 1
        while self.constants.setdefault(name, tensor) != tensor:  # a shared layer's, in another order
            i += 1
            tensor.name = name = f"{base}_{i}"
        return name

    def array(self, node, name):
        return np.asarray(self.state[joined(node.owner, name)].detach().to("cpu").numpy())

    def narrow(self, node, name, array):
        """The array in the network's dtype: of one in half precision, norms' parameters are f32."""
        narrow = array.astype(self.numpy, copy=False)
        if not np.array_equal(narrow.astype(array.dtype, copy=False), array, equal_nan=True):
            _refuse(node, f"its {name} is {array.dtype}, and ONNX wants it in {narrow.dtype} at opset {self.opset}, which "
                    "does not hold its values", "Give opset=15 or later for batch norms, or export the network in f32")
        return narrow

    def weight(self, node, name, layout, wide=False):
        array = layout.there(self.array(node, name))
        return self.constant(joined(node.owner, name), array if wide else self.narrow(node, name, array))

    def has(self, node, name):
        return joined(node.owner, name) in self.state

    def scalar(self, value):
        return self.constant(f"number_{value!r}", np.array(value, self.numpy))

    def ints(self, values):
        return self.constant("ints_" + "_".join(map(str, values)), np.array(values, np.int64))

    def op(self, kind, inputs, name=None, **attributes):
        self.count += 1
        out = f"{name or kind}_{self.count}"
        self.nodes.append(helper.make_node(kind, inputs, [out], name=out, **attributes))
        return out

    # ---- containers

    def take(self, node, x, order):
        """(the value's name, order of its features)."""
        if node.kind == "Sequential":
            for child in node.children.values():
                x, order = self.take(child, x, order)
            return x, order
        if node.kind not in ("Residual", "Concat"):
            return self.leaf(node, x, order)
        results = [self.take(child, x, order) for child in node.children.values()]
        if node.kind == "Residual" and len(results) == 1:
            results.append((x, order))
        orders = [o for _, o in results]
        if any(o is not None for o in orders) and (
            node.kind == "Concat" or any(o is None or (o != orders[0]).any() for o in orders)
        ):
            _refuse(node, "it joins flattened pictures of different order", "Join them before the Flatten")
        names = [n for n, _ in results]
        if node.kind == "Concat":
            return self.op("Concat", names, node.path, axis=1), None
        return self.op("Add", names, node.path), orders[0]

    def leaf(self, node, x, order):
        make = getattr(self, "_" + re.sub("[123]D$", "", node.kind).lower(), None)
        if make is None:
            _refuse(node, "it cannot be written as ONNX", "Leave it out")
        if order is not None and node.kind not in _ANY_ORDER:
            _refuse(node, "it reads a flattened picture, whose features ONNX has in another order",
                    "Put it before the Flatten")
        y = make(node, node.options, x, order)
        if node.kind == "Flatten" and len(node.input) > 1:
            order = features(node.input)
        elif node.kind == "Linear":
            order = None
        return y, order

    # ---- layers with weights

    def _bias(self, node):
        return [self.weight(node, "bias", Layout((0,)))] if self.has(node, "bias") else []

    def _activated(self, o, y):
        kind = o["activation"]
        if kind == "none":
            return y
        if kind == "leaky_relu":
            return self.op("LeakyRelu", [y], alpha=o["slope"])
        if kind == "silu":
            return self._silu(None, o, y)
        if kind == "gelu":
            return self._gelu(None, o, y)
        return self.op({"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh"}[kind], [y])

    def _conv(self, node, o, x, order):
        n = len(node.input) - 1
        kernel, stride, dilation = (per_axis(o[k], n) for k in ("kernel", "stride", "dilation"))
        pads = _net.sides(o, n, node.input[:-1], kernel, stride, dilation)
        if o["mode"] != "constant" or o["pad_value"] != 0 or any(w < 0 for pair in pads for w in pair):
            x = self.padded(node, x, pads, o["mode"], o["pad_value"])
            pads = [(0, 0)] * n
        if o["flip"]:
            _refuse(node, "its filters are flipped", "Reverse the weights' spatial axes and leave flip out")
        inputs = [x, self.weight(node, "weight", filters_layout(n)), *self._bias(node)]
        return self._activated(o, self.op("Conv", inputs, node.path, kernel_shape=kernel, strides=stride,
                                          dilations=dilation, group=o["groups"], pads=_flat(pads)))

    def _convtranspose(self, node, o, x, order):
        n = len(node.input) - 1
        if o["flip"] or set(o["mode"].split("/")) != {"constant"}:
            _refuse(node, "ONNX's has neither flip nor a padding mode", "Leave them out")
        kernel, stride, dilation = (per_axis(o[k], n) for k in ("kernel", "stride", "dilation"))
        pads = _net.sides(o, n, node.output[:-1], kernel, stride, dilation)
        # What is left behind the padding: rows that are added or, where the rule asks for it, taken away.
        extra = [out - ((i - 1) * s + d * (k - 1) + 1 - a - b)
                 for i, out, k, s, d, (a, b) in zip(node.input, node.output, kernel, stride, dilation, pads)]
        pads = [(a, b - min(e, 0)) for (a, b), e in zip(pads, extra)]
        inputs = [x, self.weight(node, "weight", transposed_filters_layout(n)), *self._bias(node)]
        return self._activated(o, self.op("ConvTranspose", inputs, node.path, kernel_shape=kernel, strides=stride,
                                          dilations=dilation, group=o["groups"], pads=_flat(pads),
                                          output_padding=[max(e, 0) for e in extra]))

    def _linear(self, node, o, x, order):
        if len(node.input) == 1:
            inputs = [x, self.weight(node, "weight", Layout((1, 0), order)), *self._bias(node)]
            return self.op("Gemm", inputs, node.path, transB=1)
        n = len(node.input) - 1  # over the channels of pictures: a convolution of one tap
        layout = Layout((1, 0))
        array = layout.there(self.array(node, "weight"))
        w = self.constant(joined(node.owner, "weight"), array.reshape((*array.shape, *[1] * n)))
        return self.op("Conv", [x, w, *self._bias(node)], node.path, kernel_shape=[1] * n)

    def _channels(self, node, name, fill, order=None, wide=False):
        if self.has(node, name):
            return self.weight(node, name, Layout((0,), order), wide)
        c = node.input[-1]
        return self.constant(f"{name}_{fill}_{c}", np.full(c, fill, self.numpy))

    def _batchnorm(self, node, o, x, order):
        wide = self.opset >= 15  # from there on they may be of another type than x
        inputs = [self._channels(node, n, f, order, wide) for n, f in
                  (("gamma", 1), ("beta", 0), ("running_mean", 0), ("running_variance", 1))]
        return self.op("BatchNormalization", [x, *inputs], node.path, epsilon=o["eps"], momentum=1 - o["momentum"])

    def _layernorm(self, node, o, x, order):
        if len(node.input) > 1:
            _refuse(node, "it normalises the channels of pictures", "Put it behind a Flatten, or use GroupNorm(1)")
        if self.opset < 17:
            _refuse(node, "LayerNormalization is an op of opset 17", "Give opset=17 or later")
        inputs = [x, self._channels(node, "gamma", 1, order), self._channels(node, "beta", 0, order)]
        return self.op("LayerNormalization", inputs, node.path, axis=-1, epsilon=o["eps"])

    def _instancenorm(self, node, o, x, order):
        inputs = [x, self._channels(node, "gamma", 1), self._channels(node, "beta", 0)]
        return self.op("InstanceNormalization", inputs, node.path, epsilon=o["eps"])

    def _groupnorm(self, node, o, x, order):
        """As InstanceNormalization of the groups laid flat, which every opset has."""
        *spatial, c = node.input
        flat = self.op("Reshape", [x, self.ints([0, o["groups"], -1])])
        one = self.constant(f"ones_{o['groups']}", np.ones(o["groups"], self.numpy))
        zero = self.constant(f"zeros_{o['groups']}", np.zeros(o["groups"], self.numpy))
        y = self.op("InstanceNormalization", [flat, one, zero], node.path, epsilon=o["eps"])
        y = self.op("Reshape", [y, self.ints([-1, c, *spatial])])
        if not self.has(node, "gamma"):
            return y
        shape = [c] + [1] * len(spatial)
        for kind, name in (("Mul", "gamma"), ("Add", "beta")):
            array = self.narrow(node, name, self.array(node, name).reshape(shape))
            y = self.op(kind, [y, self.constant(joined(node.owner, name), array)])
        return y

    def _localresponsenorm(self, node, o, x, order):
        return self.op("LRN", [x], node.path, size=o["size"], alpha=o["alpha"], beta=o["beta"], bias=o["bias"])

    # ---- windows and positions

    def _windows(self, node, o):
        n = len(node.input) - 1
        window, dilation = per_axis(o["window"], n), per_axis(o["dilation"], n)
        stride = per_axis(o.get("stride", window), n)
        pads = _net.sides(o, n, node.input[:-1], window, stride, dilation)
        return dilation, {"kernel_shape": window, "strides": stride, "pads": _flat(pads), "ceil_mode": int(o["ceil_mode"])}

    def _maxpool(self, node, o, x, order):
        dilation, how = self._windows(node, o)
        return self.op("MaxPool", [x], node.path, dilations=dilation, **how)

    def _undilated(self, node, o, opset):
        dilation, how = self._windows(node, o)
        if any(d != 1 for d in dilation):
            if self.opset < opset:
                _refuse(node, f"dilation of this pool is of opset {opset}", f"Give opset={opset} or later")
            how["dilations"] = dilation
        return how

    def _avgpool(self, node, o, x, order):
        how = self._undilated(node, o, 19)
        return self.op("AveragePool", [x], node.path, count_include_pad=int(o["count_include_pad"]), **how)

    def _lppool(self, node, o, x, order):
        how = self._undilated(node, o, 18)
        if self.opset < 18 and how.pop("ceil_mode"):
            _refuse(node, "ceil_mode of LpPool is of opset 18", "Give opset=18 or later")
        if o["p"] != int(o["p"]):
            _refuse(node, f"p is {o['p']}", "ONNX's is a whole number")
        return self.op("LpPool", [x], node.path, p=int(o["p"]), **how)

    def _adaptive(self, node, o, x, kind, everywhere):
        n = len(node.input) - 1
        wanted = per_axis(o["output"], n)
        if any(i % out for i, out in zip(node.input, wanted)):
            _refuse(node, f"ONNX has no adaptive pools, and {wanted} does not divide {list(node.input[:-1])}",
                    "Take an output that divides the extents")
        if wanted == [1] * n:
            return self.op(everywhere, [x], node.path)
        window = [i // out for i, out in zip(node.input, wanted)]
        return self.op(kind, [x], node.path, kernel_shape=window, strides=window)

    def _adaptiveavgpool(self, node, o, x, order):
        return self._adaptive(node, o, x, "AveragePool", "GlobalAveragePool")

    def _adaptivemaxpool(self, node, o, x, order):
        return self._adaptive(node, o, x, "MaxPool", "GlobalMaxPool")

    def _global(self, node, x, kind, **attributes):
        return self.op("Flatten", [self.op(kind, [x], node.path, **attributes)], axis=1)

    def _globalavgpool(self, node, o, x, order):
        return self._global(node, x, "GlobalAveragePool")

    def _globalmaxpool(self, node, o, x, order):
        return self._global(node, x, "GlobalMaxPool")

    def _globallppool(self, node, o, x, order):
        if o["p"] != int(o["p"]):
            _refuse(node, f"p is {o['p']}", "ONNX's is a whole number")
        return self._global(node, x, "GlobalLpPool", p=int(o["p"]))

    def padded(self, node, x, pairs, mode, value):
        modes = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
        if mode not in modes:
            _refuse(node, f"ONNX does not pad by mode {mode}", f"It knows {', '.join(modes)}, one for all axes")
        if mode == "circular" and self.opset < 19:
            _refuse(node, "mode circular (wrap) is of opset 19", "Give opset=19 or later")
        inputs = [x, self.ints(_flat([(0, 0), (0, 0), *pairs]))]
        if mode == "constant" and value != 0:
            inputs.append(self.scalar(float(value)))
        return self.op("Pad", inputs, node.path, mode=modes[mode])

    def _pad(self, node, o, x, order):
        widths = o["widths"]
        pairs = list(zip(widths[::2], widths[1::2]))
        return self.padded(node, x, pairs * (len(node.input) - 1) if len(pairs) == 1 else pairs, o["mode"],
                           float(o["value"]))

    def _upsample(self, node, o, x, order):
        n = len(node.input) - 1
        scales = self.constant(f"scales_{node.path}", np.array([1, 1, *per_axis(o["factor"], n)], np.float32))
        if o["mode"] == "nearest":
            how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        else:
            how = {"mode": "linear", "coordinate_transformation_mode": "align_corners" if o["align_corners"]
                   else "half_pixel"}
        return self.op("Resize", [x, "", scales], node.path, **how)

    def _depth(self, node, o, x, mode):
        blocks = per_axis(o["block"], len(node.input) - 1)
        if len(blocks) != 2 or blocks[0] != blocks[1]:
            _refuse(node, f"ONNX's DepthToSpace has one block for two axes, not {blocks}", "Take equal blocks")
        return self.op("DepthToSpace", [x], node.path, blocksize=blocks[0], mode=mode)

    def _depthtospace(self, node, o, x, order):
        return self._depth(node, o, x, "DCR")

    def _pixelshuffle(self, node, o, x, order):
        return self._depth(node, o, x, "CRD")

    # ---- element by element

    def _input(self, node, o, x, order):
        if o["mean"] != 0:
            x = self.op("Add", [x, self.scalar(-float(o["mean"]))], node.path)
        return self.op("Div", [x, self.scalar(float(o["deviation"]))], node.path) if o["deviation"] != 1 else x

    def _flatten(self, node, o, x, order):
        return self.op("Flatten", [x], node.path, axis=1)

    def _dropout(self, node, o, x, order):
        return self.op("Dropout", [x, self.constant(f"p_{node.path}", np.array(o["p"], np.float32))], node.path)

    def _silu(self, node, o, x, order=None):
        return self.op("Mul", [x, self.op("Sigmoid", [x])], node and node.path)

    def _gelu(self, node, o, x, order=None):
        if self.opset >= 20:
            return self.op("Gelu", [x], node and node.path)
        inner = self.op("Erf", [self.op("Mul", [x, self.scalar(float(np.sqrt(0.5)))])])
        half = self.op("Mul", [x, self.scalar(0.5)])
        return self.op("Mul", [half, self.op("Add", [inner, self.scalar(1.0)])], node and node.path)


def _elementwise(kind, options=lambda o: {}):
    return lambda self, node, o, x, order: self.op(kind, [x], node.path, **options(o))


for _name, _method in {
    "relu": _elementwise("Relu"), "leakyrelu": _elementwise("LeakyRelu", lambda o: {"alpha": o["slope"]}),
    "elu": _elementwise("Elu", lambda o: {"alpha": o["alpha"]}), "sigmoid": _elementwise("Sigmoid"),
    "tanh": _elementwise("Tanh"), "softplus": _elementwise("Softplus"),
    "softmax": _elementwise("Softmax", lambda o: {"axis": 1}),
    "logsoftmax": _elementwise("LogSoftmax", lambda o: {"axis": 1}),
}.items():
    setattr(_Exporter, "_" + _name, _method)


def to_onnx(net, path=None, opset=17):
    if opset < 13:
        raise ValueError(f"to_onnx: opset is {opset}, expected 13 or later")
    exporter = _Exporter(net, opset)
    root = _net.tree_of(net)
    result, order = exporter.take(root, "input", None)
    if order is not None:
        _refuse(root, "its output is a flattened picture, in an order that ONNX does not have", "End with a Linear layer")
    exporter.nodes.append(helper.make_node("Identity", [result], ["output"]))

    def value(name, shape):
        *spatial, c = shape
        return helper.make_tensor_value_info(name, exporter.type, ["n", c, *spatial])

    graph = helper.make_graph(exporter.nodes, "isobit", [value("input", root.input)], [value("output", root.output)],
                              list(exporter.constants.values()))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="isobit",
                              producer_version=isobit.__version__)
    model.ir_version = min(model.ir_version, 10)
    onnx.checker.check_model(model)
    if path is not None:
        onnx.save(model, path)
    return model
