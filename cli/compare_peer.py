"""Computes one layer with PyTorch or with ONNX's reference, for isobit compare --against: a line of JSON in, arrays in a
file of NumPy's, arrays out. Started by isobit with ISOBIT_PYTHON or python3; argument: torch or onnx."""
import json
import sys

import numpy as np


def channels_first(a):
    return np.moveaxis(a, -1, 1)


def channels_last(a):
    return np.ascontiguousarray(np.moveaxis(a, 1, -1))


def filters_first(w):
    """[r, s, c, k] to [k, c, r, s]."""
    return np.ascontiguousarray(np.moveaxis(w, (-1, -2), (0, 1)))


def filters_last(w):
    return np.ascontiguousarray(np.moveaxis(w, (0, 1), (-1, -2)))


class Refused(Exception):
    pass


class Torch:
    def __init__(self):
        import torch
        self.torch = torch
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
        self.name = f"PyTorch {torch.__version__}"

    def padded(self, x, p):
        f = self.torch.nn.functional
        modes = {m for m, (before, after) in zip(p["mode"], p["pads"]) if before or after}
        widths = [n for pair in reversed(p["pads"]) for n in pair]
        if not modes:
            return x
        if modes == {"constant"}:
            return f.pad(x, widths, value=p.get("pad_value", 0))
        if len(modes) > 1 or "symmetric" in modes:
            raise Refused(f"PyTorch has no padding {'/'.join(sorted(modes))}")
        return f.pad(x, widths, mode=modes.pop())

    def forward(self, p, x, w, b):
        """y in front of the relu."""
        f = self.torch.nn.functional
        n = x.dim() - 2
        op = p["op"]
        if op == "linear":
            y = x @ w if b is None else x @ w + b
        elif op == "conv":
            if p["flip"]:
                w = w.flip(tuple(range(2, w.dim())))
            y = [f.conv1d, f.conv2d, f.conv3d][n - 1](self.padded(x, p), w, b, p["stride"], 0, p["dilation"], p["groups"])
        elif op == "conv_transpose":
            if p["flip"]:
                w = w.flip(tuple(range(2, w.dim())))
            if any(m != "constant" for m in p["mode"]):
                raise Refused("PyTorch's transposed convolutions pad with zeros only")
            # All that the filter reaches, then cut to the shape of y.
            y = [f.conv_transpose1d, f.conv_transpose2d, f.conv_transpose3d][n - 1](
                x, w, None, p["stride"], 0, 0, p["groups"], p["dilation"])
            for axis in range(n):
                before, extent = p["pads"][axis][0], p["y"][axis + 1]
                if before < 0:
                    raise Refused("a negative padding")
                missing = before + extent - y.shape[axis + 2]
                if missing > 0:
                    widths = [0] * (2 * n)
                    widths[2 * (n - 1 - axis) + 1] = missing
                    y = f.pad(y, widths)
                y = y.narrow(axis + 2, before, extent)
            if b is not None:
                y = y + b.reshape([1, -1] + [1] * n)
        else:
            if any(before != after for before, after in p["pads"]):
                raise Refused("PyTorch's pools pad the same on both sides")
            pads = [before for before, _ in p["pads"]]
            if op == "max_pool":
                y = [f.max_pool1d, f.max_pool2d, f.max_pool3d][n - 1](
                    x, p["window"], p["stride"], pads, p["dilation"], p["ceil_mode"])
            else:
                if any(d != 1 for d in p["dilation"]):
                    raise Refused("PyTorch's average pools have no dilation")
                y = [f.avg_pool1d, f.avg_pool2d, f.avg_pool3d][n - 1](
                    x, p["window"], p["stride"], pads, p["ceil_mode"], p["count_include_pad"])
        return y

    def run(self, p, arrays):
        torch = self.torch
        linear = p["op"] == "linear"
        to = (lambda a: a) if linear else channels_first
        back = (lambda a: a) if linear else channels_last
        x = torch.from_numpy(np.ascontiguousarray(to(arrays["x"]))).requires_grad_()
        w = arrays.get("w")
        if w is not None:
            w = torch.from_numpy(np.ascontiguousarray(w if linear else filters_first(w))).requires_grad_()
        b = arrays.get("b")
        b = torch.from_numpy(np.ascontiguousarray(b)).requires_grad_() if b is not None else None
        y = self.forward(p, x, w, b)
        shown = torch.relu(y) if p.get("relu") else y
        out = {"y": back(shown.detach().numpy())}
        if "dy" in arrays:  # of y in front of the relu
            inputs = {"dx": x, "weight": w, "bias": b}
            inputs = {name: t for name, t in inputs.items() if t is not None}
            dy = torch.from_numpy(np.ascontiguousarray(to(arrays["dy"])))
            for (name, _), g in zip(inputs.items(), torch.autograd.grad(y, list(inputs.values()), dy)):
                g = g.numpy()
                out[name] = back(g) if name == "dx" else g if linear or name == "bias" else filters_last(g)
        return out


