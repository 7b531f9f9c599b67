"""Weights as Keras keeps them: HWIO, which is how they lie here."""

import numpy as np

import isobit
from isobit.convert import _net
from isobit.convert._graph import refuse

# Keras' order in get_weights(), by our names.
_NAMES = {
    "Conv": ("weight", "bias"), "ConvTranspose": ("weight", "bias"), "Linear": ("weight", "bias"),
    "BatchNorm": ("gamma", "beta", "running_mean", "running_variance"), "LayerNorm": ("gamma", "beta"),
    "GroupNorm": ("gamma", "beta"), "InstanceNorm": ("gamma", "beta"),
}


def from_keras_weights(net, weights):
    """Puts Keras' weights into a built network of the same layers.

    weights: the list of arrays that model.get_weights() gives (layer by layer, in order of execution), or a mapping of
    names to arrays, the order of which is that of the layers too (an .npz or a dict of get_weights(); "conv1/kernel"), or
    the path of such an .npz. Kernels [h, w, in, out] and dense ones [in, out] lie as here, transposed ones
    [h, w, out, in] too; a depthwise kernel [h, w, in, multiplier] is told by its shape. Flatten is in the order (h, w, c)
    on both sides. ConversionError names the layer and both shapes where they differ; then nothing has changed."""
    names, arrays = _listed(weights)
    state, taken, at = net.state_dict(), {}, 0
    seen = set()
    for leaf in _net.leaves(_net.tree_of(net)):
        family = leaf.kind.rstrip("123D") if leaf.kind.startswith("Conv") else leaf.kind
        if leaf.owner in seen or family not in _NAMES:
            continue
        seen.add(leaf.owner)
        for name in _NAMES[family]:
            path = f"{leaf.owner}.{name}" if leaf.owner else name
            if path not in state:
                continue
            origin = f"{path} ({leaf.kind})"
            if at == len(arrays):
                refuse(origin, f"there are only {at} arrays", "Give the weights of all layers, in order")
            taken[path] = _fitting(arrays[at], names[at], tuple(state[path].shape), str(state[path].dtype), origin)
            at += 1
    if at != len(arrays):
        refuse("from_keras_weights", f"{len(arrays)} arrays were given, the network takes {at} ({names[at]} is left over)",
               "Both must have the same layers in the same order")
    net.load_state_dict(taken)


def _listed(weights):
    if hasattr(weights, "__fspath__") or isinstance(weights, str):
        with np.load(weights) as file:
            weights = {name: file[name] for name in file.files}
    if hasattr(weights, "items"):
        pairs = list(weights.items())
        return [str(name) for name, _ in pairs], [np.asarray(array) for _, array in pairs]
    arrays = [np.asarray(array) for array in weights]
    return [f"array {i}" for i in range(len(arrays))], arrays


def _fitting(array, name, shape, dtype, origin):
    if array.shape != shape and array.ndim == len(shape) >= 3:
        *spatial, c, multiplier = array.shape
        if (*spatial, 1, c * multiplier) == shape:  # depthwise: groups of one channel, multiplier filters each
            array = array.reshape(shape)
    if array.shape != shape:
        refuse(origin, f"{name} has shape {list(array.shape)}, expected {list(shape)}",
               "Both must have the same layers in the same order")
    if array.dtype.kind != "f":
        refuse(origin, f"{name} holds {array.dtype}", "Weights are floating numbers")
    return isobit.tensor(np.ascontiguousarray(array), dtype=dtype)
