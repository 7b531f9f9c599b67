"""What each torch.nn module is here: its layer, and how its weights lie."""

import torch
from torch import nn as tnn

from isobit import nn
from isobit.convert import _torch_modules as own
from isobit.convert._graph import Layout, features, filters_layout, refuse, transposed_filters_layout

_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}


class Place:
    """Where a module is called: its name there, origin for errors, the sample's shape and order of features."""

    def __init__(self, name, origin, shape, order, out_shape):
        self.name, self.origin, self.shape, self.order, self.out_shape = name, origin, shape, order, out_shape
        self.spatial = len(shape) - 1

    def refuse(self, what, todo):
        refuse(self.origin, what, todo)


def _list(value, spatial):
    return [value] * spatial if isinstance(value, int) else list(value)


def _both(widths):
    return [(w, w) for w in widths]


def _conv(m, at):
    spatial = at.spatial
    if isinstance(m.padding, str):
        padding = m.padding  # torch's "same" has stride 1 and the odd pixel after
    else:
        padding = _both(m.padding)
    make = (nn.Conv1D, nn.Conv2D, nn.Conv3D)[spatial - 1]
    layer = make(m.out_channels, list(m.kernel_size), stride=list(m.stride), padding=padding, dilation=list(m.dilation),
                 groups=m.groups, bias=m.bias is not None, mode=_MODES[m.padding_mode])
    return layer, _weight_and_bias(m, filters_layout(spatial))


def _conv_transpose(m, at):
    make = (nn.ConvTranspose1D, nn.ConvTranspose2D, nn.ConvTranspose3D)[at.spatial - 1]
    layer = make(m.out_channels, list(m.kernel_size), stride=list(m.stride), padding=_both(m.padding),
                 dilation=list(m.dilation), groups=m.groups, bias=m.bias is not None,
                 output_padding=list(m.output_padding))
    return layer, _weight_and_bias(m, transposed_filters_layout(at.spatial))


def _weight_and_bias(m, layout):
    weights = {"weight": (m.weight, layout)}
    if m.bias is not None:
        weights["bias"] = (m.bias, Layout((0,)))
    return weights


def _linear(m, at):
    layer = nn.Linear(m.out_features, bias=m.bias is not None)
    return layer, _weight_and_bias(m, Layout((1, 0), at.order))


def _affine(m, order):
    if getattr(m, "weight", None) is None:
        return {}
    if getattr(m, "bias", None) is None:
        return None
    return {"gamma": (m.weight, Layout((0,), order)), "beta": (m.bias, Layout((0,), order))}


def _batch_norm(m, at):
    if m.running_mean is None:
        at.refuse("it keeps no running statistics", "Make it with track_running_stats=True")
    if m.momentum is None:
        at.refuse("it averages over all batches (momentum=None)", "Give it a momentum, e.g. 0.1")
    layer = nn.BatchNorm(eps=m.eps, momentum=m.momentum, affine=m.affine)
    weights = _affine(m, at.order)
    weights["running_mean"] = (m.running_mean, Layout((0,), at.order))
    weights["running_variance"] = (m.running_var, Layout((0,), at.order))
    return layer, weights


def _need_bias(m, at):
    weights = _affine(m, at.order)
    if weights is None:
        at.refuse("it has a weight, but no bias", "Make it with bias=True: a bias of zeros does no harm")
    return weights


def _layer_norm(m, at):
    if len(m.normalized_shape) != 1 or len(at.shape) != 1:
        at.refuse(f"it normalises over {list(m.normalized_shape)} of samples {list(at.shape)} (channels last)",
                  "isobit's LayerNorm takes the last axis of features [n, c]: use GroupNorm(1, c) for pictures")
    return nn.LayerNorm(eps=m.eps, affine=m.weight is not None), _need_bias(m, at)


