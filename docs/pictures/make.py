#!/usr/bin/env python3
"""Draws the pictures of docs/first-steps.md as SVG, beside itself. Only the standard library.

  python3 docs/pictures/make.py
"""
from pathlib import Path

INK, PALE, BLUE, ORANGE, GREEN, PAPER = "#222222", "#f2f2f2", "#9ecae9", "#ffbf79", "#b7e0a5", "#ffffff"


class Picture:
    def __init__(self, width, height):
        self.size = (width, height)
        self.parts = [f'<rect x="0" y="0" width="{width}" height="{height}" fill="{PAPER}"/>']

    def box(self, x, y, w, h, fill=PAPER, stroke=INK, width=1.0):
        self.parts.append(f'<rect x="{x}" y="{y}" width="{w}" height="{h}" fill="{fill}" stroke="{stroke}" '
                          f'stroke-width="{width}"/>')

    def shape(self, points, fill):
        path = " ".join(f"{x},{y}" for x, y in points)
        self.parts.append(f'<polygon points="{path}" fill="{fill}" stroke="{INK}" stroke-width="1"/>')

    def text(self, x, y, words, size=16, anchor="middle", colour=INK):
        self.parts.append(f'<text x="{x}" y="{y}" font-family="DejaVu Sans, Helvetica, sans-serif" font-size="{size}" '
                          f'fill="{colour}" text-anchor="{anchor}">{words}</text>')

    def line(self, x1, y1, x2, y2, colour=INK, width=1.2, dashes=""):
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self.parts.append(f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}" '
                          f'stroke-width="{width}"{dashed}/>')

    def arrow(self, x1, x2, y):
        self.line(x1, y, x2 - 8, y, width=2)
        self.shape([(x2, y), (x2 - 10, y - 5), (x2 - 10, y + 5)], INK)

    def grid(self, x, y, cell, rows, fill=lambda r, c: PAPER, size=16):
        for r, row in enumerate(rows):
            for c, value in enumerate(row):
                self.box(x + c * cell, y + r * cell, cell, cell, fill(r, c))
                self.text(x + (c + 0.5) * cell, y + (r + 0.5) * cell + size * 0.36, value, size)

    def block(self, x, y, w, h, depth, fill):
        """A box in perspective; (x, y) is the front face's top left."""
        d = depth
        self.shape([(x, y), (x + d, y - d), (x + w + d, y - d), (x + w, y)], fill)
        self.shape([(x + w, y), (x + w + d, y - d), (x + w + d, y + h - d), (x + w, y + h)], fill)
        self.shape([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], fill)

    def save(self, name):
        w, h = self.size
        body = "\n".join(self.parts)
        text = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}">\n{body}\n</svg>\n'
        (Path(__file__).parent / name).write_text(text)


IMAGE = ["11100", "01110", "00111", "00110", "01100"]
FILTER = ["101", "010", "101"]


def correlate(image, kernel):
    n, k = len(image), len(kernel)
    return [[sum(int(image[i + r][j + s]) * int(kernel[r][s]) for r in range(k) for s in range(k))
             for j in range(n - k + 1)] for i in range(n - k + 1)]


def sliding_filter():
    result = correlate(IMAGE, FILTER)
    assert result == [[4, 3, 4], [2, 4, 3], [2, 3, 4]]
    p = Picture(760, 300)
    cell, top = 40, 60
    i, j = 1, 2  # where the filter stands in the picture

    def under(r, c):
        if not (i <= r < i + 3 and j <= c < j + 3):
            return PALE if IMAGE[r][c] == "1" else PAPER
        return ORANGE if FILTER[r - i][c - j] == "1" else BLUE

    p.text(120, 40, "image 5 x 5")
    p.grid(20, top, cell, IMAGE, under)
    p.text(355, 40, "filter 3 x 3")
    p.grid(295, top, cell, FILTER, lambda r, c: ORANGE if FILTER[r][c] == "1" else BLUE)
    p.text(620, 40, "feature map 3 x 3")
    p.grid(560, top, cell, [[str(v) for v in row] for row in result], lambda r, c: GREEN if (r, c) == (i, j) else PAPER)
    p.arrow(440, 540, top + 60)
    p.text(490, top + 50, "row 1,", 13)
    p.text(490, top + 82, "column 2", 13)
    terms = " + ".join(f"{IMAGE[i + r][j + s]}*{FILTER[r][s]}" for r in range(3) for s in range(3))
    p.text(380, 290, f"{terms} = {result[i][j]}", 15)
    p.save("sliding-filter.svg")


