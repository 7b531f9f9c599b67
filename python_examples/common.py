"""What the examples share: their options, their colours, their pictures."""

import argparse
import os
import shlex
import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap

# Blue below 0, white at 0, orange above: told apart by every kind of colour vision (the program's own pictures use it).
SIGNED = LinearSegmentedColormap.from_list(
    "blue-orange",
    np.array([(10, 50, 110), (35, 100, 180), (105, 160, 215), (180, 208, 235), (247, 247, 247),
              (250, 203, 150), (228, 140, 50), (180, 85, 5), (115, 42, 0)]) / 255,
)
# Okabe and Ito's colours, for lines; black last.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]

plt.rcParams.update({
    "axes.prop_cycle": plt.cycler(color=COLOURS),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.constrained_layout.use": True,
    "image.cmap": "viridis",
    "savefig.dpi": 110,
})

DATA = "/usr/share/datasets/fashion-mnist"


def in_notebook():
    return "ipykernel" in sys.modules


def arguments(doc, *extra):
    """--device, --out, --quick, and more: ("--name", {keywords of add_argument}). A notebook takes them from the variable
    ISOBIT_EXAMPLES of its environment, else the defaults."""
    if not in_notebook():
        matplotlib.use("agg")
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="where to compute: cpu, cuda, simt")
    parser.add_argument("--out", default="out", metavar="DIR", help="the folder for the figures [out]")
    parser.add_argument("--quick", action="store_true", help="a small run, in seconds")
    for name, keywords in extra:
        parser.add_argument(name, **keywords)
    args = parser.parse_args(shlex.split(os.environ.get("ISOBIT_EXAMPLES", "")) if in_notebook() else None)
    Path(args.out).mkdir(parents=True, exist_ok=True)
    return args


def save(figure, args, name):
    """Writes the figure into --out, and shows it in a notebook."""
    path = Path(args.out) / name
    figure.savefig(path)
    print(f"wrote {path}")
    if in_notebook():
        from IPython.display import display

        display(figure)
    plt.close(figure)


def bare(axes):
    """No ticks and no frame: for pictures."""
    for axis in np.ravel(axes):
        axis.set(xticks=[], yticks=[])
        for spine in axis.spines.values():
            spine.set_visible(False)


def show_signed(axis, values, limit=None):
    """A matrix with 0 white, blue below and orange above."""
    values = np.asarray(values)
    limit = limit or max(np.abs(values).max(), 1e-12)
    return axis.imshow(values, cmap=SIGNED, vmin=-limit, vmax=limit, interpolation="nearest")


def photo():
    """matplotlib's sample photo, [h, w, 3] in 0..1."""
    import matplotlib.cbook

    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        return plt.imread(file, format="jpg")[:512, :].astype(np.float32) / 255


def fashion_mnist(args):
    """Training and test set, from --data or from the place of Debian's package dataset-fashion-mnist."""
    from isobit import data

    folder = getattr(args, "data", None) or DATA
    try:
        return data.fashion_mnist(folder)
    except ValueError as error:
        raise SystemExit(f"{error}\nInstall Debian's package dataset-fashion-mnist, or give --data FOLDER with the four "
                         "IDX files of Fashion-MNIST (or of MNIST).") from None


DATA_OPTION = ("--data", {"metavar": "DIR", "help": f"the folder with the four IDX files [{DATA}]"})
