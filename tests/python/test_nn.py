"""Layers, modules, networks, pickling, files."""

import copy
import os
import pickle
import tempfile
import unittest

import numpy as np

import isobit
from isobit import models, nn, optim
from support import TestCase, random


class Gate(nn.Module):
    """A module with children."""

    def __init__(self, n):
        super().__init__()
        self.n = n
        self.value = nn.Linear(n)
        self.gate = nn.Linear(n)

    def forward(self, x):
        return self.value(x) * isobit.sigmoid(self.gate(x))


class Scale(nn.Module):
    """A module with a parameter of its own."""

    def plan(self, sample):
        return nn.Plan(sample, [nn.ParameterSpec("scale", sample[-1:], nn.constant(3))])

    def forward(self, x):
        return x * self.parameter(0)


def double(x):
    return x * 2


class Layers(TestCase):
    def test_every_layer_runs(self):
        image = [
            nn.Input((8, 8, 4)), nn.Conv2D(4, 3), nn.Conv2D(4, (3, 1), padding=[(1, 0), 0], mode="reflect"),
            nn.ConvTranspose2D(2, 2, stride=2), nn.MaxPool2D(2), nn.AvgPool2D((2, 1)), nn.MaxPool(2), nn.AvgPool(2),
            nn.LpPool(2, 3), nn.AdaptiveMaxPool(3), nn.AdaptiveAvgPool((2, 3)), nn.GlobalAvgPool(), nn.GlobalMaxPool(),
            nn.GlobalLpPool(), nn.Upsample(2, "linear"), nn.Pad(1, "symmetric"), nn.DepthToSpace(2), nn.PixelShuffle(2),
            nn.BatchNorm(), nn.LayerNorm(), nn.GroupNorm(2), nn.InstanceNorm(), nn.LocalResponseNorm(3), nn.ReLU(),
            nn.LeakyReLU(), nn.ELU(), nn.GELU(), nn.SiLU(), nn.Sigmoid(), nn.Tanh(), nn.Softplus(), nn.Softmax(),
            nn.LogSoftmax(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(3), nn.Lambda("Double", double),
            nn.Residual(nn.Conv2D(4, 3, padding="same")), nn.Concat(nn.Sequential(), nn.Conv2D(2, 1)),
        ]  # fmt: skip
        x = isobit.tensor(random(2, 8, 8, 4))
        for layer in image:
            with self.subTest(layer=repr(layer)):
                y = layer(x)
                self.assertEqual(y.shape[1:], layer.output_shape((8, 8, 4)))
                again = pickle.loads(pickle.dumps(layer))
                self.assertEqual(repr(again), repr(layer))
                self.assertEqual(again.digest(), layer.digest())
                self.assert_bits(again.eval()(x), layer.eval()(x))
        for layer, shape in [(nn.Conv1D(2, 3), (2, 9, 3)), (nn.Conv3D(2, 2), (2, 4, 5, 6, 3)),
                             (nn.ConvTranspose1D(2, 3), (2, 9, 3)), (nn.ConvTranspose3D(2, 2), (2, 3, 4, 5, 3))]:  # fmt: skip
            layer(isobit.tensor(random(*shape)))

    def test_options_are_kept(self):
        layer = nn.Conv2D(8, 3, padding="same", groups=2)
        self.assertEqual((layer.options["filters"], layer.options["padding"], layer.options["stride"]), (8, "same", 1))
        self.assertEqual(repr(layer), "Conv2D(8, 3x3, same, 2 groups)")

    def test_what_was_put_in_comes_back(self):
        conv, gate = nn.Conv2D(2, 3), Gate(3)
        gate.note = "mine"
        net = nn.Sequential(conv, nn.Flatten(), gate)
        self.assertIs(net[0], conv)
        del gate
        self.assertEqual(net[2].note, "mine")
        self.assertEqual([type(layer).__name__ for layer in net], ["Conv2D", "Flatten", "Gate"])
        self.assertEqual(len(net[1:]), 2)

    def test_modules_in_python(self):
        net = nn.Sequential(nn.Flatten(), Gate(6), Scale(), nn.Linear(3)).build((2, 2, 1), seed=5)
        self.assertEqual(
            list(net.named_parameters()),
            ["1.value.weight", "1.value.bias", "1.gate.weight", "1.gate.bias", "2.scale", "3.weight", "3.bias"],
        )
        p = {name: t.numpy() for name, t in net.named_parameters().items()}
        a = random(5, 2, 2, 1)
        h = a.reshape(5, 4)
        h = (h @ p["1.value.weight"] + p["1.value.bias"]) / (1 + np.exp(-(h @ p["1.gate.weight"] + p["1.gate.bias"])))
        self.assert_close(net(isobit.tensor(a)).detach(), h * 3 @ p["3.weight"] + p["3.bias"])
        isobit.cross_entropy(net(isobit.tensor(a)), isobit.tensor([0, 1, 2, 0, 1])).backward()
        self.assertTrue(all(t.grad is not None for t in net.parameters()))
        self.assertIn("Gate", str(net.summary()))
        self.assertIn("<table>", net.summary()._repr_html_())
        self.assertIn("<table>", net._repr_html_())

    def test_the_arithmetic_of_a_network(self):
        if not any(d.device == "simt" for d in isobit.devices()):
            self.skipTest("this build has no simt")
        net = nn.Sequential(nn.Conv2D(8, 3), nn.ReLU(), nn.Flatten(), Gate(4)).build((5, 5, 8), "simt", seed=1)
        x = isobit.tensor(random(2, 5, 5, 8)).to("simt")

        def run():
            y = net(x)
            return [y, *isobit.grad((y * y).sum(), net.parameters())]

        self.assertIsNone(net.math)
        plain = run()
        net.math = "exact"
        with isobit.math("fast-bf16"):
            for a, b in zip(run(), plain):
                self.assert_bits(a, b)
        net.math = isobit.Math.fast_bf16
        for a, b in zip(run(), plain):
            self.assertFalse(isobit.equal_bits(a, b))
        net[0].math = "exact"
        self.assertEqual((net.math, net[0].math, net[3].math), ("fast-bf16", "exact", None))
        self.assertIn("in exact", repr(net).splitlines()[1])
        self.assertTrue(repr(net).endswith(") in fast-bf16"))
        summary = net.summary()
        self.assertEqual((summary.math, [r.math for r in summary.rows]), ("fast-bf16", ["exact"] + 3 * ["fast-bf16"]))
        self.assertRegex(str(summary), r"Conv2D\(8, 3x3\) in exact")
        self.assertIn("arithmetic fast-bf16 (f32 through bf16)", str(summary))
        self.assertIn("in exact", summary._repr_html_())
        self.assertIn("arithmetic fast-bf16", summary._repr_html_())
        for again in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
            self.assertEqual((again.math, again[0].math, again[3].math), ("fast-bf16", "exact", None))
            self.assert_bits(again(x), net(x))
        net.math = net[0].math = None
        self.assert_bits(net(x), plain[0])
        with self.assertRaisesRegex(ValueError, "fast-bf16"):
            net.math = "quick"
        with self.assertRaises(TypeError):
            net.math = 3

    def test_errors_of_modules(self):
        class Wrong(nn.Module):
            def forward(self, x):
                return 3

        class Broken(nn.Module):
            def forward(self, x):
                raise KeyError("inside forward")

        class Empty(nn.Module):
            def __init__(self):
                pass

        x = isobit.ones((1, 2))
        with self.assertRaisesRegex(TypeError, "expected a Tensor"):
            Wrong()(x)
        with self.assertRaisesRegex(KeyError, "inside forward"):
            nn.Sequential(Broken())(x)
        with self.assertRaises(TypeError):
            nn.Sequential(Empty())
        with self.assertRaises(TypeError):
            nn.Sequential(3)
        with self.assertRaises(NotImplementedError):
            nn.Module()(x)
        for name in ("plan", "describe"):
            net = nn.Sequential(type("Odd", (Gate,), {name: lambda self, *_: 3})(2))
            with self.subTest(name), self.assertRaisesRegex(TypeError, name):
                net.build((2,)).summary()
        with self.assertRaisesRegex(TypeError, "state"):
            nn.Sequential(nn.Linear(2)).build((2,)).load_state_dict({3: x})

    def test_parameters_that_are_not_there(self):
        class Both(Gate):  # parameters of its own beside its children's
            def plan(self, sample):
                spec = nn.ParameterSpec
                return nn.Plan(sample, [spec("a", (2,), nn.constant(1)), spec("b", (2,), nn.constant(2))],
                               [spec("c", (2,), nn.constant(3))])  # fmt: skip

        module = Both(2)
        for i in (-1, 0, 5):
            self.assertIsNone(module.parameter(i))
            self.assertIsNone(module.buffer(i))
        module.build((2,))
        self.assertEqual([module.parameter(i).tolist() for i in (0, 1)], [[1, 1], [2, 2]])
        self.assertEqual(module.buffer(0).tolist(), [3, 3])
        self.assertEqual(module.buffer(0).data_ptr(), module.state_dict()["c"].data_ptr())
        for read, i in [(module.parameter, 2), (module.parameter, -1), (module.buffer, 1), (module.buffer, 2**40)]:
            with self.assertRaisesRegex(IndexError, f"Both: there is no .* {i}"):
                read(i)
        with self.assertRaises(TypeError):
            module.parameter("a")

    def test_models_are_the_librarys(self):
        self.assertEqual(models.names(), isobit._core.library_models.names())
        for name in models.names():
            mine, theirs = models.make(name), isobit._core.library_models.make(name)
            mine.build((28, 28, 1), seed=3)
            theirs.build((28, 28, 1), seed=3)
            self.assertEqual(str(mine.summary()), str(theirs.summary()))
            self.assertEqual(mine.digest(), theirs.digest())

    def test_state(self):
        net = models.lenet().build((28, 28, 1), seed=1)
        other = models.lenet().build((28, 28, 1), seed=2)
        self.assertNotEqual(net.digest(), other.digest())
        other.load_state_dict(net.state_dict())
        self.assertEqual(net.digest(), other.digest())
        state = net.state_dict()
        state["no.such"] = state.pop("0.weight")
        with self.assertRaisesRegex(ValueError, "no.such"):
            other.load_state_dict(state)

    def test_a_step_of_each_optimizer(self):
        for kind in (optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop):
            net = nn.Sequential(nn.Linear(3)).build((4,), seed=1)
            before = net.digest()
            optimizer = kind([{"parameters": [net.parameters()[0]], "lr": 0.5}, {"parameters": [net.parameters()[1]]}])
            self.assertEqual(optimizer.lr(), 0.5)
            isobit.square(net(isobit.tensor(random(2, 4)))).sum().backward()
            optimizer.set_lr_factor(optim.warm_up(10, optim.cosine(100))(0))
            optimizer.step()
            self.assertNotEqual(net.digest(), before)
            with self.assertRaisesRegex(ValueError, "gradient"):
                optimizer.step()
        for groups in ([{"parameters": [], "rate": 1}], [{"parameters": []}, 3], [{"parameters": [], 3: 1}],
                       [{"parameters": [], "nesterov": "yes"}]):  # fmt: skip
            with self.assertRaises(TypeError):
                optim.SGD(groups)
        with self.assertRaisesRegex(TypeError, "schedule"):
            optim.warm_up(1, lambda step: "fast")(5)


class Pickling(TestCase):
    def test_tensors(self):
        for dtype in ("f32", "f64", "f16", "bf16", "i32", "i64", "u8", "bool"):
            for shape in [(), (0, 2), (3, 4)]:
                t = isobit.tensor(random(*shape)).to(dtype)
                for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
                    self.assert_bits(pickle.loads(pickle.dumps(t, protocol)), t)
        t = isobit.tensor(np.array([np.nan, -0.0, np.inf, 1e-45], np.float32)).set_requires_grad()
        t.grad = isobit.ones(4)
        again = pickle.loads(pickle.dumps(t))
        np.testing.assert_array_equal(again.detach().numpy().view(np.uint32), t.detach().numpy().view(np.uint32))
        self.assertTrue(again.requires_grad)
        self.assert_bits(again.grad, t.grad)

    def test_small_types(self):
        for value in (isobit.f16, isobit.Device("cpu"), nn.kaiming_normal(2, "out")):
            self.assertEqual(repr(pickle.loads(pickle.dumps(value))), repr(value))

    def test_networks(self):
        shared = nn.Linear(4)
        net = nn.Sequential(nn.Flatten(), shared, Gate(4), nn.ReLU(), nn.Residual(nn.Sequential(nn.Linear(4))), shared)
        net.build((2, 2, 1), seed=9)
        net.named_parameters()["1.bias"].set_requires_grad(False)
        x = isobit.tensor(random(3, 2, 2, 1))
        for again in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
            self.assertEqual(again.digest(), net.digest())
            self.assert_bits(again(x), net(x))
            self.assertEqual(again[1], again[5])
            self.assertEqual(again[2].n, 4)
            self.assertFalse(again.named_parameters()["1.bias"].requires_grad)
            self.assertNotEqual(again[1], net[1])
        fresh = pickle.loads(pickle.dumps(models.resnet_small()))
        self.assertFalse(fresh.built())

    def test_what_cannot_be_pickled_says_so(self):
        with self.assertRaises((pickle.PicklingError, AttributeError)):
            pickle.dumps(nn.Lambda("L", lambda x: x))


class Files(TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "file")

    def test_safetensors(self):
        tensors = {"b": isobit.tensor(random(3, 4)), "a": isobit.tensor([1, 2])}
        isobit.io.write_safetensors(self.path, tensors, {"note": "text"})
        file = isobit.io.read_safetensors(self.path)
        self.assertEqual(file.metadata, {"note": "text"})
        self.assertEqual(isobit.io.digest(file.tensors), isobit.io.digest(tensors))
        self.assert_bits(file["b"], tensors["b"])
        with self.assertRaises(ValueError):
            isobit.io.decode_safetensors(b"\xff" * 20)
        with self.assertRaises(ValueError):
            isobit.io.read_safetensors(self.path + "no")

    def test_images(self):
        image = isobit.tensor(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
        isobit.io.write_png(self.path, image)
        self.assert_bits(isobit.io.read_image(self.path), image)
        self.assert_bits(isobit.io.decode_png(isobit.io.encode_png(image)), image)
        with self.assertRaises(ValueError):
            isobit.io.read_png(self.path, max_pixels=15)

    def test_saved_models(self):
        net = models.resnet_small().build((28, 28, 1), seed=4)
        nn.save_model(self.path, net, name="resnet-small", classes=[str(i) for i in range(10)])
        saved = nn.load_model(self.path)
        self.assertEqual((saved.net.digest(), saved.input, saved.name), (net.digest(), (28, 28, 1), "resnet-small"))
        self.assertIsInstance(saved.net, nn.Sequential)
        for layer, original in zip(saved.net, net):
            self.assertIs(type(layer), type(original))
            self.assertEqual(repr(layer), repr(original))
        again = pickle.loads(pickle.dumps(saved.net))
        self.assertEqual(again.digest(), net.digest())

    def test_descriptions(self):
        net = nn.Sequential(nn.Conv2D(4, (3, 2), padding=[(1, 0), 2], mode=["reflect", "circular"], stride=2,
                                      init=nn.kaiming_normal(2, "out")), nn.BatchNorm(momentum=0.2), nn.Flatten(),
                            nn.Linear(3, init=nn.normal(0, 0.01)))  # fmt: skip
        description = nn.describe(net)
        self.assertEqual(description["layers"][0]["kind"], "Conv2D")
        again = nn.from_description(description)
        self.assertEqual(nn.describe(again), description)
        copied = pickle.loads(pickle.dumps(again))
        self.assertEqual(nn.describe(copied), description)
        self.assertEqual(copied.build((9, 9, 2), seed=1).digest(), net.build((9, 9, 2), seed=1).digest())


if __name__ == "__main__":
    unittest.main()
