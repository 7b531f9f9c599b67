"""Steps of training in PyTorch: isobit's ready-made networks (isobit/models.h) with the weights that isobit
hands over, in the order of their parameters."""
import torch
import torch.nn as nn
import torch.nn.functional as F

from torch_conv import filters_first
from torch_tensors import Variant, channels_first, formats, read


class Weights:
    """Hands out the parameters one by one."""

    def __init__(self, tensors):
        self.left = list(tensors)

    def take(self):
        return nn.Parameter(self.left.pop(0).clone())

    def done(self):
        if self.left:
            raise ValueError(f"{len(self.left)} parameters are left over")


class Conv(nn.Module):
    """Padding as isobit's Same: out = ceil(in / stride), the odd pixel after. `exact` pads so; else, for a
    stride, both sides alike, which costs the same multiply-adds and no copy."""
    exact = False

    def __init__(self, weights, stride=1, same=True, bias=False):
        super().__init__()
        self.weight = nn.Parameter(filters_first(weights.take().detach()).contiguous())
        self.bias = weights.take() if bias else None
        self.stride, self.same = stride, same

    def forward(self, x):
        r, s = self.weight.shape[2:]
        if not self.same:
            return F.conv2d(x, self.weight, self.bias, self.stride)
        if self.stride == 1 or not Conv.exact:
            return F.conv2d(x, self.weight, self.bias, self.stride, (r // 2, s // 2))
        height, width = (max(((n - 1) // self.stride) * self.stride + f - n, 0)
                         for n, f in ((x.shape[2], r), (x.shape[3], s)))
        x = F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        return F.conv2d(x, self.weight, self.bias, self.stride)


class Linear(nn.Module):
    """After a flatten of [h, w, c] images (`image`), whose rows PyTorch has in the order [c, h, w]."""

    def __init__(self, weights, image=None):
        super().__init__()
        w = weights.take().detach()
        if image is not None:
            w = w.reshape(*image, w.shape[1]).permute(2, 0, 1, 3).reshape(w.shape)
        self.weight, self.bias = nn.Parameter(w.t().contiguous()), weights.take()

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)


def batch_norm(weights):
    gamma, beta = weights.take(), weights.take()
    norm = nn.BatchNorm2d(gamma.numel())
    norm.weight, norm.bias = gamma, beta
    return norm


class Residual(nn.Module):
    def __init__(self, weights, stride):
        super().__init__()
        self.body = nn.Sequential(Conv(weights, stride), batch_norm(weights), nn.ReLU(), Conv(weights),
                                  batch_norm(weights))
        self.shortcut = nn.Identity() if stride == 1 else nn.Sequential(
            Conv(weights, stride, same=False), batch_norm(weights))

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


def lenet(weights):
    return nn.Sequential(Conv(weights, bias=True), nn.ReLU(), nn.MaxPool2d(2), Conv(weights, bias=True), nn.ReLU(),
                         nn.MaxPool2d(2), nn.Flatten(), Linear(weights, (7, 7, 64)), nn.ReLU(), Linear(weights))


def vgg_small(weights):
    layers = []
    for _ in range(3):
        for _ in range(2):
            layers += [Conv(weights), batch_norm(weights), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), Linear(weights, (4, 4, 128)), nn.ReLU(), nn.Dropout(0.3), Linear(weights)]
    return nn.Sequential(*layers)


def resnet_small(weights):
    layers = [Conv(weights), batch_norm(weights), nn.ReLU()]
    for stride in (1, 2, 2):
        layers += [Residual(weights, stride), nn.ReLU()]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), Linear(weights)]
    return nn.Sequential(*layers)


MODELS = {"lenet": lenet, "vgg-small": vgg_small, "resnet-small": resnet_small}


class Training(Variant):
    def __init__(self, q, name, memory_format):
        super().__init__(name, None, lambda losses: losses)
        self.format, self.model, self.lr, self.losses = memory_format, MODELS[q["model"]], q["lr"], q["losses"]
        images, labels, *self.weights = (read(operand) for operand in q["inputs"])
        self.batches = [(channels_first(x).contiguous(memory_format=memory_format), y)
                        for x, y in zip(images, labels)]
        self.reset()
        self.run = self.step

    def reset(self):
        weights = Weights(self.weights)
        self.net = self.model(weights).to(memory_format=self.format)
        weights.done()
        self.sgd = torch.optim.SGD(self.net.parameters(), lr=self.lr)
        self.at = 0

    def step(self):
        images, labels = self.batches[self.at % len(self.batches)]
        self.at += 1
        loss = F.cross_entropy(self.net(images), labels)
        self.sgd.zero_grad()
        loss.backward()
        self.sgd.step()
        return loss

    def check(self):
        self.reset()
        for layer in self.net:
            if isinstance(layer, nn.Dropout):
                layer.eval()
        Conv.exact = True
        losses = [self.step().item() for _ in range(self.losses)]
        Conv.exact = False
        self.reset()
        return torch.tensor(losses, dtype=torch.float32)


def variants(q):
    return [Training(q, name, memory_format) for name, memory_format in formats(4)]