def _group_norm(m, at):
    if at.order is not None:
        at.refuse("it divides a flattened picture into groups", "Put it before the Flatten")
    return nn.GroupNorm(m.num_groups, eps=m.eps, affine=m.affine), _need_bias(m, at)


def _instance_norm(m, at):
    if m.track_running_stats:
        at.refuse("it uses running statistics", "Make it with track_running_stats=False")
    return nn.InstanceNorm(eps=m.eps, affine=m.affine), _need_bias(m, at)


def _local_response_norm(m, at):
    if m.size % 2 == 0:
        at.refuse(f"its window of {m.size} channels has one more before than after, isobit's one more after",
                  "Take an odd size")
    return nn.LocalResponseNorm(m.size, alpha=m.alpha, beta=m.beta, bias=m.k), {}


def _pool_options(m, at):
    n = at.spatial
    return {"window": _list(m.kernel_size, n), "stride": _list(m.stride, n), "padding": _both(_list(m.padding, n)),
            "ceil_mode": m.ceil_mode}


def _max_pool(m, at):
    if m.return_indices:
        at.refuse("it returns indices", "Make it with return_indices=False")
    return nn.MaxPool(dilation=_list(m.dilation, at.spatial), **_pool_options(m, at)), {}


def _avg_pool(m, at):
    if getattr(m, "divisor_override", None) is not None:
        at.refuse(f"it divides by {m.divisor_override}", "Leave divisor_override out")
    return nn.AvgPool(count_include_pad=m.count_include_pad, **_pool_options(m, at)), {}


def _lp_pool(m, at):
    if m.norm_type % 2 != 0:
        at.refuse(f"torch takes x^{m.norm_type}, isobit |x|^{m.norm_type}", "Take an even norm_type")
    window = _list(m.kernel_size, at.spatial)
    stride = window if m.stride is None else _list(m.stride, at.spatial)
    if m.ceil_mode and any((n - k) % s for n, k, s in zip(at.shape, window, stride)):
        at.refuse("by ceil_mode windows are cut off, and torch scales their sums as those of whole ones",
                  "Leave ceil_mode out")
    return nn.LpPool(window, float(m.norm_type), stride=stride, ceil_mode=m.ceil_mode), {}


def _adaptive(make):
    def convert(m, at):
        if getattr(m, "return_indices", False):
            at.refuse("it returns indices", "Make it with return_indices=False")
        # An extent of None keeps that of the input.
        wanted = [m.output_size] * at.spatial if not isinstance(m.output_size, (tuple, list)) else m.output_size
        return make([n if w is None else w for w, n in zip(wanted, at.shape)]), {}

    return convert


def _pad(mode):
    def convert(m, at):
        n = at.spatial
        widths = [m.padding] * (2 * n) if isinstance(m.padding, int) else list(m.padding)
        pairs = list(zip(widths[::2], widths[1::2]))[::-1]  # theirs begin with the last axis
        pairs = [(0, 0)] * (n - len(pairs)) + pairs
        return nn.Pad(pairs, mode=mode, value=float(getattr(m, "value", 0.0))), {}

    return convert


def _upsample(m, at):
    linear = ("linear", "bilinear", "trilinear")
    if m.mode != "nearest" and m.mode not in linear:
        at.refuse(f"its mode is {m.mode}", "isobit's Upsample knows nearest and linear")
    if m.scale_factor is not None and not m.recompute_scale_factor:
        scales = m.scale_factor if isinstance(m.scale_factor, (tuple, list)) else [m.scale_factor]
        if any(s != int(s) for s in scales):  # the extents may be whole multiples: positions are not
            at.refuse(f"its scale_factor is {m.scale_factor}", "Upsample takes whole factors")
    factors = [out / n for out, n in zip(at.out_shape, at.shape[:-1])]
    if any(f != int(f) or f < 1 for f in factors):
        at.refuse(f"it enlarges {list(at.shape)} to {list(at.out_shape)}", "Upsample takes whole factors")
    mode = "linear" if m.mode in linear else "nearest"
    return nn.Upsample([int(f) for f in factors], mode, align_corners=bool(m.align_corners)), {}


