#!/usr/bin/env python3
"""Computes tests/conformance/data/torch.bin and torch.txt with PyTorch: values and gradients, first and second,
that nobody here wrote. Run it where PyTorch is installed; the data are committed.

torch.txt has a line per case, "op key=value ...", and torch.bin the case's tensors one after the other as
little-endian f64: inputs, y, the seed g, gradients of <y, g>, gradients of the sum of their squares. A line's
`shapes` lists them, "-" for what does not exist. Layouts are channels last: x[n, ..., c], w[..., c/groups, k].
"""
import os
import struct

import torch
import torch.nn.functional as F

torch.manual_seed(20240229)
torch.set_default_dtype(torch.float64)
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "conformance", "data")
lines, blob = [], bytearray()


def channels_first(t):
    return t.movedim(-1, 1)


def channels_last(t):
    return t.movedim(1, -1)


def case(op, inputs, f, second=True, **options):
    leaves = [t.detach().clone().requires_grad_() for t in inputs]
    y = f(*leaves)
    g = torch.randn_like(y)
    first = torch.autograd.grad(y, leaves, g, create_graph=second)
    after = [None] * len(leaves)
    total = sum((d * d).sum() for d in first)
    if second and total.requires_grad:
        after = torch.autograd.grad(total, leaves, allow_unused=True)
    tensors = leaves + [y, g] + list(first) + list(after)
    shapes = []
    for t in tensors:
        shapes.append("-" if t is None else "x".join(map(str, t.shape)) or "1s")
        if t is not None:
            values = (t.detach() + torch.zeros(t.shape)).flatten().tolist()  # some zeros have no memory
            blob.extend(struct.pack("<%dd" % len(values), *values))
    keys = " ".join(f"{k}={v}" for k, v in options.items())
    lines.append(f"{op} {keys} inputs={len(leaves)} second={int(second)} shapes={','.join(shapes)}".replace("  ", " "))


def conv_case(x, w, stride, dilation, pads, groups):
    rank = len(x) - 2
    sides = [side for axis in reversed(pads) for side in axis]
    conv = [F.conv1d, F.conv2d, F.conv3d][rank - 1]

    def f(x, w, b):
        filters = w.movedim(-1, 0).movedim(-1, 1)  # [k, c/groups, ...]
        return channels_last(conv(F.pad(channels_first(x), sides), filters, b, stride, 0, dilation, groups))

    case("conv", [torch.randn(x), torch.randn(w), torch.randn(w[-1])], f, groups=groups,
         stride=",".join(map(str, stride)), dilation=",".join(map(str, dilation)),
         pad=",".join(f"{a}:{b}" for a, b in pads))


conv_case([2, 9, 3], [3, 3, 4], [2], [2], [(1, 2)], 1)
conv_case([2, 6, 7, 3], [3, 3, 3, 4], [1, 1], [1, 1], [(0, 0), (0, 0)], 1)
conv_case([2, 6, 7, 4], [3, 2, 2, 6], [2, 3], [1, 2], [(1, 2), (0, 3)], 2)
conv_case([1, 7, 5, 4], [2, 3, 1, 8], [2, 1], [2, 1], [(2, 0), (1, 1)], 4)
conv_case([3, 5, 5, 2], [1, 1, 2, 3], [2, 2], [1, 1], [(0, 0), (0, 0)], 1)
conv_case([1, 4, 5, 4, 2], [2, 3, 2, 2, 3], [1, 2, 1], [2, 1, 1], [(1, 0), (0, 1), (1, 1)], 1)
conv_case([17, 4, 4, 2], [3, 3, 2, 3], [1, 1], [1, 1], [(1, 1), (1, 1)], 1)

