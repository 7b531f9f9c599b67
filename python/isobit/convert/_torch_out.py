"""To torch: every layer as a module, with a copy of its weights."""

from collections import OrderedDict

import torch
from torch import nn as tnn

from isobit.convert import _net
from isobit.convert import _torch_modules as own
from isobit.convert._graph import (
    Layout, features, filters_layout, joined, refuse, transposed_filters_layout,
)
from isobit.convert._net import per_axis

_DTYPES = {"f32": torch.float32, "f64": torch.float64, "f16": torch.float16, "bf16": torch.bfloat16}
_ANY_ORDER = {"ReLU", "LeakyReLU", "ELU", "GELU", "SiLU", "Sigmoid", "Tanh", "Softplus", "Softmax", "LogSoftmax",
              "Dropout", "BatchNorm", "LayerNorm", "Flatten"}


def _refuse(node, what, todo):
    refuse(f"{node.path or 'the network'} ({node.kind})", what, todo)


_BATCH_NORM = (tnn.BatchNorm1d, tnn.BatchNorm1d, tnn.BatchNorm2d, tnn.BatchNorm3d)
_INSTANCE_NORM = (None, tnn.InstanceNorm1d, tnn.InstanceNorm2d, tnn.InstanceNorm3d)


class _Exporter:
    """Modules by path, and (our name, their tensor, Layout) of every weight."""

    def __init__(self, net):
        self.dtype = _DTYPES[str(net.dtype)]
        self.state = net.state_dict()
        self.made, self.layouts = {}, {}  # by owner
        self.moves = []

    def module(self, node, order):
        """(module, order of the features behind it)."""
        if node.kind == "Sequential":
            parts = OrderedDict()
            for name, child in node.children.items():
                parts[name], order = self.module(child, order)
            made = tnn.Sequential(parts)
        elif node.kind in ("Residual", "Concat"):
            parts, orders = OrderedDict(), []
            for name, child in node.children.items():
                parts[name], behind = self.module(child, order)
                orders.append(behind)
            if node.kind == "Residual" and len(orders) == 1:
                orders.append(order)
            if any(o is not None for o in orders) and (
                node.kind == "Concat" or any(o is None or (o != orders[0]).any() for o in orders)
            ):
                _refuse(node, "it joins flattened pictures of different order", "Join them before the Flatten")
            made = own.Concat(parts) if node.kind == "Concat" else own.Residual(*parts.values())
            order = orders[0]
        else:
            made, order = self._leaf(node, order)
        # A layer at two places is one module, where it is made of the same at both.
        first = self.made.setdefault(node.owner, made)
        return (first if _settings(first) == _settings(made) else made), order

    def _leaf(self, node, order):
        make = _MAKE.get(node.kind)
        if make is None:
            _refuse(node, "torch has no such layer", "Leave it out, or write it as a torch.nn.Module")
        if order is not None and node.kind not in _ANY_ORDER and node.kind != "Linear":
            _refuse(node, "it reads a flattened picture, whose features torch has in another order",
                    "Put it before the Flatten")
        module, weights = make(node, node.options, order, self.dtype)
        layouts = {name: layout for name, (_, layout) in weights.items()}
        if node.owner not in self.made:
            self.layouts[node.owner] = layouts
            for name, (theirs, layout) in weights.items():
                self.moves.append((joined(node.owner, name), theirs, layout))
        elif weights and _settings(self.made[node.owner]) != _settings(module):
            _refuse(node, "it is a shared layer, and torch needs two of other settings for these extents",
                    "Take two layers")
        elif any(not layout.same(self.layouts[node.owner][name]) for name, layout in layouts.items()):
            _refuse(node, "it is a shared layer, of a flattened picture here and in another order there", "Take two layers")
        if node.kind == "Flatten":
            order = order if len(node.input) == 1 else features(node.input)
        elif node.kind == "Linear":
            order = None
        return module, order


def _settings(module):
    """What a module computes but for its weights. Parts of containers are the same where they are one module."""
    parts = {name: id(part) for name, part in module._modules.items()}
    return type(module), parts, {k: v for k, v in vars(module).items() if k[0] != "_"}


def _activation(o):
    return None if o["activation"] == "none" else o["activation"]


