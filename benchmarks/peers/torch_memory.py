"""PyTorch's matrix products and its ops that move memory rather than multiply, and their gradients."""
import torch
import torch.nn.functional as F

from torch_tensors import Refused, Variant, channels_first, formats, read


def batch_norm_inference(x, gamma, beta):
    return F.batch_norm(x, beta, gamma * gamma, gamma, beta)


PLAIN = {
    "add": torch.add,
    "mul_scalar": lambda x: x * 0.5,
    "relu": torch.relu,
    "exp": torch.exp,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "sum": torch.sum,
    "sum_rows": lambda x: torch.sum(x, 0),
    "to_nchw": lambda x: x.permute(0, 3, 1, 2).contiguous(),
    "softmax": lambda x: F.softmax(x, -1),
    "log_softmax": lambda x: F.log_softmax(x, -1),
    "layer_norm": lambda x, gamma, beta: F.layer_norm(x, gamma.shape, gamma, beta),
}
IMAGES = {
    "batch_norm": lambda q: lambda x, gamma, beta: F.batch_norm(x, None, None, gamma, beta, True),
    "batch_norm_inference": lambda q: batch_norm_inference,
    "group_norm": lambda q: lambda x, gamma, beta: F.group_norm(x, 8, gamma, beta),
    "max_pool": lambda q: lambda x: F.max_pool2d(x, q["window"], q["stride"], q["padding"]),
    "avg_pool": lambda q: lambda x: F.avg_pool2d(x, q["window"], q["stride"], q["padding"],
                                                 count_include_pad=False),
    "global_avg_pool": lambda q: lambda x: F.adaptive_avg_pool2d(x, 1),
}
OPTIMIZERS = {
    "sgd": lambda w: torch.optim.SGD([w], lr=0.01),
    "sgd_momentum": lambda w: torch.optim.SGD([w], lr=0.01, momentum=0.9),
    "adam": lambda w: torch.optim.Adam([w]),
}


def same(tensor):
    return tensor


def run_of(op, operands, grad):
    """A call of op, or of its gradient: of the first operand, the last one being the result's gradient."""
    if not grad:
        return lambda: op(*operands)
    *inputs, dy = operands
    inputs[0].requires_grad_()
    y = op(*inputs)
    return lambda: torch.autograd.grad(y, inputs[0], dy, retain_graph=True)[0]


class Optimizer(Variant):
    def __init__(self, q):
        super().__init__("foreach", self.step, same)
        w, self.gradient = (read(operand) for operand in q["inputs"])
        self.w = torch.nn.Parameter(w)
        self.optimizer = OPTIMIZERS[q["op"]](self.w)

    def step(self):
        self.w.grad = self.gradient
        self.optimizer.step()
        return self.w.detach()


def image_variant(q, name, memory_format):
    def hold(tensor):
        if tensor.dim() != 4:
            return tensor
        return channels_first(tensor).contiguous(memory_format=memory_format)

    *_, last = q["inputs"]
    operands = [read(operand) for operand in q["inputs"]]
    if q["op"] == "global_avg_pool" and q.get("grad"):
        operands[-1] = operands[-1].reshape(last["shape"][0], 1, 1, last["shape"][1])

    def back(result):
        if q["op"] == "global_avg_pool" and not q.get("grad"):
            return result.flatten(1)
        return result.movedim(1, -1)

    return Variant(name, run_of(IMAGES[q["op"]](q), [hold(t) for t in operands], q.get("grad")), back)


def variants(q):
    op = q["op"]
    if op in OPTIMIZERS:
        return [Optimizer(q)]
    if op in IMAGES:
        return [image_variant(q, name, memory_format) for name, memory_format in formats(4)]
    operands = [read(operand) for operand in q["inputs"]]
    if op == "matmul":
        a, b = operands
        a, b = a.mT if q["transpose_a"] else a, b.mT if q["transpose_b"] else b
        return [Variant("matmul", lambda: torch.matmul(a, b), same)]
    if op not in PLAIN:
        raise Refused(f"this peer knows no {op}")
    return [Variant("contiguous", run_of(PLAIN[op], operands, q.get("grad")), same)]