def _gelu(m, at):
    if m.approximate != "none":
        at.refuse(f"it is the approximation by {m.approximate}", "isobit's GELU is exact: take approximate='none'")
    return nn.GELU(), {}


def _softplus(m, at):
    if m.beta != 1 or m.threshold < 20:
        at.refuse(f"beta is {m.beta}, threshold {m.threshold}", "isobit's Softplus has beta 1 and no threshold")
    return nn.Softplus(), {}


def _rows(make):
    def convert(m, at):
        if m.dim not in (1, -1) or (m.dim == -1 and at.spatial > 0):
            at.refuse(f"it goes over axis {m.dim}", "isobit's goes over the channels: dim=1")
        return make(), {}

    return convert


def _dropout(m, at):
    return nn.Dropout(m.p), {}


def _flatten(m, at):
    if m.start_dim != 1 or m.end_dim not in (-1, len(at.shape)):
        at.refuse(f"it joins axes {m.start_dim} to {m.end_dim}", "isobit's Flatten joins all but the first")
    return nn.Flatten(), {}


def _own_conv(m, at):
    make = (nn.Conv1D, nn.Conv2D, nn.Conv3D)[at.spatial - 1]
    layer = make(m.out_channels, list(m.kernel_size), stride=list(m.stride), padding=m.pads or 0,
                 dilation=list(m.dilation), groups=m.groups, bias=m.bias is not None, activation=m.activation,
                 slope=m.slope, mode=m.mode, pad_value=m.value)
    return layer, _weight_and_bias(m, filters_layout(at.spatial))


def _own_conv_transpose(m, at):
    layer = nn.from_description({"kind": f"ConvTranspose{at.spatial}D", "options": m.options})
    return layer, _weight_and_bias(m, transposed_filters_layout(at.spatial))


def _own_layer_norm(m, at):
    return nn.LayerNorm(eps=m.eps, affine=m.weight is not None), _need_bias(m, at)


def _global_pool(m, at):
    if m.kind == "Lp":
        return nn.GlobalLpPool(m.p), {}
    return (nn.GlobalAvgPool() if m.kind == "Avg" else nn.GlobalMaxPool()), {}


def _plain(make):
    return lambda m, at: (make(), {})


