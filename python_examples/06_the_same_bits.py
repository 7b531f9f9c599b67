"""06. The same bits.

Floating-point sums depend on the order of their terms. Most libraries let the device, the number of threads or the moment
decide that order, so two runs of one training end in weights that differ, at first in the last bit, soon in all of them.
isobit fixes the order of every sum (docs/numerics.md): the same network, trained twice, ends in the same bits, on one thread
or many, on the CPU or on a GPU.

The script trains a small network several times: with one thread, with several, and on every other device that is here (a GPU;
simt, which executes the CUDA kernels on the CPU). Where PyTorch is installed the same network is trained
there too, with one thread and with several. Every run prints a digest of its weights; the figure shows by how much the
weights of two runs differ after each step. What PyTorch's two runs do depends on the machine and on its version: the figure
shows what they did here.
"""

import hashlib
import os

import matplotlib.pyplot as plt
import numpy as np

import isobit
from common import COLOURS, DATA_OPTION, arguments, fashion_mnist, save
from isobit import data, nn, optim

args = arguments(__doc__, DATA_OPTION)
train, _ = fashion_mnist(args)
steps = 20 if args.quick else 40
batches = list(data.Batches(train.take(64 * steps), 64, seed=1))
several = max(2, os.cpu_count() or 2)


# %% isobit
def isobit_run(device, threads):
    isobit.set_threads(threads)
    net = nn.Sequential(
        nn.Conv2D(8, 5, padding="same"), nn.ReLU(), nn.MaxPool2D(2),
        nn.Conv2D(16, 5, padding="same"), nn.ReLU(), nn.MaxPool2D(2), nn.Flatten(), nn.Linear(10),
    )
    net.build((28, 28, 1), device=device, seed=1)
    sgd = optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    history = []
    for images, labels in batches:
        net.zero_grad()
        isobit.cross_entropy(net(images.to(device)), labels.to(device)).backward()
        sgd.step()
        history.append({name: t.detach().to("cpu").clone().numpy() for name, t in net.named_parameters().items()})
    return history, net.digest()


runs = {"1 thread": isobit_run("cpu", 1), f"{several} threads": isobit_run("cpu", several)}
here = {info.name for info in isobit.devices()}
for device in sorted(({"cuda", "simt"} & here | {args.device}) - {"cpu"}):
    runs[device] = isobit_run(device, several)
first, digest = runs["1 thread"]
for name, (_, own) in runs.items():
    print(f"isobit, {name:<12} {own[:32]}  {'the same' if own == digest else 'DIFFERENT'}")
assert all(own == digest for _, own in runs.values()), "isobit's runs differ"


# %% PyTorch, the same network from the same weights
def torch_run(threads):
    import torch

    torch.set_num_threads(threads)
    start = {name: torch.from_numpy(value.copy()) for name, value in start_weights().items()}
    layers = [torch.nn.Conv2d(1, 8, 5, padding=2), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
              torch.nn.Conv2d(8, 16, 5, padding=2), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(),
              torch.nn.Linear(784, 10)]
    net = torch.nn.Sequential(*layers)
    with torch.no_grad():
        for i in (0, 3):
            layers[i].weight.copy_(start[f"{i}.weight"].permute(3, 2, 0, 1))
            layers[i].bias.copy_(start[f"{i}.bias"])
        layers[7].weight.copy_(start["7.weight"].T)
        layers[7].bias.copy_(start["7.bias"])
    sgd = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    history = []
    for images, labels in batches:
        x = torch.from_numpy(images.numpy().copy()).permute(0, 3, 1, 2)
        sgd.zero_grad()
        torch.nn.functional.cross_entropy(net(x), torch.from_numpy(labels.numpy().copy())).backward()
        sgd.step()
        history.append({name: p.detach().numpy().copy() for name, p in net.named_parameters()})
    digest = hashlib.sha256(b"".join(value.tobytes() for value in history[-1].values())).hexdigest()
    return history, digest


def start_weights():
    net = nn.Sequential(
        nn.Conv2D(8, 5, padding="same"), nn.ReLU(), nn.MaxPool2D(2),
        nn.Conv2D(16, 5, padding="same"), nn.ReLU(), nn.MaxPool2D(2), nn.Flatten(), nn.Linear(10),
    )
    net.build((28, 28, 1), seed=1)
    return {name: t.detach().numpy() for name, t in net.named_parameters().items()}


torch_runs = {}
try:
    import torch

    torch_runs = {"1 thread": torch_run(1), f"{several} threads": torch_run(several)}
    for name, (_, own) in torch_runs.items():
        same = own == torch_runs["1 thread"][1]
        print(f"PyTorch {torch.__version__}, {name:<12} {own[:32]}  {'the same' if same else 'different'}")
except ImportError:
    print("PyTorch is not installed: its runs are left out")


# %% How far apart
def distance(a, b):
    """The largest difference of two weights, after each step."""
    return [max(float(np.abs(x[name] - y[name]).max()) for name in x) for x, y in zip(a, b)]


figure, axis = plt.subplots(figsize=(9, 4.6))
colour = iter(COLOURS)
width = iter([7, 3, 1.5])  # they lie on each other
for name, (history, _) in runs.items():
    if name != "1 thread":
        axis.plot(range(1, steps + 1), distance(first, history), linewidth=next(width), color=next(colour),
                  label=f"isobit, 1 thread and {name}")
for name, (history, _) in torch_runs.items():
    if name != "1 thread":
        axis.plot(range(1, steps + 1), distance(torch_runs["1 thread"][0], history), "--", color=next(colour),
                  label=f"PyTorch, 1 thread and {name}")
axis.set_yscale("symlog", linthresh=1e-9)
axis.set(xlabel="training step", ylabel="largest difference of a weight", ylim=(-5e-10, 1))
axis.xaxis.set_major_locator(plt.MaxNLocator(integer=True))
axis.legend(frameon=False, loc="upper left")
save(figure, args, "06_two_runs.png")
