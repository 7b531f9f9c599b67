"""How tensors, networks and summaries look: text like NumPy's, tables and pictures in Jupyter."""

import base64
import functools
import html

from isobit import _core
from isobit._core import Tensor

# What floating results are computed in: values are stored in the dtype, and nothing is ever computed in less.
_ARITHMETIC = {"f32": "f32", "f64": "f64", "f16": "f32", "bf16": "f32"}


def tensor_repr(t):
    head = "tensor("
    text = t.to_string().rsplit("\n", 1)[0] if t.rank else repr(t.item())
    text = text.replace("\n", "\n" + " " * len(head))
    notes = [f"dtype={t.dtype}", f"device='{t.device}'"]
    if t.numel() == 0 or t.numel() > 1000:
        notes.insert(0, f"shape={t.shape}")
    if str(t.dtype) in _ARITHMETIC:
        notes.append(f"arithmetic={_ARITHMETIC[str(t.dtype)]}")
        if _core.current_math() != "exact" and t.dtype != "f64":
            notes.append(f"math={_core.current_math()}")  # of products with it, here
    if t.requires_grad:
        notes.append("requires_grad=True")
    return f"{head}{text}, {', '.join(notes)})"


def _pixels(t):
    """u8 [h, w, c] of an image or a batch of them, or None if it is neither."""
    if t.rank not in (2, 3, 4) or t.numel() == 0 or t.numel() > 1 << 24:
        return None
    channels = t.shape[-1] if t.rank > 2 else 1
    if channels not in (1, 3, 4) or (t.rank == 2 and min(t.shape) < 8) or (t.rank > 2 and min(t.shape[-3:-1]) < 4):
        return None
    with _core.no_grad():
        x = t.detach().to("cpu")
        if x.dtype != "u8":
            x = x.to("f32")
            if _core.is_nan(x).to("i32").sum().item() != 0:
                return None
            low, high = x.min().item(), x.max().item()
            if not (0 <= low and high <= 1):
                x = (x - low) / ((high - low) or 1.0)
            x = (x * 255.0 + 0.5).to("u8")
        if x.rank == 2:
            x = x.reshape(*x.shape, 1)
        if x.rank == 4:  # side by side, up to eight in a row
            from isobit._montage import montage

            x = montage(x[:64])
        return x


def tensor_html(t):
    pixels = _pixels(t)
    text = f"<pre>{html.escape(repr(t))}</pre>"
    if pixels is None:
        return text
    picture = base64.b64encode(bytes(_core.io.encode_png(pixels))).decode()
    caption = html.escape(f"shape {t.shape}, dtype {t.dtype}, device {t.device}")
    return (
        f'<figure><img alt="{caption}" style="image-rendering:pixelated;min-width:128px" '
        f'src="data:image/png;base64,{picture}"><figcaption>{caption}</figcaption></figure>'
    )


def summary_html(summary):
    def row(cells, tag):
        return "<tr>" + "".join(f"<{tag}>{html.escape(str(c))}</{tag}>" for c in cells) + "</tr>"

    def shape(extents):
        return "[" + ", ".join(str(e) for e in extents) + "]"

    def own(r):
        return f" in {r.math}" if r.math != summary.math and (r.multiply_adds or r.parameters) else ""

    rows = [row(["path", "layer", "output", "parameters", "multiply-adds"], "th")]
    for r in summary.rows:
        rows.append(row([r.path, r.kind + own(r), shape(r.output), f"{r.parameters:,}", f"{r.multiply_adds:,}"], "td"))
    rows.append(row(["", "total", "", f"{summary.parameters:,}", f"{summary.multiply_adds:,}"], "th"))
    return f"<table><caption>input {shape(summary.input)}, arithmetic {summary.math}</caption>{''.join(rows)}</table>"


def layer_repr(layer):
    try:
        children = layer.children()
        text = layer.describe()
    except ValueError:  # not yet made
        return f"<{type(layer).__name__}>"
    math = f" in {layer.math}" if layer.math else ""
    if not children:
        return text + math
    inner = "".join(f"\n  ({name}) " + repr(child).replace("\n", "\n  ") for name, child in children.items())
    return f"{text.split('(')[0]}({inner}\n){math}"


def layer_html(layer):
    try:
        return summary_html(layer.summarize())
    except ValueError:  # not built
        return f"<pre>{html.escape(layer_repr(layer))}</pre>"


def _as_decorator(mode, function):
    @functools.wraps(function)
    def within(*args, **kwargs):
        with type(mode)():  # its own: calls may overlap, in threads and in recursion
            return function(*args, **kwargs)

    return within


def _math_as_decorator(mode, function):
    @functools.wraps(function)
    def within(*args, **kwargs):
        with _core.math(mode.name):
            return function(*args, **kwargs)

    return within


def install():
    Tensor.__repr__ = tensor_repr
    Tensor.__str__ = lambda t: t.to_string()
    Tensor._repr_html_ = tensor_html
    Tensor.__array_ufunc__ = None  # array + tensor is an error, not an array of tensors
    _core.no_grad.__call__ = _as_decorator
    _core.enable_grad.__call__ = _as_decorator
    _core.math.__call__ = _math_as_decorator
    _core.Layer.__repr__ = layer_repr
    _core.Layer._repr_html_ = layer_html
    _core.Summary._repr_html_ = summary_html
