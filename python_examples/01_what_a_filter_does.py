"""01. What a filter does.

A filter is a small matrix of weights. It is laid over the picture at every position; the weights are multiplied with the
pixels under them and the products are added: that is one pixel of the feature map. The same nine numbers, used everywhere,
decide what the map shows:

- identity: 1 in the middle, 0 around it. Every pixel stays what it was.
- edge filters: weights that add up to 0. Where the picture is even the products cancel; where it changes they do not.
- sharpen: the identity plus an edge filter. Changes become larger.
- box blur: nine times 1/9, the mean of the neighbourhood. Gaussian blur weighs what is near more.

Networks learn such filters by themselves (example 04). What lies outside of the picture is mirrored here
(mode="reflect"); example 03 shows the other ways.
"""

import matplotlib.pyplot as plt
import numpy as np

import isobit
from common import arguments, bare, photo, save, show_signed

args = arguments(__doc__, ("--data", {"metavar": "DIR", "help": "take the seven from MNIST's four IDX files here"}))

# %% Seven filters of three rows and three columns
FILTERS = {
    "identity": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
    "edges, diagonal": [[1, 0, -1], [0, 0, 0], [-1, 0, 1]],
    "edges, four neighbours": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    "edges, eight neighbours": [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
    "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    "box blur": np.full((3, 3), 1 / 9),
    "Gaussian blur": np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16,
}


def apply(image, weights):
    """image [h, w, c] in, the map of the same size out: each channel goes through the filter by itself."""
    channels = image.shape[2]
    x = isobit.tensor(np.ascontiguousarray(image)[None], device=args.device)  # [1, h, w, c]
    w = np.repeat(np.asarray(weights, np.float32)[:, :, None, None], channels, axis=3)  # [r, s, 1, c]: a group each
    y = isobit.conv(x, isobit.tensor(w, device=args.device), padding="same", groups=channels, mode="reflect")
    return y.to("cpu").numpy()[0]


# %% The photo through each of them
image = photo()
if args.quick:
    image = image[::2, ::2]
figure, axes = plt.subplots(2, 4, figsize=(12, 6.6))
axes[0, 0].imshow(image)
axes[0, 0].set_title("the photo")
for axis, (name, weights) in zip(axes.flat[1:], FILTERS.items()):
    if abs(np.sum(weights) - 1) < 1e-6:  # keeps the brightness: still a picture
        axis.imshow(np.clip(apply(image, weights), 0, 1))
    else:  # positive and negative: blue below 0, orange above
        response = apply(image.mean(axis=2, keepdims=True), weights)[:, :, 0]
        show_signed(axis, response, np.quantile(np.abs(response), 0.995))
    axis.set_title(name)
bare(axes)
save(figure, args, "01_photo.png")


# %% Four edge filters on a handwritten seven
def drawn_seven(size=28):
    """A seven of three strokes, drawn with a soft pen."""
    rows, columns = np.mgrid[0:size, 0:size]
    strokes = [((6, 6), (6, 21)), ((6, 21), (13, 16)), ((13, 16), (23, 12))]
    distance = np.full((size, size), np.inf)
    for (r0, c0), (r1, c1) in strokes:
        along = np.clip(((rows - r0) * (r1 - r0) + (columns - c0) * (c1 - c0)) / ((r1 - r0) ** 2 + (c1 - c0) ** 2), 0, 1)
        distance = np.minimum(distance, np.hypot(rows - r0 - along * (r1 - r0), columns - c0 - along * (c1 - c0)))
    return np.clip(2.0 - distance, 0, 1).astype(np.float32)


def seven():
    if not args.data:
        return drawn_seven()
    test = isobit.data.load(args.data).test
    first = int(np.argmax(test.labels.numpy() == 7))
    return test.images[first].numpy()[:, :, 0].astype(np.float32) / 255


EDGES = {
    "tops": [[-1, -1, -1], [1, 1, 1], [0, 0, 0]],
    "left sides": [[-1, 1, 0], [-1, 1, 0], [-1, 1, 0]],
    "bottoms": [[0, 0, 0], [1, 1, 1], [-1, -1, -1]],
    "right sides": [[0, 1, -1], [0, 1, -1], [0, 1, -1]],
}
digit = seven()
figure, axes = plt.subplots(2, 5, figsize=(12, 5.2))
axes[0, 0].set_visible(False)
axes[1, 0].imshow(digit, cmap="gray")
axes[1, 0].set_title("a seven")
for i, (name, weights) in enumerate(EDGES.items(), start=1):
    show_signed(axes[0, i], weights)
    axes[0, i].set_title(f"filter for {name}")
    for (r, c), weight in np.ndenumerate(np.array(weights)):
        axes[0, i].text(c, r, f"{weight}", ha="center", va="center", color="white" if weight else "black")
    show_signed(axes[1, i], apply(digit[:, :, None], weights)[:, :, 0])
    axes[1, i].set_title("its map")
bare(axes)
save(figure, args, "01_seven.png")
