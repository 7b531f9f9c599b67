"""What torch lacks of isobit's layers, as torch modules. from_torch knows them all."""

import torch
import torch.nn.functional as F
from torch import nn as tnn


class Residual(tnn.Module):
    """body(x) + projection(x), or + x."""

    def __init__(self, body, projection=None):
        super().__init__()
        self.body = body
        if projection is not None:
            self.projection = projection

    def forward(self, x):
        return self.body(x) + (self.projection(x) if hasattr(self, "projection") else x)


class Concat(tnn.Module):
    """The branches' channels one after the other."""

    def __init__(self, branches):
        super().__init__()
        for name, branch in branches.items():
            self.add_module(name, branch)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.children()], 1)


class Input(tnn.Module):
    """(x - mean) / deviation, in the network's dtype."""

    def __init__(self, sample, mean, deviation, dtype):
        super().__init__()
        self.sample, self.mean, self.deviation, self.dtype = tuple(sample), mean, deviation, dtype

    def forward(self, x):
        x = x.to(self.dtype)
        if self.mean != 0:
            x = x + -self.mean
        return x / self.deviation if self.deviation != 1 else x


class GlobalPool(tnn.Module):
    """Mean, maximum or p-norm over all positions: kind "Avg", "Max" or "Lp"."""

    def __init__(self, kind, p=None):
        super().__init__()
        self.kind, self.p = kind, p

    def forward(self, x):
        x = x.flatten(2)
        if self.kind == "Avg":
            return x.mean(2)
        return x.amax(2) if self.kind == "Max" else x.abs().pow(self.p).sum(2).pow(1 / self.p)


class _Activated:
    activation, slope = None, 0.01

    def activated(self, y):
        if self.activation in (None, "none"):
            return y
        if self.activation == "leaky_relu":
            return F.leaky_relu(y, self.slope)
        return {"relu": F.relu, "silu": F.silu, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "gelu": F.gelu}[
            self.activation
        ](y)


class _Padded(_Activated):
    pads, mode, value = None, "constant", 0.0  # (before, after) of each axis

    def forward(self, x):
        if self.pads:
            widths = [w for pair in reversed(self.pads) for w in pair]
            x = F.pad(x, widths, self.mode, self.value if self.mode == "constant" else None)
        return self.activated(super().forward(x))


class PaddedConv1d(_Padded, tnn.Conv1d):
    pass


class PaddedConv2d(_Padded, tnn.Conv2d):
    pass


class PaddedConv3d(_Padded, tnn.Conv3d):
    pass


class _Cropped(_Activated):
    extents = None  # of the output: rows behind are dropped
    options = None  # isobit's own

    def forward(self, x):
        y = super().forward(x)
        for axis, extent in enumerate(self.extents):
            y = y.narrow(2 + axis, 0, extent)
        return self.activated(y)


class CroppedConvTranspose1d(_Cropped, tnn.ConvTranspose1d):
    pass


class CroppedConvTranspose2d(_Cropped, tnn.ConvTranspose2d):
    pass


class CroppedConvTranspose3d(_Cropped, tnn.ConvTranspose3d):
    pass


class ChannelLinear(tnn.Linear):
    """Over the channels of [n, c, h, w]."""

    def forward(self, x):
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class ChannelLayerNorm(tnn.LayerNorm):
    """Over the channels of [n, c, h, w]."""

    def forward(self, x):
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


CONVS = (PaddedConv1d, PaddedConv2d, PaddedConv3d)
TRANSPOSED = (CroppedConvTranspose1d, CroppedConvTranspose2d, CroppedConvTranspose3d)
