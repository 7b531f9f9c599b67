"""10. How fast, and how fast it could be.

A processor has two limits: how many multiply-adds it does a second (its peak) and how many bytes it moves (its bandwidth).
Which of them holds an op back depends on how many operations it does with each byte, its intensity. Drawn on paper: the
roof, a slope (bandwidth times intensity) that ends in a flat part (the peak). An op can touch the roof but not pass it.

Here the limits are measured, not looked up: the bandwidth by adding two long arrays, the peak as the most that anything in
this script reached, large matrix products above all. Then convolutions of different kinds are timed, each by the median of several runs, with the range
between the fastest and the slowest, after its result was compared with one computed in f64. (What fits into a cache moves
faster than memory: such an op may pass the slope.) NumPy's matrix product stands beside ours, and where PyTorch is installed
its convolution too, in the same process.

On the CPU everything runs on one thread and is timed by the processor time of that thread, which other programs disturb
least. On other devices it is the time that passes.

Times belong to a machine and a moment: the figures show yours. `isobit bench` measures more carefully (docs/benchmarks.md).
"""

import os
import statistics
import time

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # NumPy looks at them when it is imported

import matplotlib.pyplot as plt
import numpy as np

import isobit
from common import COLOURS, arguments, save

args = arguments(__doc__)
repeats = 5 if args.quick else 15
isobit.set_threads(1)
clock = time.thread_time if args.device == "cpu" else time.perf_counter
try:
    import torch

    torch.set_num_threads(1)
except ImportError:
    torch = None


def measure(call):
    """Median, least and most seconds of a call, on the device."""
    times = []
    call()
    for _ in range(repeats):
        begin = clock()
        call()
        times.append(clock() - begin)
    return statistics.median(times), min(times), max(times)


device = isobit.Device(args.device)


def on_device(call):
    def run():
        call()
        isobit.synchronize(device)

    return run


# %% The two limits
side = 768
a = isobit.random_normal((side, side), isobit.random_key(1, "a"), device=args.device)
b = isobit.random_normal((side, side), isobit.random_key(2, "b"), device=args.device)
product = isobit.matmul(a, b).to("cpu").numpy()
exact = a.to("cpu").numpy().astype(np.float64) @ b.to("cpu").numpy().astype(np.float64)
assert np.abs(product - exact).max() < 1e-3 * np.sqrt(side), "the product is wrong"
matmul = measure(on_device(lambda: isobit.matmul(a, b)))
numpy_a, numpy_b = a.to("cpu").numpy(), b.to("cpu").numpy()
numpy_matmul = measure(lambda: numpy_a @ numpy_b)
flops = 2 * side**3
long = isobit.zeros((2_000_000 if args.quick else 12_000_000,), device=args.device)
add = measure(on_device(lambda: isobit.add(long, long)))
bandwidth = 2 * long.nbytes / add[0]  # one array read, one written

