"""To and from NumPy."""

import numpy as np

from isobit import _core
from isobit._core import Tensor

# What NumPy has and isobit does not, without loss in a wider type.
_WIDER = {"int8": "int32", "int16": "int32", "uint16": "int32", "uint32": "int64"}


def _is_bfloat16(array):
    return array.dtype.kind == "V" and array.dtype.name == "bfloat16"  # ml_dtypes gives NumPy this type


def from_numpy(array):
    """The memory of a contiguous, writable array as a tensor on the CPU, without a copy. (bfloat16 of ml_dtypes is
    copied.)"""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: expected a numpy.ndarray, got {type(array).__name__}")
    if _is_bfloat16(array):
        return _core._from_words(np.ascontiguousarray(array).view(np.uint16))
    return _core.from_dlpack(array)


def tensor(data, dtype=None, device=None):
    """A new tensor of numbers, nested sequences, an array or a tensor; always a copy. Without a dtype Python's floats
    become f32 and its ints i64, arrays keep theirs (small integers become i32 or i64, which hold them)."""
    if isinstance(data, Tensor):
        result = data.detach().clone()
    else:
        array = np.array(data, order="C", copy=True)
        if array.dtype == object:
            raise TypeError("tensor: expected numbers in a rectangular shape")
        if array.dtype == np.float64 and not hasattr(data, "dtype"):
            wanted = str(dtype) if dtype is not None else "f32"
            if wanted == "f32":
                array = array.astype(np.float32)
        if array.dtype.name in _WIDER:
            array = array.astype(_WIDER[array.dtype.name])
        if not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
        result = from_numpy(array)
    if dtype is not None:
        result = result.to(_core.DType(dtype))
    return result if device is None else result.to(device)


def numpy(t):
    """The elements of a tensor as a NumPy array that shares its memory. On the CPU (and simt) only; bf16 becomes
    ml_dtypes' bfloat16 where that is installed, as a copy."""
    if t.dtype == "bf16":
        try:
            import ml_dtypes
        except ImportError:
            raise TypeError("numpy: NumPy has no bf16; convert it first with to(isobit.f32), or install ml_dtypes") from None
        return np.frombuffer(bytearray(t.tobytes()), ml_dtypes.bfloat16).reshape(t.shape)
    return np.asarray(memoryview(t))


def tolist(t):
    """The elements as numbers in nested lists, from any device."""
    t = t.detach().to("cpu")
    return numpy(t.to("f32") if t.dtype == "bf16" else t).tolist()
