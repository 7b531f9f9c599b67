"""Writes ONNX's node cases as files, in the layout that its releases have: DIR/<case>/model.onnx and
test_data_set_N/input_K.pb and output_K.pb. Run by scripts/onnx-cases, which installs what this imports.

    write_onnx_cases.py DIR
"""

import sys
from pathlib import Path

from onnx import TensorProto, numpy_helper
from onnx.backend.test.loader import load_model_tests


def message_of(value, declared):
    """What a file holds of one input or output; `declared` is the model's word on it, which says what it is."""
    if isinstance(value, TensorProto):
        return value
    kind = declared.type.WhichOneof("value")
    if kind == "sequence_type":
        return numpy_helper.from_list(value, declared.name)
    if kind == "optional_type":
        return numpy_helper.from_optional(value, declared.name)
    if kind == "map_type":
        return numpy_helper.from_dict(value, declared.name)
    import numpy

    return numpy_helper.from_array(numpy.asarray(value), declared.name)


def write_values(folder, kind, values, declared):
    if len(values) != len(declared):
        raise ValueError(f"{folder}: {len(values)} {kind}s for a model of {len(declared)}")
    for k, (value, name) in enumerate(zip(values, declared)):
        (folder / f"{kind}_{k}.pb").write_bytes(message_of(value, name).SerializeToString())


def main():
    root = Path(sys.argv[1])
    for case in load_model_tests(kind="node"):
        folder = root / case.name
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(case.model.SerializeToString())
        graph = case.model.graph
        for n, (inputs, outputs) in enumerate(case.data_sets):
            data = folder / f"test_data_set_{n}"
            data.mkdir()
            write_values(data, "input", inputs, graph.input)
            write_values(data, "output", outputs, graph.output)


if __name__ == "__main__":
    main()