def volumes():
    p = Picture(760, 300)
    p.block(40, 90, 150, 150, 24, BLUE)
    p.block(62, 120, 34, 34, 24, ORANGE)
    p.text(115, 270, "input 32 x 32 x 3")
    for n in range(10):
        p.block(300 + 26 * (n % 5), 110 + 70 * (n // 5), 18, 18, 10, ORANGE)
    p.text(370, 270, "ten filters 5 x 5 x 3")
    p.block(540, 100, 132, 132, 60, GREEN)
    for n in range(1, 10):
        d = 6 * n
        p.line(540 + d, 100 - d, 672 + d, 100 - d, width=0.6)
        p.line(672 + d, 100 - d, 672 + d, 232 - d, width=0.6)
    p.box(575, 128, 8, 8, ORANGE)
    p.line(96, 120, 575, 128, colour="#888888", dashes="4 4")
    p.line(96, 154, 575, 136, colour="#888888", dashes="4 4")
    p.text(620, 270, "output 28 x 28 x 10")
    p.save("volumes.svg")


def padding():
    p = Picture(760, 320)
    cell, top = 34, 50
    n = len(IMAGE)
    padded = ["0" * (n + 2)] + ["0" + row + "0" for row in IMAGE] + ["0" * (n + 2)]
    result = correlate(padded, FILTER)

    def fill(r, c):
        if r < 3 and c < 3:
            return ORANGE if FILTER[r][c] == "1" else BLUE
        return PALE if r in (0, n + 1) or c in (0, n + 1) else PAPER

    p.text(20 + 3.5 * cell, 34, "image 5 x 5 in a ring of zeros")
    p.grid(20, top, cell, padded, fill)
    p.arrow(300, 400, top + 3.5 * cell)
    p.text(350, top + 3.5 * cell - 12, "filter 3 x 3", 14)
    p.text(440 + 2.5 * cell, 34 + cell, "feature map 5 x 5")
    p.grid(440, top + cell, cell, [[str(v) for v in row] for row in result],
           lambda r, c: GREEN if (r, c) == (0, 0) else PAPER)
    p.text(380, 310, "a ring of (k - 1) / 2 zeros keeps the shape for k = 1, 3, 5, 7", 15)
    p.save("padding.svg")


def taps():
    p = Picture(760, 280)
    cell, top = 24, 50
    for left, name, stride, dilation in [(20, "stride 1", 1, 1), (270, "stride 2", 2, 1), (520, "dilation 2", 1, 2)]:
        first = {(r * dilation, c * dilation) for r in range(3) for c in range(3)}
        second = {(r, c + stride) for r, c in first}

        def fill(r, c):
            here = (r, c) in first, (r, c) in second
            return {(True, True): GREEN, (True, False): ORANGE, (False, True): BLUE, (False, False): PAPER}[here]

        p.text(left + 3.5 * cell, 34, name)
        p.grid(left, top, cell, [[""] * 7 for _ in range(7)], fill)
    p.text(380, 266, "a 3 x 3 filter: its taps for the first output, for the second, and for both", 15)
    p.box(100, 226, 12, 12, ORANGE)
    p.text(118, 237, "first", 13, "start")
    p.box(330, 226, 12, 12, BLUE)
    p.text(348, 237, "second", 13, "start")
    p.box(580, 226, 12, 12, GREEN)
    p.text(598, 237, "both", 13, "start")
    p.save("stride-dilation.svg")


def main():
    sliding_filter()
    volumes()
    padding()
    taps()


main()