# %% Convolutions
N = 4 if args.quick else 16
CASES = {  # name: (image side, channels, filters, kernel, groups)
    "3x3, 64 to 64": (28, 64, 64, 3, 1),
    "1x1, 64 to 64": (28, 64, 64, 1, 1),
    "5x5, 32 to 64": (14, 32, 64, 5, 1),
    "3x3, 1 to 32": (28, 1, 32, 3, 1),
    "depthwise 3x3": (28, 64, 64, 3, 64),
}
rows = []
for name, (size, c, k, r, groups) in CASES.items():
    x = isobit.random_normal((N, size, size, c), isobit.random_key(3, name), device=args.device)
    w = isobit.random_normal((r, r, c // groups, k), isobit.random_key(4, name), device=args.device)
    y = isobit.conv(x, w, padding="same", groups=groups)
    wide = isobit.conv(x.to("f64"), w.to("f64"), padding="same", groups=groups)
    error = np.abs(y.to("cpu").numpy() - wide.to("cpu").numpy()).max()
    terms = r * r * c // groups
    assert error <= 1e-5 * terms, f"{name}: error {error}"  # |x w| rarely exceeds 10; each of the terms rounds once
    ours = measure(on_device(lambda: isobit.conv(x, w, padding="same", groups=groups)))
    theirs = None
    if torch and args.device == "cpu":
        tx = torch.from_numpy(x.numpy().copy()).permute(0, 3, 1, 2)  # channels last in memory
        tw = torch.from_numpy(w.numpy().copy()).permute(3, 2, 0, 1)
        with torch.no_grad():
            ty = torch.nn.functional.conv2d(tx, tw, padding=r // 2, groups=groups).permute(0, 2, 3, 1).numpy()
            assert np.abs(ty - wide.numpy()).max() <= 1e-5 * terms, f"{name}: PyTorch's error"
            theirs = measure(lambda: torch.nn.functional.conv2d(tx, tw, padding=r // 2, groups=groups))
    work = 2 * y.numel() * terms
    moved = x.nbytes + w.nbytes + y.nbytes
    rows.append((name, work, moved, ours, theirs, error))
reached = [flops / matmul[0]] + [work / ours[0] for _, work, _, ours, _, _ in rows]
if args.device == "cpu":  # the others run there
    reached += [flops / numpy_matmul[0]] + [work / theirs[0] for _, work, _, _, theirs, _ in rows if theirs]
peak = max(reached)
print(f"peak {peak / 1e9:.0f} GFLOP/s, bandwidth {bandwidth / 1e9:.1f} GB/s")
for name, work, moved, ours, theirs, error in rows:
    limit = min(peak, bandwidth * work / moved)
    print(f"{name:<15} {work / ours[0] / 1e9:7.1f} GFLOP/s ({work / ours[2] / 1e9:.1f} to {work / ours[1] / 1e9:.1f}), "
          f"{work / ours[0] / limit:.0%} of the roof, largest error {error:.2g}"
          + (f", PyTorch {work / theirs[0] / 1e9:.1f} GFLOP/s" if theirs else ""))

# %% The roof
figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5))
intensity = np.logspace(-1, 3, 200)
left.loglog(intensity, np.minimum(peak, bandwidth * intensity) / 1e9, color="black")
left.annotate(f"peak, {peak / 1e9:.0f} GFLOP/s", (peak / bandwidth, peak / 1e9), (0, 6), textcoords="offset points")
left.annotate(f"bandwidth, {bandwidth / 1e9:.1f} GB/s", (0.12, bandwidth * 0.12 / 1e9), (8, -4), textcoords="offset points",
              rotation=0, va="top")
markers = "os^Dv"
for (name, work, moved, ours, _, _), marker in zip(rows, markers):
    left.plot(work / moved, work / ours[0] / 1e9, marker, color=COLOURS[0], markersize=9, label=name)
left.set(xlabel="operations for each byte", ylabel="GFLOP/s", ylim=(None, 1.6 * peak / 1e9), title=f"isobit under the roof, {args.device}")
left.legend(frameon=False, loc="lower right")

# %% Beside others
names = ["matrix product"] + [row[0] for row in rows]
ours = [(flops, matmul)] + [(row[1], row[3]) for row in rows]
theirs = [(flops, numpy_matmul)] + [(row[1], row[4]) for row in rows]
place = np.arange(len(names))
for entries, shift, colour, label in [(ours, 0.2, COLOURS[0], "isobit"), (theirs, -0.2, COLOURS[1], "NumPy (matrix product), PyTorch")]:
    known = [(p, work, t) for p, (work, t) in zip(place, entries) if t]
    if not known:
        continue
    median = np.array([work / t[0] for _, work, t in known]) / 1e9
    low = median - np.array([work / t[2] for _, work, t in known]) / 1e9
    high = np.array([work / t[1] for _, work, t in known]) / 1e9 - median
    right.barh([p + shift for p, _, _ in known], median, 0.36, xerr=[low, high], color=colour, label=label,
               error_kw={"elinewidth": 1})
right.axvline(peak / 1e9, color="black", linestyle=":", label="peak")
right.set_yticks(place, names)
right.invert_yaxis()
right.set(xlabel=f"GFLOP/s, median of {repeats}, the line from the slowest to the fastest", title="one thread" if args.device == "cpu" else args.device)
right.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3)
save(figure, args, "10_roofline.png")
