"""07. Where do they differ, and why?

Two libraries, or two devices, compute the same convolution and the numbers differ. Is that an error? Looking at the largest
difference does not tell. isobit.compare.judge derives, for every element, how far any order of summation may lie from the
exact value, and gives a verdict:

- bit-equal: the same bits;
- reordered: within that bound: an honest result in another order;
- lower precision: beyond it, but as operands rounded to tf32, bf16 or f16 would give;
- wrong: beyond it; then it tries the faults that people make, a flipped filter, padding on the wrong side, a dilation that
  is forgotten, and names the one that gives these numbers, and where on the map they lie.

Here one convolution is computed in six ways: by isobit, by a plain sum in another order, with operands rounded to tf32 (what
GPUs do when nobody forbids it), in isobit's fast mode (the tensor cores of a GPU, or of simt, their model), with the filter
flipped, and with a border that repeats its pixels instead of zeros. The figure shows the share of the bound that each
position uses: at most 1 where the result is honest.
"""

import textwrap

import matplotlib.pyplot as plt
import numpy as np

import isobit
from common import arguments, bare, save

args = arguments(__doc__)

# %% One convolution, six ways
size = 12 if args.quick else 24
x = isobit.random_normal((2, size, size, 8), isobit.random_key(7, "x"))
w = isobit.random_normal((3, 3, 8, 16), isobit.random_key(7, "w"))


def other_order(x, w):
    """The same terms, channels first, by NumPy's matrix product."""
    padded = np.pad(x.numpy(), [(0, 0), (1, 1), (1, 1), (0, 0)])
    y = np.zeros((*x.shape[:3], w.shape[3]), np.float32)
    for r in reversed(range(3)):
        for s in reversed(range(3)):
            y += padded[:, r : r + size, s : s + size] @ w.numpy()[r, s]
    return isobit.tensor(y)


conv = lambda x, w, **options: isobit.conv(x, w, padding=1, **options)  # noqa: E731
tf32 = isobit.compare.round_operands
tensor_cores = args.device if args.device != "cpu" else "simt"  # the CPU computes every arithmetic exactly
results = {
    f"isobit on {args.device}": conv(x.to(args.device), w.to(args.device)).to("cpu"),
    "another order": other_order(x, w),
    "tf32 operands": conv(tf32(x, "tf32"), tf32(w, "tf32")),
    f"fast mode on {tensor_cores}": conv(x.to(tensor_cores), w.to(tensor_cores), math="fast").to("cpu"),
    "filter flipped": conv(x, w, flip=True),
    "another border": conv(x, w, mode="replicate"),
}

# %% What the judge says
figure, axes = plt.subplots(2, 3, figsize=(10, 7))
for axis, (name, got) in zip(axes.flat, results.items()):
    judgement = isobit.compare.judge("conv", got, x, w, padding=1)
    print(f"--- {name}\n{str(judgement).rstrip()}\n")
    shares = judgement.map.numpy() if judgement.map is not None else np.zeros((size, size))
    image = axis.imshow(np.log10(np.maximum(shares, 1e-4)), vmin=-4, vmax=4)
    why = "\n".join(textwrap.wrap(judgement.explanation or judgement.where or "", 30))
    axis.set_title(f"{name}:\n{judgement.verdict}\n{why}", fontsize=10)
bare(axes)
bar = figure.colorbar(image, ax=axes, shrink=0.8, ticks=[-4, -2, 0, 2, 4])
bar.ax.set_yticklabels(["0.0001", "0.01", "1: the bound", "100", "10000"])
save(figure, args, "07_where.png")
