"""Shapes of an ONNX model's values, by onnx's own inference."""

import onnx
from onnx import helper, shape_inference

from isobit.convert._graph import refuse


def sample_shapes(model, tensor, input_shape):
    """Of every value of `model` whose shape is known, that of one sample, channels last. tensor: the model's input."""
    dims = [d.dim_value for d in tensor.type.tensor_type.shape.dim]
    if input_shape is not None:
        *spatial, c = input_shape
        dims = [1, c, *spatial]
    dims = [1, *dims[1:]]
    if len(dims) < 2 or any(d < 1 for d in dims):
        refuse(tensor.name, f"the model leaves the input's shape open ({dims})",
               "Give input_shape, of one sample, channels last: (h, w, c)")
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for value in copy.graph.input:
        if value.name == tensor.name:
            value.CopyFrom(helper.make_tensor_value_info(value.name, tensor.type.tensor_type.elem_type, dims))
    del copy.graph.value_info[:]
    for value in copy.graph.output:
        value.type.tensor_type.ClearField("shape")
    inferred = shape_inference.infer_shapes(copy, data_prop=True).graph
    shapes = {}
    for value in [*inferred.input, *inferred.value_info, *inferred.output]:
        extents = [d.dim_value for d in value.type.tensor_type.shape.dim]
        if len(extents) >= 2 and all(e > 0 for e in extents):
            n, c, *spatial = extents
            shapes[value.name] = (*spatial, c)
    return shapes
