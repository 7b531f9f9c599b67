"""Layers, modules, initialisers and evaluation. All layers take and give channels last: images [n, h, w, c], features
[n, c]; input channels are inferred when the network is built."""

from isobit._core import (  # noqa: F401
    Fans,
    Init,
    Layer,
    ParameterSpec,
    Plan,
    Summary,
    SummaryRow,
    initialize,
    kaiming_normal,
    kaiming_uniform,
    lecun_normal,
    lecun_uniform,
    relu_gain,
    xavier_normal,
    xavier_uniform,
)
from isobit._core import init_constant as constant  # noqa: F401
from isobit._core import init_normal as normal  # noqa: F401
from isobit._core import init_uniform as uniform  # noqa: F401
from isobit._core import SavedModel, describe, from_description, load_model, save_model  # noqa: F401
from isobit._core import Confusion, Evaluation, Graphed, evaluate  # noqa: F401
from isobit.nn._containers import Concat, Lambda, Module, Residual, Sequential  # noqa: F401
from isobit.nn._filters import (  # noqa: F401
    Conv1D,
    Conv2D,
    Conv3D,
    ConvTranspose1D,
    ConvTranspose2D,
    ConvTranspose3D,
    Linear,
)
from isobit.nn._layers import (  # noqa: F401
    ELU,
    GELU,
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AvgPool,
    AvgPool2D,
    BatchNorm,
    DepthToSpace,
    Dropout,
    Flatten,
    GlobalAvgPool,
    GlobalLpPool,
    GlobalMaxPool,
    GroupNorm,
    Input,
    InstanceNorm,
    LayerNorm,
    LeakyReLU,
    LocalResponseNorm,
    LogSoftmax,
    LpPool,
    MaxPool,
    MaxPool2D,
    Pad,
    PixelShuffle,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
    Upsample,
)


def zeros():
    """The initialiser of zeros."""
    return constant(0)


def ones():
    """The initialiser of ones."""
    return constant(1)


def accuracy(net, dataset, batch=256, normalise=None):
    """The share of the dataset that `net` recognises."""
    return evaluate(net, dataset, batch, normalise).accuracy


def digest(net):
    """SHA-256 over names, dtypes, shapes and elements of a network's state: the same on every device."""
    return net.digest()
