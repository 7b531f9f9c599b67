"""isobit: deep learning where CPU and GPU give the same bits.

Tensors are channels last ([n, h, w, c]); every op is differentiable to any order; NumPy, PyTorch and others exchange
memory with it by DLPack without a copy. The names are those of the C++ library:

    import isobit
    from isobit import nn, optim, data

    net = nn.Sequential(nn.Conv2D(32, 3, padding="same"), nn.ReLU(), nn.MaxPool2D(2), nn.Flatten(), nn.Linear(10))
    net.build((28, 28, 1), device=isobit.Device.best(), seed=1)
"""

from isobit._core import *  # noqa: F401,F403  the ops, Tensor, Device, DType

import isobit.compare  # noqa: F401
import isobit.data  # noqa: F401
import isobit.io  # noqa: F401
import isobit.models  # noqa: F401
import isobit.nn  # noqa: F401
import isobit.optim  # noqa: F401
import isobit.train  # noqa: F401
from isobit import _core, _display, _pickle
from isobit._arrays import from_numpy, numpy, tensor  # noqa: F401
from isobit._math import Math  # noqa: F401
from isobit.nn import accuracy, digest  # noqa: F401

__version__ = "0.1.0"

Same, Valid = "same", "valid"

_display.install()
_pickle.install()

__all__ = [name for name in dir() if not name.startswith("_")]
