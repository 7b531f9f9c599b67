"""Activations, softmax, norms, losses."""
import torch
import torch.nn.functional as F

import majorant as m
from common import ACTIVATIONS, Op, SLOPE, activate, channels, channels_first, channels_last, pick


def drawn_shape(rng, low=1, ranks=(2, 3, 4, 5)):
    rank = rng.choice(ranks)
    n = pick(rng, {1: 3, 2: 5, 3: 3, 5: 2, 16: 1, 17: 1})
    middle = [rng.randint(1, {3: 12, 4: 6, 5: 4}.get(rank, 1)) for _ in range(rank - 2)]
    shape = [n, *middle, channels(rng)]
    if rng.random() < 0.05 and low == 0:
        shape[0] = 0
    return shape


def x_shape(case):
    return {"x": case["in"]}


# ---- activations

def draw_activation(rng):
    return {"in": drawn_shape(rng, 0), "activation": rng.choice(ACTIVATIONS[1:])}


# ---- softmax

def draw_rows(rng):
    shape = drawn_shape(rng, 0, (1, 2, 3, 4))[-4:]
    if rng.random() < 0.1:
        shape[-1] = rng.choice([63, 64, 65, 200])
    return {"in": shape}


def shifted(x):
    top = x.v.max(-1, keepdim=True).values if x.v.numel() else x.v.sum(-1, keepdim=True)
    return m.add(x, m.constant(-top.expand(x.shape), 0))


def softmax_bound(x):
    e = m.exp(shifted(x))
    rest = m.power(m.total(e, [-1]), -1)
    return m.mul(e, m.expand(rest, e.shape))


def log_softmax_bound(x):
    s = shifted(x)
    logs = m.log(m.total(m.exp(s), [-1]))
    return m.sub(s, m.expand(logs, s.shape))


# ---- norms: over `axes` of the view that `split` makes of x

def draw_norm(rng):
    return {"in": drawn_shape(rng), "gamma": rng.random() < 0.7, "beta": rng.random() < 0.7,
            "eps": rng.choice([1e-5, 1e-3, 0.125])}


def draw_group_norm(rng):
    case = draw_norm(rng)
    case["groups"] = rng.randint(1, 5)
    case["in"][-1] = case["groups"] * rng.randint(1, 7)
    return case


def norm_shapes(case):
    c = case["in"][-1]
    found = {"x": case["in"]}
    for name in ("gamma", "beta"):
        if case[name]:
            found[name] = [c]
    return found


def normalized(x, split, axes, eps):
    v = m.reshape(x, split)
    count = 1
    for axis in axes:
        count *= v.shape[axis]
    d = m.sub(v, m.expand(m.scale(m.total(v, axes), 1 / count), v.shape))
    variance = m.scale(m.total(m.mul(d, d), axes), 1 / count)
    r = m.power(m.shift(variance, eps), -0.5)
    return m.reshape(m.mul(d, m.expand(r, d.shape)), x.shape)


def affine(h, t):
    if "gamma" in t:
        h = m.mul(h, m.expand(t["gamma"], h.shape))
    return m.add(h, m.expand(t["beta"], h.shape)) if "beta" in t else h


def norm_bound(split, axes):
    def bound(case, t):
        shape = split(case)
        return affine(normalized(t["x"], shape, axes(shape), case["eps"]), t)
    return bound


def gamma_of(case, t):
    """Without gamma PyTorch has no second derivatives."""
    return t["gamma"] if "gamma" in t else torch.ones(case["in"][-1], dtype=torch.float64)


def single(case, t):
    """The norm of one value alone, for which PyTorch has no training."""
    h = (t["x"] - t["x"]) / case["eps"] ** 0.5 * gamma_of(case, t)
    return h + t["beta"] if "beta" in t else h


def batch_norm(case, t):
    x = channels_first(t["x"])
    if x.numel() == x.shape[1]:
        return single(case, t)
    return channels_last(F.batch_norm(x, None, None, gamma_of(case, t), t.get("beta"), True, 0.1, case["eps"]))


def group_norm(case, t):
    if t["x"].numel() == case["in"][0] * case["groups"]:
        return single(case, t)
    return channels_last(F.group_norm(channels_first(t["x"]), case["groups"], gamma_of(case, t), t.get("beta"),
                                      case["eps"]))


def layer_norm(case, t):
    return F.layer_norm(t["x"], [case["in"][-1]], gamma_of(case, t), t.get("beta"), case["eps"])


def per_channel(case):
    return [-1, case["in"][-1]]


