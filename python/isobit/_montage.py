"""Pictures side by side."""

import math

from isobit import _core


def montage(images, columns=None, gap=1):
    """[n, h, w, c] as one picture: rows of `columns` (about as many as rows, unless given), `gap` pixels between."""
    n, _, _, c = images.shape
    columns = columns or min(n, max(1, math.ceil(math.sqrt(n))))
    rows = math.ceil(n / columns)
    x = _core.pad(images, [(0, rows * columns - n), (0, gap), (0, gap), (0, 0)])
    h, w = x.shape[1:3]
    x = _core.permute(x.reshape(rows, columns, h, w, c), (0, 2, 1, 3, 4))
    return x.reshape(rows * h, columns * w, c)[: rows * h - gap, : columns * w - gap]