def _single_mode(node, text):
    modes = set(text.split("/"))
    if len(modes) > 1:
        _refuse(node, f"its axes are padded by different modes ({text})", "Put Pad layers before it")
    mode = modes.pop()
    if mode == "symmetric":
        _refuse(node, "torch does not pad by mode symmetric", "Use reflect, replicate or circular")
    return mode


def _weights(m, layout):
    weights = {"weight": (m.weight, layout)}
    if m.bias is not None:
        weights["bias"] = (m.bias, Layout((0,)))
    return weights


def _conv(node, o, order, dtype):
    n = len(node.input) - 1
    if o["flip"]:
        _refuse(node, "its filters are flipped", "Reverse the weights' spatial axes and leave flip out")
    kernel, stride, dilation = (per_axis(o[k], n) for k in ("kernel", "stride", "dilation"))
    pads = _net.sides(o, n, node.input[:-1], kernel, stride, dilation)
    mode = _single_mode(node, o["mode"])
    plain = all(a == b and a >= 0 for a, b in pads) and (mode != "constant" or o["pad_value"] == 0)
    common = {"stride": stride, "dilation": dilation, "groups": o["groups"], "bias": o["bias"], "dtype": dtype}
    if plain and _activation(o) is None:
        m = (tnn.Conv1d, tnn.Conv2d, tnn.Conv3d)[n - 1](
            node.input[-1], o["filters"], kernel, padding=[a for a, _ in pads],
            padding_mode="zeros" if mode == "constant" else mode, **common)
    else:
        m = own.CONVS[n - 1](node.input[-1], o["filters"], kernel, **common)
        m.pads, m.mode, m.value = pads, mode, o["pad_value"]
        m.activation, m.slope = _activation(o), o["slope"]
    return m, _weights(m, filters_layout(n))


def _conv_transpose(node, o, order, dtype):
    n = len(node.input) - 1
    if o["flip"] or _single_mode(node, o["mode"]) != "constant":
        _refuse(node, "torch's has neither flip nor a padding mode", "Leave them out")
    kernel, stride, dilation = (per_axis(o[k], n) for k in ("kernel", "stride", "dilation"))
    pads = _net.sides(o, n, node.output[:-1], kernel, stride, dilation)
    extra, crop = [], False
    for rows, out, k, s, d, (before, _) in zip(node.input, node.output, kernel, stride, dilation, pads):
        if before < 0:
            _refuse(node, f"its padding is {before}", "torch's is at least 0")
        behind = out - ((rows - 1) * s + d * (k - 1) + 1 - 2 * before)
        extra.append(max(behind, 0))
        crop = crop or behind < 0
        if behind >= max(s, d):
            _refuse(node, f"torch cannot add {behind} rows behind", "Take a larger stride or another output_shape")
    cls = (tnn.ConvTranspose1d, tnn.ConvTranspose2d, tnn.ConvTranspose3d)[n - 1]
    if crop or _activation(o) is not None:
        cls = own.TRANSPOSED[n - 1]
    m = cls(node.input[-1], o["filters"], kernel, stride=stride, padding=[b for b, _ in pads], output_padding=extra,
            dilation=dilation, groups=o["groups"], bias=o["bias"], dtype=dtype)
    if cls is own.TRANSPOSED[n - 1]:
        m.extents, m.activation, m.slope = list(node.output[:-1]), _activation(o), o["slope"]
        m.options = {k: v for k, v in o.items() if k not in ("init", "bias_init")}
    return m, _weights(m, transposed_filters_layout(n))


def _linear(node, o, order, dtype):
    cls = tnn.Linear if len(node.input) == 1 else own.ChannelLinear
    m = cls(node.input[-1], o["outputs"], bias=o["bias"], dtype=dtype)
    return m, _weights(m, Layout((1, 0), order))


def _affine(m, order):
    if m.weight is None:
        return {}
    return {"gamma": (m.weight, Layout((0,), order)), "beta": (m.bias, Layout((0,), order))}


def _statistics(dtype):  # norms' parameters of a network in half precision are f32
    return torch.float64 if dtype == torch.float64 else torch.float32