for kernel, stride, pad, dilation, ceil in [((2, 2), (2, 2), (0, 0), (1, 1), 0), ((3, 2), (2, 1), (1, 1), (1, 1), 0),
                                            ((3, 3), (2, 2), (1, 1), (1, 1), 1), ((2, 2), (3, 3), (0, 1), (1, 1), 1),
                                            ((2, 3), (1, 2), (1, 0), (2, 1), 0), ((3, 3), (3, 3), (1, 1), (2, 2), 1)]:
    text = dict(window="%d,%d" % kernel, stride="%d,%d" % stride, pad="%d:%d,%d:%d" % (pad[0], pad[0], pad[1], pad[1]),
                ceil=ceil)
    case("max_pool", [torch.randn(2, 7, 6, 3)],
         lambda x: channels_last(F.max_pool2d(channels_first(x), kernel, stride, pad, dilation, bool(ceil))),
         dilation="%d,%d" % dilation, **text)
    for include in (0, 1):
        if dilation == (1, 1):
            case("avg_pool", [torch.randn(2, 7, 6, 3)],
                 lambda x: channels_last(
                     F.avg_pool2d(channels_first(x), kernel, stride, pad, bool(ceil), bool(include))),
                 include=include, **text)

for name, f, low in [("relu", torch.relu, None), ("elu", F.elu, None), ("gelu", F.gelu, None), ("silu", F.silu, None),
                     ("sigmoid", torch.sigmoid, None), ("tanh", torch.tanh, None), ("softplus", F.softplus, None),
                     ("leaky_relu", F.leaky_relu, None), ("exp", torch.exp, None), ("expm1", torch.expm1, None),
                     ("sin", torch.sin, None), ("cos", torch.cos, None), ("erf", torch.erf, None),
                     ("log", torch.log, 0.1), ("log1p", torch.log1p, -0.5), ("sqrt", torch.sqrt, 0.1),
                     ("reciprocal", torch.reciprocal, 0.1), ("abs", torch.abs, None), ("square", torch.square, None)]:
    x = torch.randn(40) * 3 if low is None else low + torch.rand(40) * 4
    case(name, [x], f)

for shape in ([4, 7], [2, 3, 70], [300]):
    case("softmax", [torch.randn(shape) * 3], lambda x: torch.softmax(x, -1))
    case("log_softmax", [torch.randn(shape) * 3], lambda x: torch.log_softmax(x, -1))

labels = torch.tensor([3, 0, 4, 1, 1, 2])
text = ",".join(map(str, labels.tolist()))
for smoothing in (0.0, 0.1):
    case("cross_entropy", [torch.randn(6, 5)],
         lambda x: F.cross_entropy(x, labels, label_smoothing=smoothing), smoothing=smoothing, labels=text, rows="6")
    case("cross_entropy", [torch.randn(2, 3, 5)],
         lambda x: F.cross_entropy(channels_first(x), labels.reshape(2, 3), label_smoothing=smoothing),
         smoothing=smoothing, labels=text, rows="2x3")
    # PyTorch's own second derivative of the loss with probabilities is not implemented in all versions.
    case("cross_entropy_probabilities", [torch.randn(6, 5), torch.softmax(torch.randn(6, 5), -1)],
         lambda x, t: F.cross_entropy(x, t, label_smoothing=smoothing), second=False, smoothing=smoothing)
case("mse", [torch.randn(4, 5), torch.randn(4, 5)], F.mse_loss)

for shape in ([5, 3], [3, 4, 2, 3]):
    c = shape[-1]
    case("batch_norm", [torch.randn(shape), torch.rand(c) + 0.5, torch.randn(c)],
         lambda x, gamma, beta: channels_last(
             F.batch_norm(channels_first(x), None, None, gamma, beta, True, 0.1, 1e-3)), eps=1e-3)
    case("layer_norm", [torch.randn(shape), torch.rand(c) + 0.5, torch.randn(c)],
         lambda x, gamma, beta: F.layer_norm(x, [c], gamma, beta, 1e-3), eps=1e-3)
case("layer_norm", [torch.randn(3, 2, 100), torch.rand(100) + 0.5, torch.randn(100)],
     lambda x, gamma, beta: F.layer_norm(x, [100], gamma, beta, 1e-3), eps=1e-3)
for groups in (1, 2, 3, 6):
    case("group_norm", [torch.randn(2, 3, 2, 6), torch.rand(6) + 0.5, torch.randn(6)],
         lambda x, gamma, beta: channels_last(F.group_norm(channels_first(x), groups, gamma, beta, 1e-3)),
         groups=groups, eps=1e-3)

