"""isobit.convert against ONNX's reference evaluator, both ways, and Keras' weights."""

import os
import tempfile
import unittest

import numpy as np

import isobit
from isobit import convert, nn
from support import TestCase, needs_torch, random, torch

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from onnx.reference import ReferenceEvaluator
except ImportError:
    onnx = None

needs_onnx = unittest.skipIf(onnx is None, "this Python has no onnx")


def last(x):
    return isobit.from_numpy(np.ascontiguousarray(np.moveaxis(x, 1, -1)))


def first(y):
    return np.moveaxis(y.numpy(), -1, 1)


def model_of(nodes, x, y, constants, opset=17):
    """A model of nodes over an input and an output of these shapes (f64)."""
    graph = helper.make_graph(nodes, "test", [helper.make_tensor_value_info("x", TensorProto.DOUBLE, x)],
                              [helper.make_tensor_value_info("y", TensorProto.DOUBLE, y)],
                              [numpy_helper.from_array(np.ascontiguousarray(v), k) for k, v in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 10
    onnx.checker.check_model(model)
    return model


@needs_onnx
class Exported(TestCase):
    def both_ways(self, net, sample, opset=17, back=True, relative=1e-12, same_state=True):
        """isobit -> ONNX -> isobit in f64; the evaluator's values to the last bits, the weights to the last one. ONNX's
        attributes are f32: those here are exact in it."""
        net.build(sample, seed=4, dtype="f64")
        for i, t in enumerate(net.state_dict().values()):  # nothing as it began
            t.copy_from(isobit.tensor(np.random.default_rng(i).uniform(0.5, 1.5, t.shape)))
        net.eval()
        # As many samples as channels: the evaluator's LRN counts the one by the other.
        x = random(sample[-1], sample[-1], *sample[:-1], dtype=np.float64)
        expected = first(net(last(x)))
        model = convert.to_onnx(net, opset=opset)
        self.assert_close(ReferenceEvaluator(model).run(None, {"input": x})[0], expected, relative)
        if not back:
            return None
        again = convert.from_onnx(model.SerializeToString())
        self.assert_close(first(again(last(x))), expected, 1e-12)
        if same_state:
            for a, b in zip(net.state_dict().values(), again.state_dict().values(), strict=True):
                self.assert_bits(a, b)
        return again

    def test_each_kind(self):
        sample = (6, 8, 4)
        for layer in [
            nn.Conv2D(6, 3), nn.Conv2D(6, (3, 2), stride=(2, 1), padding="same", dilation=(1, 2), groups=2, bias=False),
            nn.Conv2D(4, 3, padding=((1, 2), (0, 3)), groups=4), nn.Conv2D(3, 3, padding="same_lower", stride=2),
            nn.ConvTranspose2D(6, 3, stride=2, padding=1, output_padding=1),
            nn.ConvTranspose2D(3, (3, 2), bias=False), nn.InstanceNorm(eps=2**-10), nn.BatchNorm(eps=2**-10),
            nn.LocalResponseNorm(3, alpha=0.125, beta=0.5, bias=2), nn.MaxPool(2), nn.MaxPool2D(3, stride=2, padding=1),
            nn.AvgPool((2, 3), padding=1, count_include_pad=True), nn.AvgPool2D(2), nn.LpPool(2, 2),
            nn.AdaptiveAvgPool((3, 2)), nn.AdaptiveMaxPool(1), nn.GlobalAvgPool(), nn.GlobalMaxPool(),
            nn.Pad(((1, 2), (0, 3)), value=0.5), nn.Pad(2, mode="reflect"), nn.Pad(1, mode="replicate"), nn.Upsample(2),
            nn.Upsample((2, 3), "linear"), nn.Upsample(2, "linear", align_corners=True), nn.DepthToSpace(2),
            nn.PixelShuffle(2), nn.ReLU(), nn.LeakyReLU(0.25), nn.ELU(0.75), nn.SiLU(), nn.Sigmoid(), nn.Tanh(),
            nn.Softplus(), nn.Softmax(), nn.LogSoftmax(), nn.Dropout(0.25), nn.Input(sample, mean=0.5, deviation=4),
        ]:
            with self.subTest(layer.describe()):
                # The evaluator's LRN goes through f32.
                self.both_ways(nn.Sequential(layer), sample, relative=1e-6 if layer.kind.startswith("Local") else 1e-12)

    def test_transposed_groups(self):
        # The evaluator cuts such filters along the wrong axis: there and back instead (test_convert_torch has the values).
        net = nn.Sequential(nn.ConvTranspose2D(6, 3, stride=2, groups=2)).build((5, 6, 4), seed=1)
        again = convert.from_onnx(convert.to_onnx(net))
        x = isobit.from_numpy(random(2, 5, 6, 4))
        self.assert_bits(again(x), net(x))

    def test_what_has_no_way_back(self):
        sample = (6, 8, 4)
        for layer, opset in [
            (nn.Conv2D(2, 3, activation="gelu"), 17), (nn.Linear(3), 17),
            (nn.Conv2D(2, 3, padding=1, mode="reflect", activation="leaky_relu", slope=0.25), 17),
            (nn.Conv2D(2, 3, padding=1, pad_value=0.5, activation="silu"), 17), (nn.LpPool(2, 3), 18),
            (nn.ConvTranspose2D(2, 3, stride=2, padding="same", activation="tanh"), 17),
        ]:
            with self.subTest(layer.describe()):
                # The evaluator's Erf is that of f32.
                relative = 1e-6 if "gelu" in layer.describe().lower() else 1e-12
                self.both_ways(nn.Sequential(layer), sample, opset, back=False, relative=relative)
        convert.to_onnx(nn.Sequential(nn.GlobalLpPool(3)).build(sample))  # the evaluator has no such op

    def test_what_is_written_out_comes_back(self):
        sample = (6, 8, 4)
        for layers in ([nn.GELU()], [nn.Conv2D(4, 3), nn.GELU(), nn.Flatten(), nn.GELU(), nn.Linear(2)],
                       [nn.GroupNorm(2, eps=2**-10)], [nn.GroupNorm(4, eps=2**-10, affine=False)],
                       [nn.Residual(nn.GroupNorm(1, eps=2**-10)), nn.ReLU()]):
            kinds = [layer.kind for layer in layers]
            for opset in (13, 18, 20):
                with self.subTest(kinds, opset=opset):
                    relative = 1e-6 if "GELU" in kinds else 1e-12  # the evaluator's Erf is that of f32
                    again = self.both_ways(nn.Sequential(*layers), sample, opset, relative=relative)
                    self.assertEqual([d["kind"] for d in nn.describe(again)["layers"]], kinds)

    def test_one_and_three_dimensions(self):
        self.both_ways(nn.Sequential(nn.Conv1D(6, 3, stride=2), nn.ReLU(), nn.MaxPool(2)), (17, 4))
        self.both_ways(nn.Sequential(nn.Conv3D(2, 2), nn.AvgPool((1, 2, 2)), nn.Flatten(), nn.Linear(3)), (4, 5, 5, 4))

    def test_features_behind_a_flatten_and_every_opset(self):
        for opset in (13, 15, 17, 20, 22):
            net = nn.Sequential(nn.Conv2D(3, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(7), nn.Tanh(),
                                nn.Linear(3, bias=False))
            self.both_ways(net, (6, 7, 2), opset)
        self.both_ways(nn.Sequential(nn.Flatten(), nn.BatchNorm(eps=2**-10), nn.LayerNorm(eps=2**-10), nn.Linear(2)), (3, 4, 2))

    def test_residuals_branches_and_shared_layers(self):
        conv = nn.Conv2D(4, 3, padding="same")
        net = nn.Sequential(nn.Residual(nn.Sequential(conv, nn.ReLU())),
                            nn.Residual(nn.Conv2D(6, 1), nn.Sequential(nn.BatchNorm(eps=2**-10), nn.Conv2D(6, 1))),
                            nn.Concat(nn.Sequential(), nn.Conv2D(2, 1), nn.MaxPool(3, stride=1, padding=1)),
                            nn.GlobalAvgPool(), nn.Linear(3), nn.Softmax())
        self.both_ways(net, (6, 6, 4))
        layer = nn.Linear(24)  # in two orders: the rows of one place are not those of the other
        self.both_ways(nn.Sequential(nn.Flatten(), layer, layer), (3, 4, 2), same_state=False)

    def test_norms_of_half_precision_stay_f32(self):
        def net(*layers):
            net = nn.Sequential(*layers).build((6, 8, 4), seed=4, dtype="f16")
            for name, t in net.state_dict().items():
                if str(t.dtype) == "f32":
                    t.copy_from(isobit.from_numpy(np.full(t.shape, 1 / 3, np.float32)))
            return net.eval()

        def same_bits(a, b):
            for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True):
                self.assert_bits(x, y)

        batch = net(nn.Conv2D(4, 3, padding="same"), nn.BatchNorm())
        model = convert.to_onnx(batch, opset=15)
        types = {t.name: t.data_type for t in model.graph.initializer}
        self.assertEqual(types["0.weight"], TensorProto.FLOAT16)
        self.assertEqual(types["1.running_variance"], TensorProto.FLOAT)
        same_bits(convert.from_onnx(model), batch)
        for one, opset in ((batch, 14), (net(nn.InstanceNorm()), 17), (net(nn.GroupNorm(2)), 17),
                           (net(nn.Flatten(), nn.LayerNorm(), nn.Linear(2)), 17)):
            with self.assertRaisesRegex(convert.ConversionError, "gamma is float32.*float16"):
                convert.to_onnx(one, opset=opset)
        for layer in (nn.BatchNorm(), nn.InstanceNorm(), nn.GroupNorm(2)):  # as they begin, f16 holds them
            fresh = nn.Sequential(layer).build((6, 8, 4), dtype="f16").eval()
            model = convert.to_onnx(fresh, opset=14)
            self.assertNotIn(TensorProto.FLOAT, [t.data_type for t in model.graph.initializer])
            if layer.kind != "GroupNorm":  # whose weights, ones and zeros, come back as f16's
                same_bits(convert.from_onnx(model), fresh)

    def test_models_and_f32(self):
        for name, sample in (("lenet", (28, 28, 1)), ("resnet-small", (32, 32, 3))):
            net = isobit.models.make(name).build(sample, seed=5).eval()
            x = random(2, sample[-1], *sample[:-1])
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "net.onnx")
                convert.to_onnx(net, path)
                again = convert.from_onnx(path)
                self.assert_close(ReferenceEvaluator(path).run(None, {"input": x})[0], net(last(x)))
            self.assert_bits(again(last(x)), net(last(x)))

    @needs_torch
    def test_resnet_18_of_torch_through_onnx(self):
        from convert_bounds import bound
        from convert_nets import ResNet18, lived_in

        module = lived_in(ResNet18(width=16))
        x = random(2, 3, 32, 32)
        net = convert.from_torch(module, (32, 32, 3))
        model = convert.to_onnx(net)
        allowed = bound(module, torch.from_numpy(x))
        y = net(last(x)).numpy()
        self.assertTrue((np.abs(ReferenceEvaluator(model).run(None, {"input": x})[0] - y) <= allowed).all())
        again = convert.from_onnx(model)
        self.assert_bits(again(last(x)), net(last(x)))
        other = lived_in(ResNet18(width=16), seed=8)
        convert.weights_to(again, other)
        for (name, a), b in zip(module.state_dict().items(), other.state_dict().values()):
            self.assertTrue(torch.equal(a, b), name)

    def test_what_cannot_be_exported(self):
        for layer, opset, part in ((nn.Conv2D(2, 3, flip=True), 17, "flip"), (nn.AdaptiveAvgPool(3), 17, "divide"),
                                   (nn.Pad(1, mode="circular"), 17, "opset 19"), (nn.Flatten(), 17, "order")):
            with self.assertRaises(convert.ConversionError) as caught:
                convert.to_onnx(nn.Sequential(layer).build((8, 8, 4)), opset=opset)
            self.assertIn(part, str(caught.exception))
        with self.assertRaisesRegex(ValueError, "13"):
            convert.to_onnx(nn.Sequential(nn.ReLU()).build((8, 8, 4)), opset=12)


@needs_onnx
class Imported(TestCase):
    """Ops as other exporters write them."""

    def check(self, nodes, y, constants, shape=(2, 4, 5, 6), opset=17, relative=1e-12):
        model = model_of(nodes, shape, y, constants, opset)
        x = random(*shape, dtype=np.float64)
        expected = ReferenceEvaluator(model).run(None, {"x": x})[0]
        self.assert_close(first(convert.from_onnx(model)(last(x))), expected, relative)

    def test_matmul_and_add_reshape_and_constants(self):
        w, b = random(120, 3, dtype=np.float64), random(3, dtype=np.float64, seed=2)
        shape = helper.make_node("Constant", [], ["s"], value=numpy_helper.from_array(np.array([-1, 120]), "s"))
        self.check([shape, helper.make_node("Reshape", ["x", "s"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["m"]),
                    helper.make_node("Add", ["b", "m"], ["y"])], [2, 3], {"w": w, "b": b})
        self.check([helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("Gemm", ["f", "w", "b"], ["y"])], [2, 3],
                   {"w": w, "b": b})

    def test_auto_pad_and_means(self):
        w = random(6, 2, 3, 2, dtype=np.float64)
        for rule in ("SAME_UPPER", "SAME_LOWER"):
            self.check([helper.make_node("Conv", ["x", "w"], ["y"], auto_pad=rule, strides=[2, 1], group=2)], [2, 6, 3, 6],
                       {"w": w})
        self.check([helper.make_node("ReduceMean", ["x"], ["y"], axes=[2, 3], keepdims=0)], [2, 4], {})
        self.check([helper.make_node("ReduceMean", ["x", "a"], ["m"], keepdims=1), helper.make_node("Flatten", ["m"], ["y"])],
                   [2, 4], {"a": np.array([-1, -2])}, opset=18)

    @needs_torch
    def test_torch_writes_gelu_and_group_norm_out(self):
        import io

        from convert_nets import lived_in
        from torch import nn as tnn

        module = lived_in(tnn.Sequential(
            tnn.GELU(), tnn.Conv2d(3, 8, 3), tnn.GroupNorm(4, 8), tnn.GELU(), tnn.Conv2d(8, 4, 1),
            tnn.GroupNorm(2, 4, affine=False), tnn.Flatten(), tnn.Linear(144, 6), tnn.GELU(), tnn.Linear(6, 2))).double()
        x = torch.from_numpy(random(2, 3, 8, 8, dtype=np.float64))
        expected = module(x).detach().numpy()
        for folding in (True, False):
            for axes in (None, {"x": {0: "n"}}):
                file = io.BytesIO()
                torch.onnx.export(module, x, file, opset_version=13, dynamo=False, input_names=["x"], dynamic_axes=axes,
                                  do_constant_folding=folding)
                net = convert.from_onnx(file.getvalue(), (8, 8, 3))
                self.assertEqual([d["kind"] for d in nn.describe(net)["layers"]],
                                 ["GELU", "Conv2D", "GroupNorm", "GELU", "Conv2D", "GroupNorm", "Flatten", "Linear", "GELU",
                                  "Linear"])
                self.assert_close(net(last(x.numpy())), expected, 1e-12)

    def test_group_normalization_of_its_own(self):
        gamma, beta = random(4, dtype=np.float64), random(4, dtype=np.float64, seed=2)
        self.check([helper.make_node("GroupNormalization", ["x", "g", "b"], ["y"], num_groups=2, epsilon=2.0**-10)],
                   (2, 4, 5, 6), {"g": gamma, "b": beta}, opset=21, relative=1e-6)  # the evaluator takes moments in f32

    def test_extents_of_the_input(self):
        # x.view(x.size(0), -1) as torch writes it.
        nodes = [helper.make_node("Shape", ["x"], ["e"]), helper.make_node("Gather", ["e", "zero"], ["n"]),
                 helper.make_node("Concat", ["n", "rest"], ["to"], axis=0), helper.make_node("Reshape", ["x", "to"], ["f"]),
                 helper.make_node("MatMul", ["f", "w"], ["y"])]
        w = random(120, 3, dtype=np.float64)
        self.check(nodes, [2, 3], {"zero": np.array([0]), "rest": np.array([-1]), "w": w})
        # As a number to compute with it is refused: the batch of the shapes is not that of the run.
        nodes = [helper.make_node("Shape", ["x"], ["e"]), helper.make_node("Gather", ["e", "one"], ["c"]),
                 helper.make_node("Cast", ["c"], ["d"], to=TensorProto.DOUBLE),
                 helper.make_node("Div", ["x", "d"], ["y"], name="by")]
        with self.assertRaisesRegex(convert.ConversionError, r"by \(Div\).*extents"):
            convert.from_onnx(model_of(nodes, (2, 4, 5, 6), (2, 4, 5, 6), {"one": np.array([1])}))

    def test_chains_that_are_none(self):
        def node(op, inputs, output, **more):
            return helper.make_node(op, inputs, [output], name=f"{op} {output}", **more)

        conv = node("Conv", ["x", "w"], "a")
        erf = [conv, node("Div", ["a", "root"], "s"), node("Erf", ["s"], "e"), node("Add", ["e", "one"], "p")]
        groups = [conv, node("Reshape", ["a", "flat"], "f"), node("InstanceNormalization", ["f", "ones", "zeros"], "i")]
        constants = {"w": random(4, 4, 1, 1, dtype=np.float64), "root": np.array(np.sqrt(2)), "one": np.array(1.0),
                     "half": np.array(0.5), "two": np.array(2.0), "flat": np.array([0, 2, -1]), "ones": np.ones(2),
                     "zeros": np.zeros(2), "back": np.array([0, 4, 5, 6]), "wide": np.ones((4, 5, 1))}
        for nodes, part in (
            ([conv, node("Div", ["a", "two"], "y")], "Div y"),
            ([conv, node("Div", ["a", "two"], "s"), node("Erf", ["s"], "y")], "Erf y"),
            ([*erf[:3], node("Relu", ["e"], "y")], "Erf e"),
            ([*erf, node("Relu", ["p"], "y")], "Add p"),
            ([*erf, node("Mul", ["a", "p"], "y")], "Mul y"),  # the half is missing
            ([*erf, node("Mul", ["a", "p"], "m"), node("Mul", ["m", "two"], "y")], "Mul y"),
            ([*erf, node("Mul", ["x", "p"], "y")], "Mul y"),
            ([*groups, node("Relu", ["i"], "r"), node("Reshape", ["r", "back"], "y")], "InstanceNormalization i"),
            ([*groups, node("Reshape", ["i", "back"], "b"), node("Mul", ["b", "wide"], "y")], "Mul y"),
        ):
            with self.subTest(part), self.assertRaises(convert.ConversionError) as caught:
                convert.from_onnx(model_of(nodes, (2, 4, 5, 6), (2, 4, 5, 6), constants))
            self.assertIn(part, str(caught.exception))

    def test_refusals_name_the_node(self):
        for node, part in ((helper.make_node("Erf", ["x"], ["y"], name="odd"), "odd (Erf)"),
                           (helper.make_node("Mul", ["x", "c"], ["y"], name="times"), "times (Mul)"),
                           (helper.make_node("Transpose", ["x"], ["y"], perm=[0, 1, 2, 3]), "y (Transpose)")):
            with self.assertRaises(convert.ConversionError) as caught:
                convert.from_onnx(model_of([node], (2, 4, 5, 6), (2, 4, 5, 6), {"c": np.array(2.0)}))
            self.assertIn(part, str(caught.exception))
        constants = {"c": np.full(4, 0.5), "s": np.array([1, 1, 2.1, 2.1], np.float32), "half": np.array(0.5),
                     "yes": np.array(True)}
        for node, y, opset, part in (
            (helper.make_node("Gelu", ["x"], ["y"], approximate="tanh"), (2, 4, 5, 6), 20, "tanh"),
            (helper.make_node("BatchNormalization", ["x", "c", "c", "c", "c"], ["y", "m", "v"], training_mode=1),
             (2, 4, 5, 6), 17, "training_mode"),
            (helper.make_node("Dropout", ["x", "half", "yes"], ["y"], name="drop"), (2, 4, 5, 6), 17,
             r"drop \(Dropout\).*training_mode"),
            (helper.make_node("Resize", ["x", "", "s"], ["y"], mode="linear"), (2, 4, 10, 12), 17, "scales"),
        ):
            with self.assertRaisesRegex(convert.ConversionError, part):
                convert.from_onnx(model_of([node], (2, 4, 5, 6), y, constants, opset))
        old = model_of([helper.make_node("Relu", ["x"], ["y"])], (2, 4, 5, 6), (2, 4, 5, 6), {}, opset=12)
        with self.assertRaisesRegex(convert.ConversionError, "opset 12"):
            convert.from_onnx(old)
        free = model_of([helper.make_node("Relu", ["x"], ["y"])], ("n", 4, "h", "w"), ("n", 4, "h", "w"), {})
        with self.assertRaisesRegex(convert.ConversionError, "input_shape"):
            convert.from_onnx(free)
        self.assertEqual(convert.from_onnx(free, (5, 6, 4)).input_shape, (5, 6, 4))


class Keras(TestCase):
    def setUp(self):
        self.net = nn.Sequential(nn.Conv2D(4, 3), nn.BatchNorm(), nn.ReLU(), nn.Conv2D(8, 3, groups=4), nn.Flatten(),
                                 nn.Linear(5)).build((8, 8, 3), seed=1).eval()
        shapes = [(3, 3, 3, 4), (4,), (4,), (4,), (4,), (4,), (3, 3, 4, 2), (8,), (128, 5), (5,)]
        self.weights = [np.abs(random(*s, seed=i)) + 0.5 for i, s in enumerate(shapes)]

    def test_a_list_a_dict_and_a_file(self):
        convert.from_keras_weights(self.net, self.weights)
        state = self.net.state_dict()
        for t, w in zip(state.values(), self.weights, strict=True):
            self.assertEqual(t.numpy().tobytes(), w.tobytes())
        # A depthwise kernel [h, w, c, m]: filter c * m + j reads channel c.
        x = random(1, 8, 8, 3)
        hidden = isobit.conv(isobit.from_numpy(x), isobit.from_numpy(self.weights[0].copy())).numpy() + self.weights[1]
        gamma, beta, mean, variance = self.weights[2:6]
        hidden = np.maximum((hidden - mean) / np.sqrt(variance + 1e-5) * gamma + beta, 0)
        kernel = self.weights[6]
        expected = np.zeros((1, 4, 4, 8))
        for p in range(4):
            for q in range(4):
                window = hidden[0, p:p + 3, q:q + 3, :, None]
                expected[0, p, q] = (window * kernel).sum((0, 1)).reshape(-1)
        logits = (expected + self.weights[7]).reshape(1, -1) @ self.weights[8] + self.weights[9]
        self.assert_close(self.net(isobit.from_numpy(x)), logits)

        digest = self.net.digest()
        named = {f"layer{i}/w": w for i, w in enumerate(self.weights)}
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "weights.npz")
            np.savez(path, **named)
            for source in (named, path):
                fresh = nn.from_description(nn.describe(self.net)).build((8, 8, 3), seed=2)
                convert.from_keras_weights(fresh, source)
                self.assertEqual(fresh.digest(), digest)

    def test_what_does_not_fit_changes_nothing(self):
        before = self.net.digest()
        for wrong, part in ((self.weights[:-1], "only 9"), ([*self.weights, self.weights[0]], "11"),
                            (self.weights[::-1], "0.weight (Conv2D)"),
                            ([w.astype(np.int32) for w in self.weights], "int32")):
            with self.assertRaises(convert.ConversionError) as caught:
                convert.from_keras_weights(self.net, wrong)
            self.assertIn(part, str(caught.exception))
            self.assertEqual(self.net.digest(), before)


if __name__ == "__main__":
    unittest.main()