def _batch_norm(node, o, order, dtype):
    m = _BATCH_NORM[len(node.input) - 1](node.input[-1], eps=o["eps"], momentum=o["momentum"], affine=o["affine"],
                                         dtype=_statistics(dtype))
    weights = _affine(m, order)
    weights["running_mean"] = (m.running_mean, Layout((0,), order))
    weights["running_variance"] = (m.running_var, Layout((0,), order))
    return m, weights


def _layer_norm(node, o, order, dtype):
    cls = tnn.LayerNorm if len(node.input) == 1 else own.ChannelLayerNorm
    m = cls(node.input[-1], eps=o["eps"], elementwise_affine=o["affine"], dtype=_statistics(dtype))
    return m, _affine(m, order)


def _group_norm(node, o, order, dtype):
    m = tnn.GroupNorm(o["groups"], node.input[-1], eps=o["eps"], affine=o["affine"], dtype=_statistics(dtype))
    return m, _affine(m, None)


def _instance_norm(node, o, order, dtype):
    cls = _INSTANCE_NORM[len(node.input) - 1]
    if cls is None:
        _refuse(node, f"samples {list(node.input)} have no positions", "Use LayerNorm")
    m = cls(node.input[-1], eps=o["eps"], affine=o["affine"], dtype=_statistics(dtype))
    return m, _affine(m, None)


def _local_response_norm(node, o, order, dtype):
    if o["size"] % 2 == 0:
        _refuse(node, "torch's window of an even size lies one channel off", "Take an odd size")
    return tnn.LocalResponseNorm(o["size"], o["alpha"], o["beta"], o["bias"]), {}


def _pool(node, o, order, dtype):
    n = len(node.input) - 1
    window, dilation = per_axis(o["window"], n), per_axis(o["dilation"], n)
    stride = per_axis(o.get("stride", window), n)
    pads = _net.sides(o, n, node.input[:-1], window, stride, dilation)
    kind = node.kind.replace("2D", "")
    if any(a != b or a < 0 or 2 * a > k for (a, b), k in zip(pads, window)):
        _refuse(node, f"torch does not pad windows of {window} by {pads}", "Put a Pad layer before it")
    if kind != "MaxPool" and any(d != 1 for d in dilation):
        _refuse(node, "torch's has no dilation", "Leave it out")
    padding = [a for a, _ in pads]
    if kind == "MaxPool":
        cls = (tnn.MaxPool1d, tnn.MaxPool2d, tnn.MaxPool3d)[n - 1]
        return cls(window, stride, padding, dilation, ceil_mode=o["ceil_mode"]), {}
    if kind == "AvgPool":
        cls = (tnn.AvgPool1d, tnn.AvgPool2d, tnn.AvgPool3d)[n - 1]
        return cls(window, stride, padding, o["ceil_mode"], o["count_include_pad"]), {}
    if any(padding) or o["p"] % 2 != 0:
        _refuse(node, "torch's has no padding, and x^p in place of |x|^p", "Take an even p and no padding")
    if o["ceil_mode"] and any((n - k) % s for n, k, s in zip(node.input, window, stride)):
        _refuse(node, "by ceil_mode windows are cut off, and torch scales their sums as those of whole ones",
                "Leave ceil_mode out")
    return (tnn.LPPool1d, tnn.LPPool2d, tnn.LPPool3d)[n - 1](o["p"], window if n > 1 else window[0],
                                                            stride if n > 1 else stride[0], o["ceil_mode"]), {}


def _adaptive(*classes):
    def make(node, o, order, dtype):
        n = len(node.input) - 1
        return classes[n - 1](tuple(per_axis(o["output"], n))), {}

    return make


def _upsample(node, o, order, dtype):
    n = len(node.input) - 1
    mode = "nearest" if o["mode"] == "nearest" else ("linear", "bilinear", "trilinear")[n - 1]
    align = o["align_corners"] if o["mode"] == "linear" else None
    return tnn.Upsample(scale_factor=tuple(float(f) for f in per_axis(o["factor"], n)), mode=mode, align_corners=align), {}


