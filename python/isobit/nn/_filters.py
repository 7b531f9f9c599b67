"""Layers with filters: convolutions, transposed ones, linear layers."""

from isobit._core import layers as _make
from isobit.nn._made import Made

_CONV = """{samples} `filters` filters over a window of `kernel` on every spatial axis (an int, or one for each).

    padding: "valid", "same", "same_lower", "full", "causal", a width, or a width or (before, after) for each axis; mode:
    what it holds ("constant" with pad_value, "reflect", "symmetric", "replicate", "circular"; one, or one for each
    axis); activation: None, "relu", "leaky_relu" (with slope), "silu", "sigmoid", "tanh" or "gelu", applied after the
    bias; flip: the filters reversed; init, bias_init: how weight and bias begin (kaiming_uniform() and zeros() unless
    given).

    Parameters weight {weight}, bias [filters]."""


class Conv1D(Made):
    __doc__ = _CONV.format(
        samples="Sequences: [n, w, c] to [n, q, filters].", weight="[s, c / groups, filters]"
    )

    def __init__(self, filters, kernel, stride=1, padding="valid", dilation=1, groups=1, bias=True, activation=None,
                 slope=0.01, mode="constant", pad_value=0.0, flip=False, init=None, bias_init=None):
        super().__init__(_make.conv(1, filters, kernel, stride, padding, dilation, groups, bias, activation, slope,
                                    mode, pad_value, flip, init, bias_init))


class Conv2D(Made):
    __doc__ = _CONV.format(
        samples="Images: [n, h, w, c] to [n, p, q, filters].", weight="[r, s, c / groups, filters]"
    )

    def __init__(self, filters, kernel, stride=1, padding="valid", dilation=1, groups=1, bias=True, activation=None,
                 slope=0.01, mode="constant", pad_value=0.0, flip=False, init=None, bias_init=None):
        super().__init__(_make.conv(2, filters, kernel, stride, padding, dilation, groups, bias, activation, slope,
                                    mode, pad_value, flip, init, bias_init))


class Conv3D(Made):
    __doc__ = _CONV.format(
        samples="Volumes: [n, d, h, w, c] to [n, o, p, q, filters].", weight="[t, r, s, c / groups, filters]"
    )

    def __init__(self, filters, kernel, stride=1, padding="valid", dilation=1, groups=1, bias=True, activation=None,
                 slope=0.01, mode="constant", pad_value=0.0, flip=False, init=None, bias_init=None):
        super().__init__(_make.conv(3, filters, kernel, stride, padding, dilation, groups, bias, activation, slope,
                                    mode, pad_value, flip, init, bias_init))


_TRANSPOSE = """{samples} The gradient of a convolution from `filters` to c channels, as a layer that enlarges: stride=2,
    padding="same" doubles every spatial axis. padding is that of the convolution: it makes the output smaller.
    output_padding: rows added behind, below the stride; output_shape: the spatial extents of the output themselves.
    The rest as Conv2D's.

    Parameters weight {weight}, bias [filters]."""


class ConvTranspose1D(Made):
    __doc__ = _TRANSPOSE.format(
        samples="Sequences: [n, w, c] to [n, q, filters].", weight="[s, filters / groups, c]"
    )

    def __init__(self, filters, kernel, stride=1, padding="valid", dilation=1, groups=1, bias=True, activation=None,
                 slope=0.01, mode="constant", flip=False, output_padding=0, output_shape=None, init=None,
                 bias_init=None):
        super().__init__(_make.conv_transpose(1, filters, kernel, stride, padding, dilation, groups, bias, activation,
                                              slope, mode, flip, output_padding, output_shape, init, bias_init))


class ConvTranspose2D(Made):
    __doc__ = _TRANSPOSE.format(
        samples="Images: [n, h, w, c] to [n, p, q, filters].", weight="[r, s, filters / groups, c]"
    )

    def __init__(self, filters, kernel, stride=1, padding="valid", dilation=1, groups=1, bias=True, activation=None,
                 slope=0.01, mode="constant", flip=False, output_padding=0, output_shape=None, init=None,
                 bias_init=None):
        super().__init__(_make.conv_transpose(2, filters, kernel, stride, padding, dilation, groups, bias, activation,
                                              slope, mode, flip, output_padding, output_shape, init, bias_init))


class ConvTranspose3D(Made):
    __doc__ = _TRANSPOSE.format(
        samples="Volumes: [n, d, h, w, c] to [n, o, p, q, filters].", weight="[t, r, s, filters / groups, c]"
    )

    def __init__(self, filters, kernel, stride=1, padding="valid", dilation=1, groups=1, bias=True, activation=None,
                 slope=0.01, mode="constant", flip=False, output_padding=0, output_shape=None, init=None,
                 bias_init=None):
        super().__init__(_make.conv_transpose(3, filters, kernel, stride, padding, dilation, groups, bias, activation,
                                              slope, mode, flip, output_padding, output_shape, init, bias_init))


class Linear(Made):
    """x W + b over the last axis: [n, ..., c] to [n, ..., outputs]. Parameters weight [c, outputs], bias [outputs]."""

    def __init__(self, outputs, bias=True, init=None, bias_init=None):
        super().__init__(_make.linear(outputs, bias, init, bias_init))
