"""Operands as files and tensors in the layouts that PyTorch's users have."""
import torch

DTYPES = {"f32": torch.float32, "f64": torch.float64, "f16": torch.float16, "bf16": torch.bfloat16,
          "i64": torch.int64}


class Refused(Exception):
    """PyTorch has no such thing."""


def read(operand):
    """The operand as it lies: isobit's layout, contiguous."""
    size = torch.Size(operand["shape"]).numel()
    return torch.from_file(operand["path"], shared=False, size=size, dtype=DTYPES[operand["dtype"]]).reshape(
        operand["shape"]).clone()


def write(tensor, path):
    tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tofile(path)


def channels_first(tensor):
    """[n, spatial.., c] as [n, c, spatial..], the same memory: PyTorch's channels_last."""
    return tensor.movedim(-1, 1)


def formats(rank):
    """The memory formats to try for tensors of that rank, by name."""
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(rank)
    named = [("contiguous", torch.contiguous_format)]
    return ([("channels_last", last)] if last is not None else []) + named


class Variant:
    """One way to compute the open case: `run` is what is timed, `back` brings its result to isobit's layout."""

    def __init__(self, name, run, back, implementation="eager"):
        self.name, self.run, self.back, self.implementation = name, run, back, implementation

    def check(self):
        """What is written to be held against isobit's result."""
        return self.run()

    def write(self, result, path):
        write(self.back(result), path)