case("matmul", [torch.randn(3, 4), torch.randn(4, 5)], torch.matmul)
case("matmul", [torch.randn(2, 1, 3, 4), torch.randn(3, 4, 5)], torch.matmul)
case("linear", [torch.randn(3, 2, 4), torch.randn(4, 5), torch.randn(5)], lambda x, w, b: F.linear(x, w.T, b))
case("mul", [torch.randn(3, 1, 4), torch.randn(2, 1)], torch.mul)
case("div", [torch.randn(3, 1, 4), torch.rand(2, 1) + 0.5], torch.div)
case("sum", [torch.randn(3, 4, 5)], lambda x: x.sum((0, 2)) ** 2)
case("max", [torch.randn(3, 4, 5)], lambda x: x.amax((1, 2)) ** 2)

# PyTorch's odd channel of an even window comes before, ONNX's after: hence the flips.
for shape, size, alpha, beta, bias in [([3, 2, 7], 3, 0.5, 0.75, 1.0), ([2, 3, 2, 8], 5, 1e-4, 0.75, 2.0),
                                       ([2, 4, 5], 4, 2.0, 0.5, 1.5), ([2, 2, 3], 8, 1.0, 1.0, 1.0),
                                       ([4, 1, 6], 1, 1.0, -0.5, 0.5)]:
    case("local_response_norm", [torch.randn(shape)],
         lambda x: channels_last(F.local_response_norm(channels_first(x).flip(1), size, alpha, beta, bias).flip(1)),
         size=size, alpha=alpha, beta=beta, bias=bias)

for shape, output in [([2, 7, 3], [3]), ([2, 5, 6, 2], [3, 4]), ([1, 4, 3, 5, 2], [2, 5, 3]), ([2, 6, 4, 3], [1, 1])]:
    average = [F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d][len(output) - 1]
    highest = [F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d][len(output) - 1]
    text = ",".join(map(str, output))
    case("adaptive_avg_pool", [torch.randn(shape)], lambda x: channels_last(average(channels_first(x), output)),
         output=text)
    case("adaptive_max_pool", [torch.randn(shape)], lambda x: channels_last(highest(channels_first(x), output)),
         output=text)

for shape, to, window in [([2, 3, 2], [2, 9, 2], 3), ([2, 2, 3, 2], [2, 4, 6, 2], 2)]:
    pool = [F.max_pool1d, F.max_pool2d][len(shape) - 3]
    unpool = [F.max_unpool1d, F.max_unpool2d][len(shape) - 3]
    index = pool(channels_first(torch.randn(to)), window, return_indices=True)[1]
    case("max_unpool", [torch.randn(shape)],
         lambda x: channels_last(unpool(channels_first(x), index, window, output_size=to[1:-1])),
         to="x".join(map(str, to)), index="/".join(map(str, channels_last(index).flatten().tolist())))

# PyTorch takes x^p, not |x|^p: whole odd p and p that are not whole are only compared on positive numbers.
for shape, window, stride, p in [([2, 7, 3], [3], [2], 2), ([2, 5, 6, 2], [2, 3], [1, 2], 2), ([2, 5, 6, 2], [2, 2], [2, 2], 4),
                                 ([2, 5, 6, 2], [3, 2], [1, 1], 3), ([1, 4, 5, 2], [2, 2], [2, 1], 2.5),
                                 ([2, 5, 6, 2], [2, 2], [2, 2], 1)]:
    norm = [F.lp_pool1d, F.lp_pool2d][len(window) - 1]
    kernel, step = (window[0], stride[0]) if len(window) == 1 else (window, stride)
    x = torch.randn(shape) if p in (2, 4) else torch.rand(shape) + 0.25
    case("lp_pool", [x], lambda x: channels_last(norm(channels_first(x), p, kernel, step)),
         window=",".join(map(str, window)), stride=",".join(map(str, stride)), p=p)
case("sum_pool", [torch.randn(2, 7, 6, 3)],
     lambda x: channels_last(F.avg_pool2d(channels_first(x), (3, 2), (2, 1), (1, 1), divisor_override=1)),
     window="3,2", stride="2,1", pad="1:1,1:1", ceil=0)