class Onnx:
    def __init__(self):
        import onnx
        from onnx.reference import ReferenceEvaluator
        self.onnx, self.evaluator = onnx, ReferenceEvaluator
        self.name = f"ONNX {onnx.__version__}, reference evaluator"

    def run(self, p, arrays):
        """y alone: ONNX has no gradients."""
        helper = self.onnx.helper
        op = p["op"]
        x = arrays["x"]
        if op == "linear":
            y = self.one("MatMul", {"x": x, "w": arrays["w"]}, {})
            return {"y": y + arrays["b"] if "b" in arrays else y}
        if any(m != "constant" for m in p["mode"]) or p.get("pad_value", 0) or p.get("flip"):
            raise Refused("ONNX pads with zeros only, and has no flipped filters")
        attributes = {"strides": p["stride"],
                      "pads": [before for before, _ in p["pads"]] + [after for _, after in p["pads"]]}
        if any(d != 1 for d in p["dilation"]):
            if op == "avg_pool":
                raise Refused("ONNX's average pools have no dilation before opset 19")
            attributes["dilations"] = p["dilation"]
        inputs = {"x": channels_first(x)}
        if "window" in p:
            attributes.update(kernel_shape=p["window"], ceil_mode=int(p["ceil_mode"]))
            if op == "avg_pool":
                attributes["count_include_pad"] = int(p["count_include_pad"])
            y = self.one("MaxPool" if op == "max_pool" else "AveragePool", inputs, attributes)
        else:
            inputs["w"] = filters_first(arrays["w"])
            if "b" in arrays:
                inputs["b"] = arrays["b"]
            attributes["group"] = p["groups"]
            if op == "conv_transpose":
                raise Refused("ONNX's transposed convolutions split the padding by a rule of their own")
            y = self.one("Conv", inputs, attributes)
        y = channels_last(y)
        return {"y": np.maximum(y, 0) if p.get("relu") else y}

    def one(self, op, inputs, attributes):
        helper, floats = self.onnx.helper, self.onnx.TensorProto.FLOAT
        values = [helper.make_tensor_value_info(name, floats, a.shape) for name, a in inputs.items()]
        y = helper.make_tensor_value_info("y", floats, None)
        graph = helper.make_graph([helper.make_node(op, list(inputs), ["y"], **attributes)], "layer", values, [y])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
        feeds = {name: np.ascontiguousarray(a, dtype=np.float32) for name, a in inputs.items()}
        return self.evaluator(model).run(None, feeds)[0]


def main():
    try:
        library = {"torch": Torch, "onnx": Onnx}[sys.argv[1]]()
    except ImportError as error:
        print(json.dumps({"missing": f"{error}; ISOBIT_PYTHON names another Python"}), flush=True)
        return
    print(json.dumps({"ready": library.name}), flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        try:
            with np.load(question["in"]) as arrays:
                operands = dict(arrays)
            try:
                results = library.run(question["problem"], operands)
            except Refused:
                raise
            except Exception as error:  # the library does not take the layer: the others are compared all the same
                raise Refused(f"{type(error).__name__}: {error}") from error
            np.savez(question["out"], **{name: np.ascontiguousarray(a) for name, a in results.items()})
            answer = {"ok": True}
        except Refused as why:
            answer = {"refused": str(why)}
        except Exception as error:  # the program shows it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()
