"""Networks from and to other frameworks: PyTorch (from_torch, to_torch), ONNX (from_onnx, to_onnx), Keras' weights
(from_keras_weights). Weights are moved, never computed with: there and back they are the same bits.

isobit is channels last. Filters [k, c, r, s] become [r, s, c, k], features behind a Flatten change from (c, h, w) to
(h, w, c) order, and with them the rows of the Linear layer behind. What cannot be converted is a ConversionError that
names the layer's path, its kind and what to do. torch and onnx are imported when they are needed.
"""

from isobit.convert._graph import ConversionError  # noqa: F401
from isobit.convert._keras import from_keras_weights  # noqa: F401


def from_torch(module, input_shape):
    """The network of a torch.nn.Module, built with its weights, in its mode (train or eval).

    input_shape is that of one sample as isobit lays it out: (h, w, c) for a module that takes [n, c, h, w]. The
    module's forward is traced by torch.fx: a straight line of layers and functions, with additions (residual blocks)
    and concatenations of branches that begin at one value."""
    from isobit.convert import _torch_in

    return _torch_in.from_torch(module, input_shape)


def to_torch(net):
    """A torch.nn.Module that computes what the built network `net` does, on [n, c, h, w], with copies of its weights;
    its state_dict has the network's paths ("0.weight")."""
    from isobit.convert import _torch_out

    return _torch_out.to_torch(net)


def weights_from(module, net):
    """Copies the weights of a torch.nn.Module into a built network of the same layers in the same order, whatever
    their names. ConversionError naming the first pair that differs; then nothing has changed."""
    from isobit.convert import _torch_in

    _torch_in.weights_from(module, net)


def weights_to(net, module):
    """The reverse of weights_from: the network's weights into the module's parameters and buffers."""
    from isobit.convert import _torch_in

    _torch_in.weights_to(net, module)


def from_onnx(model, input_shape=None):
    """The network of an ONNX model: a path, bytes or an onnx.ModelProto. Convolutional classifiers of opset 13 and
    later. input_shape, of one sample as isobit lays it out, where the model leaves it open."""
    from isobit.convert import _onnx_in

    return _onnx_in.from_onnx(model, input_shape)


def to_onnx(net, path=None, opset=17):
    """The built network as an onnx.ModelProto with input [n, c, h, w] (channels first, as ONNX has it) and open batch
    extent; written to `path` where one is given. As in evaluation: batch norms by their running statistics, dropout
    the identity. opset 13 or later."""
    from isobit.convert import _onnx_out

    return _onnx_out.to_onnx(net, path, opset)