def per_group(case):
    n, *_, c = case["in"]
    positions = 1
    for e in case["in"][1:-1]:
        positions *= e
    return [n, positions, case["groups"], c // case["groups"]]


def draw_inference(rng):
    return draw_norm(rng)


def statistics(case, make):
    c = case["in"][-1]
    return {"mean": torch.rand([c], generator=make, dtype=torch.float64) - 0.5,
            "variance": torch.rand([c], generator=make, dtype=torch.float64) + 0.25}


def inference(case, t):
    return channels_last(F.batch_norm(channels_first(t["x"]), t["mean"], t["variance"], gamma_of(case, t), t.get("beta"),
                                      False, 0.1, case["eps"]))


def inference_bound(case, t):
    r = m.power(m.shift(m.constant(t["variance"], 0), case["eps"]), -0.5)
    d = m.add(t["x"], m.constant(-t["mean"].expand(case["in"]), 0))
    return affine(m.mul(d, m.expand(r, d.shape)), t)


# ---- local response: windows of channels that ONNX's rule places (PyTorch has its odd one on the other side)

def draw_local_response(rng):
    return {"in": drawn_shape(rng, 0), "size": rng.randint(1, 7), "alpha": rng.choice([1e-4, 0.5, 1.0]),
            "exponent": rng.choice([0.5, 0.75, 1.0]), "shift": rng.choice([1.0, 2.0])}


def windows(case, squares):
    """Sums over each channel's window."""
    size = case["size"]
    lines = F.pad(squares, ((size - 1) // 2, size // 2))
    return sum(lines[..., i:i + squares.shape[-1]] for i in range(size))


def local_response(case, t):
    x, size = t["x"], case["size"]
    if size % 2 and x.dim() >= 3 and x.numel():
        return channels_last(F.local_response_norm(channels_first(x), size, case["alpha"], case["exponent"],
                                                   case["shift"]))
    return x / (case["shift"] + case["alpha"] / size * windows(case, x * x)) ** case["exponent"]


def local_response_bound(case, t):
    x = t["x"]
    q = m.linear(m.mul(x, x), lambda s: windows(case, s))
    d = m.shift(m.scale(q, case["alpha"] / case["size"]), case["shift"])
    return m.mul(x, m.power(d, -case["exponent"]))


# ---- losses

def draw_loss(rng):
    return {"in": drawn_shape(rng), "smoothing": rng.choice([0.0, 0.0, 0.125])}


def labels(case, make):
    *rows, classes = case["in"]
    return {"labels": torch.randint(0, classes, rows, generator=make)}


def one_hot(case, t):
    classes = case["in"][-1]
    hot = F.one_hot(t["labels"], classes).double()
    return hot * (1 - case["smoothing"]) + case["smoothing"] / classes


def loss_bound(case, x, target):
    terms = m.mul(log_softmax_bound(x), target)
    count = 1
    for e in case["in"][:-1]:
        count *= e
    return m.reshape(m.scale(m.total(terms, list(range(len(case["in"])))), -1 / count), [])


def cross_entropy(case, t):
    classes = case["in"][-1]
    return F.cross_entropy(t["x"].reshape(-1, classes), t["labels"].reshape(-1), label_smoothing=case["smoothing"])


def cross_entropy_probabilities(case, t):
    """PyTorch's formula, written out: its own has no second derivative with respect to the target."""
    classes = case["in"][-1]
    target = t["target"] * (1 - case["smoothing"]) + case["smoothing"] / classes
    return -(torch.log_softmax(t["x"], -1) * target).sum(-1).mean()


def smoothed(case, target):
    if case["smoothing"] == 0:
        return target
    return m.shift(m.scale(target, 1 - case["smoothing"]), case["smoothing"] / case["in"][-1])


def mse_bound(case, t):
    d = m.sub(t["x"], t["target"])
    count = 1
    for e in case["in"]:
        count *= e
    return m.reshape(m.scale(m.total(m.mul(d, d), list(range(len(case["in"])))), 1 / count), [])


OPS = {
    "activation": Op(draw_activation, x_shape, lambda case, t: activate(case["activation"], t["x"]),
                     lambda case, t: m.activation(case["activation"], t["x"], SLOPE)),
    "softmax": Op(draw_rows, x_shape, lambda case, t: torch.softmax(t["x"], -1),
                  lambda case, t: softmax_bound(t["x"])),
    "log_softmax": Op(draw_rows, x_shape, lambda case, t: torch.log_softmax(t["x"], -1),
                      lambda case, t: log_softmax_bound(t["x"])),
    "batch_norm": Op(draw_norm, norm_shapes, batch_norm, norm_bound(per_channel, lambda s: [0])),
    "batch_norm_inference": Op(draw_inference, norm_shapes, inference, inference_bound, statistics),
    "layer_norm": Op(draw_norm, norm_shapes, layer_norm, norm_bound(per_channel, lambda s: [1])),
    "group_norm": Op(draw_group_norm, norm_shapes, group_norm, norm_bound(per_group, lambda s: [1, 3])),
    "local_response_norm": Op(draw_local_response, x_shape, local_response, local_response_bound),
    "cross_entropy": Op(draw_loss, x_shape, cross_entropy,
                        lambda case, t: loss_bound(case, t["x"], m.constant(one_hot(case, t))), labels),
    "cross_entropy_probabilities": Op(
        draw_loss, lambda case: {"x": case["in"], "target": (case["in"], "positive")}, cross_entropy_probabilities,
        lambda case, t: loss_bound(case, t["x"], smoothed(case, t["target"]))),
    "mse": Op(lambda rng: {"in": drawn_shape(rng)}, lambda case: {"x": case["in"], "target": case["in"]},
              lambda case, t: F.mse_loss(t["x"], t["target"]), mse_bound),
}
