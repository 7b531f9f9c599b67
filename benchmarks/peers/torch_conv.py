"""PyTorch's convolutions in both memory formats. PyTorch pads both sides alike: uneven padding is padded by
itself (forward only)."""
import torch
import torch.nn.functional as F

from torch_tensors import Refused, Variant, channels_first, formats, read

FORWARD = {4: F.conv2d, 5: F.conv3d}
TRANSPOSED = {4: F.conv_transpose2d, 5: F.conv_transpose3d}


def filters_first(w):
    """[spatial.., c / groups, k] as [k, c / groups, spatial..]."""
    return w.movedim(-1, 0).movedim(-1, 1)


def filters_last(w):
    return w.movedim(1, -1).movedim(0, -1)


def data_last(x):
    return x.movedim(1, -1)


def variants(q):
    if q["pad_mode"]:
        raise Refused(f"PyTorch's convolutions pad with zeros, not {q['pad_mode']}")
    if q["pad_before"] != q["pad_after"] or min(q["pad_before"]) < 0:
        raise Refused("PyTorch's convolutions pad both sides alike")
    return [make(q, name, memory_format) for name, memory_format in formats(len(q["x"]))]


def make(q, name, memory_format):
    def hold(tensor):
        return tensor.contiguous(memory_format=memory_format)

    stride, padding, dilation, groups = q["stride"], q["pad_before"], q["dilation"], q["groups"]
    axes, rank = len(stride), len(q["x"])
    none = [0] * axes
    operands = [read(operand) for operand in q["inputs"]]
    op, transposed = q["op"], q["transposed"]

    def backward(dy, x, w, which):
        mask = [which == "x", which == "w", False]
        index = 0 if which == "x" else 1

        def run():
            return torch.ops.aten.convolution_backward(
                dy, x, w, None, stride, padding, dilation, transposed, output_padding if transposed else none,
                groups, mask)[index]
        return run

    # Of a transposed convolution PyTorch's "input" is our y, and its output our x.
    span = [(out - 1) * s - 2 * p + d * (f - 1) + 1
            for out, s, p, d, f in zip(q["y"][1:-1], stride, padding, dilation, q["w"][:-2])]
    output_padding = [size - s for size, s in zip(q["x"][1:-1], span)]
    if op == "conv_backward_filter":
        x, dy = (hold(channels_first(t)) for t in operands)
        w = hold(filters_first(torch.empty(q["w"], dtype=x.dtype)))
        run = backward(x, dy, w, "w") if transposed else backward(dy, x, w, "w")
        return Variant(name, run, filters_last)
    data, w = hold(channels_first(operands[0])), hold(filters_first(operands[1]))
    if op == "conv_forward":
        if not transposed:
            forward = FORWARD[rank]
            return Variant(name, lambda: forward(data, w, None, stride, padding, dilation, groups), data_last)
        # The gradient of a transposed convolution's input is a convolution.
        y = hold(channels_first(torch.empty(q["y"], dtype=data.dtype)))
        return Variant(name, backward(data, y, w, "x"), data_last)
    if transposed:
        forward = TRANSPOSED[rank]
        return Variant(
            name, lambda: forward(data, w, None, stride, padding, output_padding, groups, dilation), data_last)
    x = hold(channels_first(torch.empty(q["x"], dtype=data.dtype)))
    return Variant(name, backward(data, x, w, "x"), data_last)