# Interpolation: by extents (up, down, both at once), by whole factors, with PyTorch's antialias.
for shape, size in [([2, 5, 3], [8]), ([2, 4, 5, 3], [7, 5]), ([1, 6, 9, 2], [4, 12]), ([1, 3, 4, 5, 2], [5, 2, 5])]:
    kind = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(size)]
    text = ",".join(map(str, size))
    for corners in (0, 1):
        case("resize", [torch.randn(shape)],
             lambda x: channels_last(F.interpolate(channels_first(x), size, mode=kind, align_corners=bool(corners))),
             size=text, mode="align_corners" if corners else "half_pixel")
    for mode in ("nearest", "nearest-exact"):
        case("resize", [torch.randn(shape)],
             lambda x: channels_last(F.interpolate(channels_first(x), size, mode=mode)), size=text, mode=mode)
    if len(size) == 2:
        case("resize", [torch.randn(shape)],
             lambda x: channels_last(F.interpolate(channels_first(x), size, mode=kind, antialias=True)),
             size=text, mode="antialias")
for shape, factor in [([2, 3, 4, 3], 2), ([2, 4, 2], 3), ([1, 2, 3, 2, 2], 2)]:
    kind = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(shape) - 2]
    for mode in ("nearest", "linear", "corners"):
        case("upsample", [torch.randn(shape)],
             lambda x: channels_last(F.interpolate(
                 channels_first(x), scale_factor=factor, mode="nearest" if mode == "nearest" else kind,
                 align_corners=None if mode == "nearest" else mode == "corners")), factor=factor, mode=mode)


def taps_inside(columns, c, n, positions):
    """PyTorch's columns [n, c * taps, l] as [n, p, q, taps * c]."""
    return columns.reshape(n, c, -1, positions[0] * positions[1]).permute(0, 3, 2, 1).reshape(n, *positions, -1)


for shape, window, stride, pad, dilation in [([2, 5, 6, 3], (2, 3), (1, 2), (0, 1), (1, 1)),
                                             ([1, 7, 7, 2], (3, 3), (2, 2), (1, 1), (2, 1)),
                                             ([2, 4, 4, 1], (1, 2), (3, 1), (0, 0), (1, 3))]:
    positions = [(shape[i + 1] + 2 * pad[i] - dilation[i] * (window[i] - 1) - 1) // stride[i] + 1 for i in (0, 1)]
    text = dict(window="%d,%d" % window, stride="%d,%d" % stride, dilation="%d,%d" % dilation,
                pad="%d:%d,%d:%d" % (pad[0], pad[0], pad[1], pad[1]))
    case("unfold", [torch.randn(shape)],
         lambda x: taps_inside(F.unfold(channels_first(x), window, dilation, pad, stride), shape[3], shape[0],
                               positions), **text)

    def fold(columns):
        n, c = shape[0], shape[3]
        first = columns.reshape(n, positions[0] * positions[1], -1, c).permute(0, 3, 2, 1)
        first = first.reshape(n, -1, positions[0] * positions[1])
        return channels_last(F.fold(first, shape[1:3], window, dilation, pad, stride))

    case("fold", [torch.randn(shape[0], *positions, window[0] * window[1] * shape[3])], fold,
         onto="x".join(map(str, shape)), **text)
for block in (2, 3):
    case("pixel_shuffle", [torch.randn(2, 2, 3, 2 * block * block)],
         lambda x: channels_last(F.pixel_shuffle(channels_first(x), block)), block=block)
    case("pixel_unshuffle", [torch.randn(2, 2 * block, block, 2)],
         lambda x: channels_last(F.pixel_unshuffle(channels_first(x), block)), block=block)
for shape in ([2, 3, 4, 5], [3, 6, 2]):
    c = shape[-1]
    case("instance_norm", [torch.randn(shape), torch.rand(c) + 0.5, torch.randn(c)],
         lambda x, gamma, beta: channels_last(
             F.instance_norm(channels_first(x), None, None, gamma, beta, True, 0.1, 1e-3)), eps=1e-3)

os.makedirs(FOLDER, exist_ok=True)
with open(os.path.join(FOLDER, "torch.txt"), "w") as out:
    out.write(f"# made by scripts/make_conformance_data.py with PyTorch {torch.__version__.split('+')[0]}\n")
    out.write("\n".join(lines) + "\n")
with open(os.path.join(FOLDER, "torch.bin"), "wb") as out:
    out.write(blob)
print(len(lines), "cases,", len(blob), "bytes")
