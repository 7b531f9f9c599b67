"""03. Six ways to treat the border.

At the border a filter reaches beyond the picture. What is out there? Six answers:

- none ("valid"): the filter stays inside, the map becomes smaller;
- constant: a number, mostly 0. Dark rims appear;
- reflect: the picture mirrored at the middle of its edge pixels (these are not repeated);
- symmetric: mirrored at the edge itself, so that the edge pixels are there twice;
- replicate: the edge pixel again and again;
- circular: the other end, as on a globe.

Whatever the answer, the gradient follows it back: an edge pixel that was read three times more gets its share three times
more. The second figure shows how often each pixel of a 7x7 picture is read by a 5x5 filter; these counts ARE the gradient
of the sum of the map.
"""

import matplotlib.pyplot as plt
import numpy as np

import isobit
from common import arguments, bare, photo, save

args = arguments(__doc__)
MODES = ["constant", "reflect", "symmetric", "replicate", "circular"]

# %% Values: the padded corner of a photo, and a row of numbers
image = photo()[20:100, 20:100]
width = 40
figure, axes = plt.subplots(2, 3, figsize=(10, 7.2))
for axis, mode in zip(axes.flat, ["none"] + MODES):
    x = isobit.tensor(np.ascontiguousarray(image))
    line = isobit.arange(4, 1)  # 1 2 3 4
    if mode == "none":
        padded, numbers = x, "1 2 3 4"
    else:
        padded = isobit.pad(x, [(width, width), (width, width), (0, 0)], mode)
        row = isobit.pad(line, [(3, 3)], mode).numpy()
        text = [f"{v:g}" for v in row]
        numbers = " ".join(text[:3]) + " | " + " ".join(text[3:7]) + " | " + " ".join(text[7:])
    shown = padded.numpy()
    axis.imshow(shown)
    axis.set_title(f"{mode}\n{numbers}")
    if mode != "none":
        axis.add_patch(plt.Rectangle((width - 0.5, width - 0.5), 80, 80, fill=False, edgecolor="white", linewidth=1.5))
bare(axes)
save(figure, args, "03_values.png")

# %% Gradients: how often each pixel is read
size, kernel = 7, 5
figure, axes = plt.subplots(2, 3, figsize=(10, 7.6))
for axis, mode in zip(axes.flat, ["none"] + MODES):
    x = isobit.ones((1, size, size, 1), device=args.device).set_requires_grad()
    w = isobit.ones((kernel, kernel, 1, 1), device=args.device)
    if mode == "none":
        y = isobit.conv(x, w)
    else:
        y = isobit.conv(x, w, padding="same", mode=mode)
    isobit.sum(y).backward()
    reads = x.grad.to("cpu").numpy()[0, :, :, 0]
    axis.imshow(reads, vmin=0, vmax=36)
    for (r, c), count in np.ndenumerate(reads):
        axis.text(c, r, f"{count:.0f}", ha="center", va="center", color="white" if count < 25 else "black", fontsize=9)
    axis.set_title(f"{mode}: {y.shape[1]}x{y.shape[2]} outputs,\n{reads.sum():.0f} reads")
bare(axes)
save(figure, args, "03_gradients.png")

# %% And what it does to a map: a wide blur, near the border
image = photo()[:96, :96]
box = np.repeat(np.full((25, 25, 1, 1), 1 / 625, np.float32), 3, axis=3)
figure, axes = plt.subplots(2, 3, figsize=(10, 7))
for axis, mode in zip(axes.flat, ["the picture"] + MODES):
    if mode == "the picture":
        shown = image
    else:
        x = isobit.tensor(np.ascontiguousarray(image)[None], device=args.device)
        w = isobit.tensor(box, device=args.device)
        shown = isobit.conv(x, w, padding="same", groups=3, mode=mode).to("cpu").numpy()[0]
    axis.imshow(np.clip(shown, 0, 1))
    axis.set_title(mode if mode == "the picture" else f"blurred, {mode}")
bare(axes)
save(figure, args, "03_blurred.png")
