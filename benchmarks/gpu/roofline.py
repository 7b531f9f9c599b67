"""The least time that a convolution can take on a chip: its multiply-adds at the peak of the data sheet, or its bytes."""
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Chip:
    name: str
    arch: int
    tflops: float  # f32, without the tensor cores
    gbs: float  # of its memory


# NVIDIA's data sheets: "A100 80GB SXM" (19.5 TFLOPS, 2,039 GB/s), "H100 SXM" (67 TFLOPS, 3.35 TB/s), and the Ada GPU
# architecture's white paper, "GeForce RTX 4090" (82.6 TFLOPS, 1008 GB/s).
CHIPS = (Chip("A100", 80, 19.5, 2039), Chip("H100", 90, 67.0, 3350), Chip("RTX 4090", 89, 82.6, 1008))


@dataclass(frozen=True)
class Shape:
    name: str
    flops: int
    bytes: int  # every tensor of f32 once

    @property
    def intensity(self):
        return self.flops / self.bytes

    def seconds(self, chip, share=1.0):
        """`share`: of the issue slots that are multiply-adds."""
        return max(self.flops / (chip.tflops * 1e12 * share), self.bytes / (chip.gbs * 1e9))

    def bound(self, chip, share=1.0):
        return "arithmetic" if self.flops / (chip.tflops * 1e12 * share) >= self.bytes / (chip.gbs * 1e9) else "memory"


def shape_of(line):
    """A line of a shape file (docs/verify.md) of two-dimensional convolutions; None of a comment."""
    line = re.sub(r"#.*", "", line).strip()
    if not line:
        return None
    text = line.removeprefix("transposed ")
    name = re.search(r'n"([^"]*)"', text)
    value = {key: int(number) for key, number in re.findall(r"([a-z]+)(-?\d+)", re.sub(r'n"[^"]*"', "", text))}

    def extent(axis):
        def get(key, default):
            return value.get(f"{key}{axis}", value.get(f"{key}h", default))

        size, taps, stride, dilation, before = get("i", 1), get("k", 1), get("s", 1), get("d", 0) + 1, get("p", 0)
        after = value.get(f"p{axis}r", value.get("phr", before))
        out = (size + before + after - (taps - 1) * dilation - 1) // stride + 1
        return size, taps, out

    batch, groups, c, k = value.get("mb", 1), value.get("g", 1), value.get("ic", 0), value.get("oc", 0)
    (h, r, p), (w, s, q) = extent("h"), extent("w")
    flops = 2 * batch * p * q * k * r * s * c // groups
    elements = batch * h * w * c + r * s * c * k // groups + batch * p * q * k
    label = name.group(1) if name else line
    return Shape(f"{'transposed ' if line.startswith('transposed ') else ''}{label}, batch {batch}", flops, 4 * elements)


def shapes_in(path):
    return [shape for line in path.read_text().splitlines() if (shape := shape_of(line)) is not None]