_KINDS = {
    (tnn.Conv1d, tnn.Conv2d, tnn.Conv3d): _conv,
    (tnn.ConvTranspose1d, tnn.ConvTranspose2d, tnn.ConvTranspose3d): _conv_transpose,
    (tnn.Linear,): _linear,
    (tnn.BatchNorm1d, tnn.BatchNorm2d, tnn.BatchNorm3d): _batch_norm,
    (tnn.LayerNorm,): _layer_norm,
    (tnn.GroupNorm,): _group_norm,
    (tnn.InstanceNorm1d, tnn.InstanceNorm2d, tnn.InstanceNorm3d): _instance_norm,
    (tnn.LocalResponseNorm,): _local_response_norm,
    (tnn.MaxPool1d, tnn.MaxPool2d, tnn.MaxPool3d): _max_pool,
    (tnn.AvgPool1d, tnn.AvgPool2d, tnn.AvgPool3d): _avg_pool,
    (tnn.LPPool1d, tnn.LPPool2d, tnn.LPPool3d): _lp_pool,
    (tnn.AdaptiveAvgPool1d, tnn.AdaptiveAvgPool2d, tnn.AdaptiveAvgPool3d): _adaptive(nn.AdaptiveAvgPool),
    (tnn.AdaptiveMaxPool1d, tnn.AdaptiveMaxPool2d, tnn.AdaptiveMaxPool3d): _adaptive(nn.AdaptiveMaxPool),
    (tnn.ZeroPad1d, tnn.ZeroPad2d, tnn.ZeroPad3d): _pad("constant"),
    (tnn.ConstantPad1d, tnn.ConstantPad2d, tnn.ConstantPad3d): _pad("constant"),
    (tnn.ReflectionPad1d, tnn.ReflectionPad2d, tnn.ReflectionPad3d): _pad("reflect"),
    (tnn.ReplicationPad1d, tnn.ReplicationPad2d, tnn.ReplicationPad3d): _pad("replicate"),
    (tnn.CircularPad1d, tnn.CircularPad2d, tnn.CircularPad3d): _pad("circular"),
    (tnn.Upsample, tnn.UpsamplingNearest2d, tnn.UpsamplingBilinear2d): _upsample,
    (tnn.PixelShuffle,): lambda m, at: (nn.PixelShuffle(m.upscale_factor), {}),
    (tnn.ReLU,): _plain(nn.ReLU),
    (tnn.LeakyReLU,): lambda m, at: (nn.LeakyReLU(m.negative_slope), {}),
    (tnn.ELU,): lambda m, at: (nn.ELU(m.alpha), {}),
    (tnn.GELU,): _gelu,
    (tnn.SiLU,): _plain(nn.SiLU),
    (tnn.Sigmoid,): _plain(nn.Sigmoid),
    (tnn.Tanh,): _plain(nn.Tanh),
    (tnn.Softplus,): _softplus,
    (tnn.Softmax,): _rows(nn.Softmax),
    (tnn.LogSoftmax,): _rows(nn.LogSoftmax),
    (tnn.Dropout,): _dropout,
    (tnn.Flatten,): _flatten,
    own.CONVS: _own_conv,
    own.TRANSPOSED: _own_conv_transpose,
    (own.ChannelLinear,): _linear,
    (own.ChannelLayerNorm,): _own_layer_norm,
    (own.GlobalPool,): _global_pool,
    (own.Input,): lambda m, at: (nn.Input(m.sample, m.mean, m.deviation), {}),
    (tnn.Identity,): lambda m, at: (None, {}),
}
_CONVERT = {kind: convert for kinds, convert in _KINDS.items() for kind in kinds}

# What needs nothing of its neighbours: the order of a flattened picture's features goes through it.
_ANY_ORDER = {own.Input, tnn.ReLU, tnn.LeakyReLU, tnn.ELU, tnn.GELU, tnn.SiLU, tnn.Sigmoid, tnn.Tanh, tnn.Softplus, tnn.Softmax,
              tnn.LogSoftmax, tnn.Dropout, tnn.Identity, tnn.BatchNorm1d, tnn.LayerNorm, tnn.Flatten}


def known(module):
    return type(module) in _CONVERT


def convert(module, at):
    """(layer or None, weights, order of the features behind it)."""
    kind = type(module)
    if kind is tnn.Linear and at.spatial > 0:
        at.refuse(f"torch takes the last axis of {[*at.shape[-1:], *at.shape[:-1]]}, isobit the channels",
                  "The last axis cannot be converted: put a Flatten before it, or take a convolution of one tap")
    if kind not in _CONVERT:
        at.refuse("this kind cannot be converted", "Replace it, or write it as an isobit.nn.Module")
    layer, weights = _CONVERT[kind](module, at)
    if kind is tnn.Flatten:
        return layer, weights, at.order if len(at.shape) == 1 else features(at.shape)
    if kind is tnn.Linear:
        return layer, weights, None
    if at.order is not None and kind not in _ANY_ORDER:
        at.refuse("it reads a flattened picture, whose features isobit has in another order", "Put it before the Flatten")
    return layer, weights, at.order


def tensor_of(t):
    """An isobit tensor with the elements of a torch tensor, in its order of axes."""
    import isobit

    return isobit.from_dlpack(t.detach().contiguous())


def torch_of(t):
    """A torch tensor on the same memory."""
    return torch.from_dlpack(t)
