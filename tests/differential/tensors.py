"""Safetensors files, read and written without further packages."""
import ctypes
import json
import struct

import torch

NAMES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64"}
TYPES = {name: dtype for dtype, name in NAMES.items()}


def write(path, tensors):
    header, pieces, at = {}, [], 0
    for name, t in tensors.items():
        t = t.detach().contiguous()
        size = t.numel() * t.element_size()
        header[name] = {"dtype": NAMES[t.dtype], "shape": list(t.shape), "data_offsets": [at, at + size]}
        pieces.append(ctypes.string_at(t.data_ptr(), size) if size else b"")
        at += size
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(pieces))


def read(path):
    """The tensors by name, and the metadata."""
    with open(path, "rb") as file:
        data = bytearray(file.read())
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        dtype = TYPES[entry["dtype"]]
        if begin == end:
            tensors[name] = torch.empty(entry["shape"], dtype=dtype)
            continue
        piece = data[8 + length + begin:8 + length + end]  # a copy, aligned as torch wants it
        tensors[name] = torch.frombuffer(piece, dtype=dtype).reshape(entry["shape"])
    return tensors, metadata
