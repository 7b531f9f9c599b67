#!/usr/bin/env python3
"""Computes tests/conformance/data/border.txt with NumPy and SciPy: padding modes as others define them. Run it where
both are installed; the data are committed.

  pad MODE N BEFORE AFTER: I...      the element that each place of numpy.pad shows, -1 where it shows the constant
  correlate MODE R S: Y...           scipy.ndimage.correlate of the image 1, 2, 3, ... (5 x 6) with the filter 1, 2, ...
                                     (R x S) less its middle value, outside by MODE; with constant, 2 stands outside
"""
import os

import numpy
import scipy.ndimage

NUMPY = {"constant": "constant", "reflect": "reflect", "symmetric": "symmetric", "replicate": "edge", "circular": "wrap"}
SCIPY = {"constant": "constant", "reflect": "mirror", "symmetric": "reflect", "replicate": "nearest", "circular": "wrap"}
PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "conformance", "data", "border.txt")

lines = []
for mode, name in NUMPY.items():
    for n in range(1, 7):
        for before in range(8):
            after = (3 * before + n) % 8
            options = {"constant_values": -1} if mode == "constant" else {}
            shown = numpy.pad(numpy.arange(n), (before, after), name, **options)
            lines.append(f"pad {mode} {n} {before} {after}: " + " ".join(str(i) for i in shown))
for mode, name in SCIPY.items():
    for rows, columns in [(1, 1), (3, 3), (5, 3), (1, 5), (3, 7)]:
        image = numpy.arange(1.0, 31.0).reshape(5, 6)
        window = numpy.arange(1.0, rows * columns + 1).reshape(rows, columns) - (rows * columns) // 2
        y = scipy.ndimage.correlate(image, window, mode=name, cval=2.0)
        lines.append(f"correlate {mode} {rows} {columns}: " + " ".join(f"{v:.0f}" for v in y.ravel()))
with open(PATH, "w", encoding="ascii") as file:
    file.write("# NumPy %s, SciPy %s: scripts/make_border_data.py\n" % (numpy.__version__, scipy.__version__))
    file.write("\n".join(lines) + "\n")
