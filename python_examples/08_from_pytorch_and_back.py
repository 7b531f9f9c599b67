"""08. A PyTorch model moved over and back.

A residual network with batch norms is made and trained a little in PyTorch, moved to isobit, and moved back:

- weights are moved, not computed with: there and back they are the same bits;
- isobit is channels last, so a filter [k, c, r, s] becomes [r, s, c, k], and pictures [n, c, h, w] become [n, h, w, c];
- the outputs agree within what another order of the same sums may change. That is not nothing: the figure shows the
  differences of all outputs. The bound for them is measured as well: how far PyTorch's own f32 answers lie from its f64
  ones.

Needs PyTorch beside isobit.
"""

import matplotlib.pyplot as plt
import numpy as np

import isobit
from common import arguments, save

args = arguments(__doc__)
try:
    import torch
except ImportError:
    print("left out: this example needs PyTorch (pip install torch)")
    raise SystemExit(77) from None  # what scripts/examples takes for "not here"
from isobit import convert

torch.manual_seed(8)


# %% A network in PyTorch
class Block(torch.nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Conv2d(before, after, 3, stride, 1, bias=False), torch.nn.BatchNorm2d(after), torch.nn.ReLU(),
            torch.nn.Conv2d(after, after, 3, 1, 1, bias=False), torch.nn.BatchNorm2d(after),
        )
        self.shortcut = torch.nn.Sequential(torch.nn.Conv2d(before, after, 1, stride, bias=False), torch.nn.BatchNorm2d(after))

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))


module = torch.nn.Sequential(
    torch.nn.Conv2d(3, 16, 3, 1, 1, bias=False), torch.nn.BatchNorm2d(16), torch.nn.ReLU(),
    Block(16, 32, 2), Block(32, 64, 2),
    torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(64, 10),
)
optimizer = torch.optim.SGD(module.parameters(), lr=0.05)
images = torch.randn(64, 3, 32, 32)
labels = torch.randint(0, 10, (64,))
for _ in range(3 if args.quick else 20):  # so that the batch norms' statistics are not those of the beginning
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(module(images), labels).backward()
    optimizer.step()
module.eval()

# %% Over, and back
net = convert.from_torch(module, (32, 32, 3))
print(net.summary())
back = convert.to_torch(net)
mine, theirs = list(module.state_dict().values()), list(back.state_dict().values())
mine = [t for t in mine if t.is_floating_point()]
theirs = [t for t in theirs if t.is_floating_point()]
same = len(mine) == len(theirs) and all(torch.equal(a, b) for a, b in zip(mine, theirs))
print(f"{len(mine)} tensors of weights and statistics there and back: {'the same bits' if same else 'DIFFERENT'}")
assert same

# %% Do they answer alike?
x = torch.randn(256 if args.quick else 1024, 3, 32, 32)
with torch.no_grad():
    expected = module(x).numpy()
    exact = module.double()(x.double()).numpy()
    module.float()
with isobit.no_grad():
    nhwc = isobit.from_dlpack(x.contiguous(memory_format=torch.channels_last), layout="nchw")  # a view: nothing is copied
    got = net(nhwc).numpy()
own, ours, between = np.abs(expected - exact), np.abs(got - exact), np.abs(got - expected)
print(f"largest output {np.abs(exact).max():.3g}; from f64: PyTorch {own.max():.2g}, isobit {ours.max():.2g}; "
      f"from each other {between.max():.2g}; the same class for {np.mean(got.argmax(1) == expected.argmax(1)):.2%}")
assert between.max() < 1e-4 * np.abs(exact).max()

figure, axis = plt.subplots(figsize=(9, 4.2))
bins = np.logspace(-10, -6, 41)
for values, label, style in [(own, "PyTorch's f32 and its f64", "-"), (ours, "isobit's f32 and PyTorch's f64", "--"),
                             (between, "isobit and PyTorch, both f32", ":")]:
    axis.hist(np.maximum(values.ravel(), 1e-10), bins, histtype="step", linestyle=style, linewidth=2, label=label)
axis.set(xscale="log", xlabel="difference of an output (leftmost: none)", ylabel=f"of {expected.size} outputs")
axis.legend(frameon=False, loc="upper right")
save(figure, args, "08_differences.png")
