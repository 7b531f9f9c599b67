"""Layers without filters: pools, norms, activations, what moves elements."""

from isobit._core import layers as _make
from isobit.nn._made import Made


class Input(Made):
    """The raw pixel values: takes u8 (0..255) or floating samples of exactly this shape and gives the network's dtype,
    as (x - mean) / deviation; mean 0 and deviation 255 bring u8 to [0, 1]."""

    def __init__(self, sample, mean=0.0, deviation=1.0):
        super().__init__(_make.input(sample, mean, deviation))


# ---- pools


class MaxPool(Made):
    """The largest element of each window over one to three spatial axes; the stride is the window unless given."""

    def __init__(self, window, stride=None, padding="valid", dilation=1, ceil_mode=False):
        super().__init__(_make.max_pool(window, stride, padding, dilation, ceil_mode, False))


class AvgPool(Made):
    """The mean of each window over one to three spatial axes; count_include_pad counts taps in the padding."""

    def __init__(self, window, stride=None, padding="valid", dilation=1, ceil_mode=False, count_include_pad=False):
        super().__init__(_make.avg_pool(window, stride, padding, dilation, ceil_mode, count_include_pad))


class MaxPool2D(Made):
    """MaxPool for images [n, h, w, c] alone."""

    def __init__(self, window, stride=None, padding="valid", dilation=1, ceil_mode=False):
        super().__init__(_make.max_pool_2d(window, stride, padding, dilation, ceil_mode, False))


class AvgPool2D(Made):
    """AvgPool for images [n, h, w, c] alone."""

    def __init__(self, window, stride=None, padding="valid", dilation=1, ceil_mode=False, count_include_pad=False):
        super().__init__(_make.avg_pool_2d(window, stride, padding, dilation, ceil_mode, count_include_pad))


class LpPool(Made):
    """(sum over the window of |x|^p)^(1/p), p >= 1."""

    def __init__(self, window, p, stride=None, padding="valid", dilation=1, ceil_mode=False):
        super().__init__(_make.lp_pool(window, p, stride, padding, dilation, ceil_mode))


class AdaptiveMaxPool(Made):
    """`output` windows on each spatial axis, whatever its extent."""

    def __init__(self, output):
        super().__init__(_make.adaptive_max_pool(output))


class AdaptiveAvgPool(Made):
    """`output` windows on each spatial axis, whatever its extent."""

    def __init__(self, output):
        super().__init__(_make.adaptive_avg_pool(output))


class GlobalAvgPool(Made):
    """Mean over all positions: [n, ..., c] to [n, c]."""

    def __init__(self):
        super().__init__(_make.global_avg_pool())


class GlobalMaxPool(Made):
    """Maximum over all positions: [n, ..., c] to [n, c]."""

    def __init__(self):
        super().__init__(_make.global_max_pool())


class GlobalLpPool(Made):
    """p-norm over all positions: [n, ..., c] to [n, c]."""

    def __init__(self, p=2.0):
        super().__init__(_make.global_lp_pool(p))


# ---- positions and channels


class Upsample(Made):
    """Each spatial axis `factor` times as long; mode "nearest" or "linear"."""

    def __init__(self, factor, mode="nearest", align_corners=False):
        super().__init__(_make.upsample(factor, mode, align_corners))


class Pad(Made):
    """Each spatial axis with `widths` more on its sides: a width for all, or a width or (before, after) for each axis;
    negative crops. mode as Conv2D's. A convolution pads by itself: this is for what stands before other layers."""

    def __init__(self, widths, mode="constant", value=0.0):
        super().__init__(_make.pad(widths, mode, value))


class DepthToSpace(Made):
    """Blocks of channels become positions: [n, h, w, c] to [n, h * b, w * b, c / (b * b)]; order "dcr" or "crd"."""

    def __init__(self, block, order="dcr"):
        super().__init__(_make.depth_to_space(block, order))


class PixelShuffle(Made):
    """DepthToSpace with the channels in PyTorch's order (crd)."""

    def __init__(self, block):
        super().__init__(_make.pixel_shuffle(block))


class Flatten(Made):
    """[n, ...] to [n, product]."""

    def __init__(self):
        super().__init__(_make.flatten())


# ---- norms


class BatchNorm(Made):
    """Normalises each channel over the batch and all positions. Training: by the batch's own mean and (biased)
    variance, recording running = running * (1 - momentum) + batch * momentum; evaluation: by the running statistics.
    Parameters gamma, beta [c]; buffers running_mean, running_variance [c]."""

    def __init__(self, eps=1e-5, momentum=0.1, affine=True):
        super().__init__(_make.batch_norm(eps, momentum, affine))


class LayerNorm(Made):
    """Normalises over the last axis. Parameters gamma, beta [c]."""

    def __init__(self, eps=1e-5, affine=True):
        super().__init__(_make.layer_norm(eps, affine))


class GroupNorm(Made):
    """Normalises each sample's groups of channels. Parameters gamma, beta [c]."""

    def __init__(self, groups, eps=1e-5, affine=True):
        super().__init__(_make.group_norm(groups, eps, affine))


class InstanceNorm(Made):
    """Normalises each channel of each sample over its positions. Parameters gamma, beta [c]."""

    def __init__(self, eps=1e-5, affine=True):
        super().__init__(_make.instance_norm(eps, affine))


class LocalResponseNorm(Made):
    """Divides each channel by a power of what it and its neighbours measure, as in AlexNet (alpha=5e-4, bias=2 there).
    No parameters."""

    def __init__(self, size, alpha=1e-4, beta=0.75, bias=1.0):
        super().__init__(_make.local_response_norm(size, alpha, beta, bias))


# ---- activations


class ReLU(Made):
    """max(x, 0)"""

    def __init__(self):
        super().__init__(_make.relu())


class LeakyReLU(Made):
    """x where it is positive, else slope * x."""

    def __init__(self, slope=0.01):
        super().__init__(_make.leaky_relu(slope))


class ELU(Made):
    """x where it is positive, else alpha * (exp(x) - 1)."""

    def __init__(self, alpha=1.0):
        super().__init__(_make.elu(alpha))


class GELU(Made):
    """x * Phi(x), exact form."""

    def __init__(self):
        super().__init__(_make.gelu())


class SiLU(Made):
    """x * sigmoid(x)"""

    def __init__(self):
        super().__init__(_make.silu())


class Sigmoid(Made):
    """1 / (1 + exp(-x))"""

    def __init__(self):
        super().__init__(_make.sigmoid())


class Tanh(Made):
    """The hyperbolic tangent."""

    def __init__(self):
        super().__init__(_make.tanh())


class Softplus(Made):
    """log(1 + exp(x))"""

    def __init__(self):
        super().__init__(_make.softplus())


class Softmax(Made):
    """Over the last axis."""

    def __init__(self):
        super().__init__(_make.softmax())


class LogSoftmax(Made):
    """Over the last axis."""

    def __init__(self):
        super().__init__(_make.log_softmax())


class Dropout(Made):
    """In training each element is 0 with probability p in [0, 1), else x / (1 - p); keyed by (seed, module path,
    training step, index in the whole batch). In evaluation the identity."""

    def __init__(self, p):
        super().__init__(_make.dropout(p))
