"""How far two f32 evaluations of one torch network may lie apart, in whatever order each sums.

u is 2^-24 (f64: 2^-53). A sum of n rounded products in any order is off by at most g(n) * sum|x||w|, g(n) = n u / (1 - n u) (Higham,
Accuracy and Stability of Numerical Algorithms, 3.1). So one evaluation of a layer, from the inputs that it gets, is off by at
most

    b = g(n + 2) * (sum |x||w| + |bias|)

n + 2 for the bias and a last rounding. Batch norm is at most 8 roundings of its terms, an addition one, a mean of n a sum
with weights 1 / n; relu, maxima and copies are exact. What the errors of all layers do to output y_k is, to first order,

    sum over layers l and elements i of |d y_k / d y_l,i| * b_l,i

with the derivatives and values of an f64 run. Two evaluations differ by at most twice that; once more twice is for terms of
second order and for elements so near a kink of relu or of a maximum that they change sides. docs/convert.md says the
same."""

import copy
import operator

import torch
import torch.nn.functional as F
from torch import fx, nn

U = 2.0**-24


def g(n):
    """In f32; the bounds are all but linear in u, so those of f64 are 2^-29 of it."""
    return n * U / (1 - n * U)


def _conv(m, x):
    f = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[m.weight.dim() - 2]
    x, w, b = x.abs(), m.weight.abs(), None if m.bias is None else m.bias.abs()
    n = w[0].numel()
    if m.padding_mode != "zeros":
        x = F.pad(x, [p for q in reversed(m.padding) for p in (q, q)], m.padding_mode)
        return g(n + 2) * f(x, w, b, m.stride, 0, m.dilation, m.groups)
    return g(n + 2) * f(x, w, b, m.stride, m.padding, m.dilation, m.groups)


def _transposed(m, x):
    f = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}[m.weight.dim() - 2]
    w, b = m.weight.abs(), None if m.bias is None else m.bias.abs()
    n = w[:, 0].numel()
    return g(n + 2) * f(x.abs(), w, b, m.stride, m.padding, m.output_padding, m.groups, m.dilation)


def _linear(m, x):
    b = None if m.bias is None else m.bias.abs()
    return g(m.in_features + 2) * F.linear(x.abs(), m.weight.abs(), b)


def _batch_norm(m, x):
    shape = (1, -1) + (1,) * (x.dim() - 2)
    scale = 1 / torch.sqrt(m.running_var + m.eps)
    beta = torch.zeros_like(scale)
    if m.affine:
        scale, beta = scale * m.weight.abs(), m.bias.abs()
    scale, beta, mean = scale.reshape(shape), beta.reshape(shape), m.running_mean.abs().reshape(shape)
    return g(8) * (scale * (x.abs() + mean) + beta)


def _mean(m, x):
    return g(x[0, 0].numel() + 2) * m(x.abs())


_LOCAL = {nn.Linear: _linear, nn.Conv1d: _conv, nn.Conv2d: _conv, nn.Conv3d: _conv, nn.ConvTranspose1d: _transposed,
          nn.ConvTranspose2d: _transposed, nn.ConvTranspose3d: _transposed, nn.BatchNorm1d: _batch_norm,
          nn.BatchNorm2d: _batch_norm, nn.BatchNorm3d: _batch_norm, nn.AvgPool2d: _mean, nn.AdaptiveAvgPool2d: _mean}
_EXACT = (nn.ReLU, nn.Dropout, nn.Identity, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.Flatten)


class _Run(fx.Interpreter):
    """Runs a module in f64 and keeps (value, b) of all that rounds."""

    def __init__(self, module):
        module = copy.deepcopy(module).double().eval()
        for m in module.modules():
            if hasattr(m, "inplace"):
                m.inplace = False
        super().__init__(fx.symbolic_trace(module))
        self.rounded = []

    def call_module(self, target, args, kwargs):
        m, x = self.fetch_attr(target), args[0]
        y = m(x)
        if type(m) in _LOCAL:
            self.rounded.append((y, _LOCAL[type(m)](m, x).detach()))
        elif not isinstance(m, _EXACT):
            raise NotImplementedError(type(m))
        return y

    def call_function(self, target, args, kwargs):
        if target in (operator.add, operator.iadd):
            y = args[0] + args[1]
            self.rounded.append((y, U * y.detach().abs()))
            return y
        if target in (torch.cat, torch.flatten, F.relu, torch.relu):
            return target(*args, **{k: v for k, v in kwargs.items() if k != "inplace"})
        raise NotImplementedError(target)


def bound(module, x):
    """The most by which two evaluations of the module at x, in x's dtype, may differ, element by element."""
    run = _Run(module)
    y = run.run(x.detach().double().clone().requires_grad_())
    flat = y.reshape(len(y), -1)
    values = [value for value, _ in run.rounded]
    columns = []
    for k in range(flat.shape[1]):
        slopes = torch.autograd.grad(flat[:, k].sum(), values, retain_graph=True, allow_unused=True)
        columns.append(sum((s.abs() * b).reshape(len(y), -1).sum(1)
                           for s, (_, b) in zip(slopes, run.rounded) if s is not None))
    share = 4 if x.dtype == torch.float32 else 4 * 2.0**-29
    return share * torch.stack(columns, 1).reshape(y.shape).detach().numpy()
