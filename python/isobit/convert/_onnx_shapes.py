"""Shapes of an ONNX model's values, by onnx's own inference, and values that follow from constants alone."""

import onnx
from onnx import helper, shape_inference
from onnx.reference import ReferenceEvaluator

from isobit.convert._graph import refuse


# What exporters compute of constants and extents. Nothing that makes large arrays of small ones, or random ones.
_FOLDED = {"Add", "Cast", "Concat", "Div", "Flatten", "Gather", "Identity", "Mul", "Neg", "Reshape", "Shape", "Slice", "Sqrt",
           "Squeeze", "Sub", "Transpose", "Unsqueeze"}


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
    for node in copy.graph.node:
        if node.op_type == "GroupNormalization":  # of which inference says nothing
            node.CopyFrom(helper.make_node("Identity", node.input[:1], node.output))
    shapes, known = {}, -1
    while len(shapes) > known:  # what follows from an extent is not known before the extent is
        known = len(shapes)
        inferred = shape_inference.infer_shapes(copy, data_prop=True).graph
        for value in [*inferred.input, *inferred.value_info, *inferred.output]:
            extents = [d.dim_value for d in value.type.tensor_type.shape.dim]
            if len(extents) >= 2 and all(e > 0 for e in extents):
                n, c, *spatial = extents
                shapes[value.name] = (*spatial, c)
        if not _fold_extents(copy.graph, shapes):
            break
    return shapes


def _fold_extents(graph, shapes):
    """Makes a constant of every extent that is known. Inference by itself gives a Reshape to it no shape."""
    found = False
    for i, node in enumerate(graph.node):
        if node.op_type == "Shape" and node.input[0] in shapes:
            *spatial, c = shapes[node.input[0]]
            a = {x.name: helper.get_attribute_value(x) for x in node.attribute}
            extents = [1, c, *spatial][a.get("start", 0):a.get("end")]
            constant = helper.make_tensor("", onnx.TensorProto.INT64, [len(extents)], extents)
            graph.node[i].CopyFrom(helper.make_node("Constant", [], list(node.output), value=constant))
            found = True
    return found


def folded(node, constants, opset):
    """What a node gives of constants, by onnx's own evaluator; None where that cannot say."""
    if node.op_type not in _FOLDED:
        return None
    inputs = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
              for name, value in constants.items()]
    graph = helper.make_graph([node], "constants", inputs, [onnx.ValueInfoProto(name=node.output[0])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    try:
        return ReferenceEvaluator(model).run(None, constants)[0]
    except Exception:  # whatever a hostile model makes it throw: the value has no reader, or that reader is refused
        return None
