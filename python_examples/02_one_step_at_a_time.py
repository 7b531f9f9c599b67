"""02. One step at a time.

A 5x5 picture of ones and zeros and a 3x3 filter: small enough to follow every product. The filter fits into nine places.
At each of them nine weights meet nine pixels; the products that are not 0 are added up, and the sum is one number of the
3x3 feature map:

    picture        filter     feature map
    1 1 1 0 0
    0 1 1 1 0      1 0 1      4 3 4
    0 0 1 1 1      0 1 0      2 4 3
    0 0 1 1 0      1 0 1      2 3 4
    0 1 1 0 0

The script writes the walk as an animation (02_steps.gif) and as nine pictures beside each other. What is drawn is what
isobit.conv computes; the sums of the products are checked against it at every step.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.patches import Rectangle

import isobit
from common import COLOURS, arguments, save

args = arguments(__doc__)

# %% The picture, the filter, and what isobit says
PICTURE = np.array([[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]], np.float32)
FILTER = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]], np.float32)

x = isobit.tensor(PICTURE.reshape(1, 5, 5, 1), device=args.device)  # [sample, row, column, channel]
w = isobit.tensor(FILTER.reshape(3, 3, 1, 1), device=args.device)  # [row, column, input channel, filter]
MAP = isobit.conv(x, w).to("cpu").numpy()[0, :, :, 0]
print(MAP)


# %% One step: where the window lies, which products are not 0, how far the map is
def grid(axis, values, size, shade=None, known=None):
    """Numbers in squares; `shade` colours some of them, `known` says which are shown."""
    for (r, c), value in np.ndenumerate(values):
        colour = "white" if shade is None else shade[r][c]
        axis.add_patch(Rectangle((c, r), 1, 1, facecolor=colour, edgecolor="0.6"))
        if known is None or known[r][c]:
            axis.text(c + 0.5, r + 0.5, f"{value:g}", ha="center", va="center", fontsize=size)
    axis.set(xlim=(-0.1, values.shape[1] + 0.1), ylim=(values.shape[0] + 0.1, -0.1), aspect="equal")
    axis.axis("off")


def draw_step(picture_axis, map_axis, step, size=13):
    p, q = divmod(step, 3)
    window = PICTURE[p : p + 3, q : q + 3]
    total = (window * FILTER).sum()
    assert total == MAP[p, q], "the drawing and the library disagree"
    shade = [["white"] * 5 for _ in range(5)]
    for r in range(3):
        for c in range(3):
            shade[p + r][q + c] = "#fdd9a8" if window[r, c] * FILTER[r, c] else "#dce9f5"
    grid(picture_axis, PICTURE, size, shade)
    for r in range(3):  # the filter's weights, small, in the corners
        for c in range(3):
            picture_axis.text(q + c + 0.94, p + r + 0.92, f"x{FILTER[r, c]:g}", ha="right", va="bottom",
                              fontsize=size * 0.55, color=COLOURS[1])
    picture_axis.add_patch(Rectangle((q, p), 3, 3, fill=False, edgecolor=COLOURS[0], linewidth=3))
    known = np.arange(9).reshape(3, 3) <= step
    shade = [["#fdd9a8" if (r, c) == (p, q) else "white" for c in range(3)] for r in range(3)]
    grid(map_axis, MAP, size, shade, known)
    return total


# %% All nine steps
figure, axes = plt.subplots(3, 6, figsize=(12, 6.6), width_ratios=[5, 3] * 3)
for step in range(9):
    p, q = divmod(step, 3)
    total = draw_step(axes[p, 2 * q], axes[p, 2 * q + 1], step, 9)
    axes[p, 2 * q].set_title(f"step {step + 1}: the sum is {total:g}", fontsize=10)
save(figure, args, "02_steps.png")

# %% The same, moving
figure, (left, right) = plt.subplots(1, 2, figsize=(7, 4.2), width_ratios=[5, 3])


def frame(step):
    left.clear()
    right.clear()
    total = draw_step(left, right, step)
    left.set_title("picture and window")
    right.set_title(f"feature map: {total:g}")


animation = FuncAnimation(figure, frame, frames=9)
path = Path(args.out) / "02_steps.gif"
animation.save(path, writer=PillowWriter(fps=1), dpi=60 if args.quick else 80)
plt.close(figure)
print(f"wrote {path}")