def _pad(node, o, order, dtype):
    n = len(node.input) - 1
    widths = o["widths"]
    pairs = list(zip(widths[::2], widths[1::2]))
    pairs = pairs * n if len(pairs) == 1 else pairs
    mode = _single_mode(node, o["mode"])
    if mode != "constant" and any(w < 0 for pair in pairs for w in pair):
        _refuse(node, f"torch does not crop in mode {mode}", "Crop by a Pad layer of mode constant")
    flat = tuple(w for pair in reversed(pairs) for w in pair)
    classes = {"reflect": (tnn.ReflectionPad1d, tnn.ReflectionPad2d, tnn.ReflectionPad3d),
               "replicate": (tnn.ReplicationPad1d, tnn.ReplicationPad2d, tnn.ReplicationPad3d),
               "circular": (tnn.CircularPad1d, tnn.CircularPad2d, tnn.CircularPad3d)}
    if mode == "constant":
        return (tnn.ConstantPad1d, tnn.ConstantPad2d, tnn.ConstantPad3d)[n - 1](flat, float(o["value"])), {}
    return classes[mode][n - 1](flat), {}


def _pixel_shuffle(node, o, order, dtype):
    blocks = per_axis(o["block"], len(node.input) - 1)
    if len(blocks) != 2 or blocks[0] != blocks[1]:
        _refuse(node, f"torch shuffles pictures by one factor, not by {blocks}", "Take equal blocks of two axes")
    return tnn.PixelShuffle(blocks[0]), {}


def _plain(make):
    return lambda node, o, order, dtype: (make(o), {})


_MAKE = {
    "Conv1D": _conv, "Conv2D": _conv, "Conv3D": _conv,
    "ConvTranspose1D": _conv_transpose, "ConvTranspose2D": _conv_transpose, "ConvTranspose3D": _conv_transpose,
    "Linear": _linear, "BatchNorm": _batch_norm, "LayerNorm": _layer_norm, "GroupNorm": _group_norm,
    "InstanceNorm": _instance_norm, "LocalResponseNorm": _local_response_norm,
    "MaxPool": _pool, "MaxPool2D": _pool, "AvgPool": _pool, "AvgPool2D": _pool, "LpPool": _pool,
    "AdaptiveAvgPool": _adaptive(tnn.AdaptiveAvgPool1d, tnn.AdaptiveAvgPool2d, tnn.AdaptiveAvgPool3d),
    "AdaptiveMaxPool": _adaptive(tnn.AdaptiveMaxPool1d, tnn.AdaptiveMaxPool2d, tnn.AdaptiveMaxPool3d),
    "GlobalAvgPool": _plain(lambda o: own.GlobalPool("Avg")), "GlobalMaxPool": _plain(lambda o: own.GlobalPool("Max")),
    "GlobalLpPool": _plain(lambda o: own.GlobalPool("Lp", o["p"])),
    "Upsample": _upsample, "Pad": _pad, "PixelShuffle": _pixel_shuffle,
    "ReLU": _plain(lambda o: tnn.ReLU()), "LeakyReLU": _plain(lambda o: tnn.LeakyReLU(o["slope"])),
    "ELU": _plain(lambda o: tnn.ELU(o["alpha"])), "GELU": _plain(lambda o: tnn.GELU()),
    "SiLU": _plain(lambda o: tnn.SiLU()), "Sigmoid": _plain(lambda o: tnn.Sigmoid()),
    "Tanh": _plain(lambda o: tnn.Tanh()), "Softplus": _plain(lambda o: tnn.Softplus()),
    "Softmax": _plain(lambda o: tnn.Softmax(1)), "LogSoftmax": _plain(lambda o: tnn.LogSoftmax(1)),
    "Dropout": _plain(lambda o: tnn.Dropout(o["p"])), "Flatten": _plain(lambda o: tnn.Flatten()),
    "Input": lambda node, o, order, dtype: (own.Input(o["sample"], o["mean"], o["deviation"], dtype), {}),
}


def to_torch(net):
    exporter = _Exporter(net)
    root = _net.tree_of(net)
    module, order = exporter.module(root, None)
    if order is not None:
        _refuse(root, "its output is a flattened picture, in an order that torch does not have",
                "End with a Linear layer, or leave the Flatten out")
    with torch.no_grad():
        for name, theirs, layout in exporter.moves:
            theirs.copy_(layout.there(torch.from_dlpack(exporter.state[name].detach().to("cpu"))))
    module.train(net.training)
    return module
