"""isobit.convert against PyTorch, both ways."""

import os
import tempfile
import unittest

import numpy as np

import isobit
from isobit import convert, nn
from support import TestCase, needs_torch, torch

if torch is not None:
    import torch.nn.functional as F
    from convert_bounds import bound
    from convert_nets import VGG11, ResNet18, lived_in
    from torch import nn as tnn

try:
    import safetensors.numpy
except ImportError:
    safetensors = None


def last(x):
    """[n, c, h, w] as a tensor [n, h, w, c]."""
    x = x.detach().numpy() if torch is not None and isinstance(x, torch.Tensor) else x
    return isobit.from_numpy(np.ascontiguousarray(np.moveaxis(x, 1, -1)))


def first(y):
    """[n, h, w, c] as an array [n, c, h, w]."""
    return np.moveaxis(y.numpy(), -1, 1)


def noise(*shape, dtype="float32", seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=getattr(torch, dtype))


def sample_of(x):
    return (*x.shape[2:], x.shape[1])


def same_state(a, b):
    return list(a) == list(b) and all(torch.equal(a[k], b[k]) for k in a if not k.endswith("num_batches_tracked"))


@needs_torch
class WholeNetworks(TestCase):
    def check(self, make, x):
        torch.manual_seed(3)
        module = lived_in(make().to(x.dtype))
        net = convert.from_torch(module, sample_of(x))
        expected = module(x).detach().numpy()
        error = np.abs(net(last(x)).numpy().astype(np.float64) - expected)
        allowed = bound(module, x)
        self.assertTrue((error <= allowed).all(), f"error {error.max()}, bound {allowed.min()}")
        self.assertGreater(np.abs(expected).max(), 0.01)

        # Back into another module of the kind, bit for bit.
        other = make().to(x.dtype).eval()
        convert.weights_to(net, other)
        self.assertTrue(same_state(module.state_dict(), other.state_dict()))

        # As a torch module of its own, which torch computes as it did the first, and back again.
        back = convert.to_torch(net)
        self.assertTrue((np.abs(back(x).detach().numpy() - expected) <= allowed).all())
        again = convert.from_torch(back, sample_of(x))
        for a, b in zip(net.state_dict().values(), again.state_dict().values(), strict=True):
            self.assert_bits(a, b)

        # And into a fresh network of the same layers.
        fresh = nn.from_description(nn.describe(net)).build(net.input_shape, seed=9, dtype=net.dtype).eval()
        convert.weights_from(module, fresh)
        self.assertEqual(fresh.digest(), net.digest())

    def test_resnet_18(self):
        self.check(ResNet18, noise(2, 3, 48, 48))
        self.check(lambda: ResNet18(width=8), noise(2, 3, 48, 64, dtype="float64"))

    def test_vgg_11(self):
        self.check(VGG11, noise(2, 3, 48, 48))
        self.check(lambda: VGG11(hidden=16, pooled=3), noise(2, 3, 64, 48, dtype="float64"))

    def test_the_saved_file_gives_the_same_bits(self):
        net = convert.from_torch(lived_in(ResNet18(width=8)), (32, 32, 3))
        x = last(noise(2, 3, 32, 32))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "resnet.safetensors")
            nn.save_model(path, net, name="resnet", classes=[str(i) for i in range(10)])
            model = nn.load_model(path)
        self.assertEqual((model.name, model.input, len(model.classes)), ("resnet", (32, 32, 3), 10))
        self.assert_bits(model.net(x), net(x))

    def test_the_mode_goes_along(self):
        module = tnn.Sequential(tnn.Conv2d(3, 4, 3), tnn.Dropout(0.5))
        self.assertTrue(convert.from_torch(module, (8, 8, 3)).training)
        self.assertFalse(convert.from_torch(module.eval(), (8, 8, 3)).training)
        self.assertFalse(module.training)

    def test_half_precision(self):
        for dtype in (torch.float16, torch.bfloat16):
            module = tnn.Sequential(tnn.Conv2d(3, 4, 3), tnn.ReLU(), tnn.Flatten(), tnn.Linear(4 * 36, 5)).to(dtype)
            net = convert.from_torch(module, (8, 8, 3))
            back = convert.to_torch(net)
            self.assertTrue(same_state(module.state_dict(), back.state_dict()))


@needs_torch
class Layers(TestCase):
    def both_ways(self, module, x):
        """torch -> isobit -> torch in f64: values agree to the last bits, weights to the last one."""
        module = lived_in(module.double())
        expected = module(x).detach().numpy()
        net = convert.from_torch(module, sample_of(x))
        self.assert_close(first(net(last(x))), expected, 1e-12)
        back = convert.to_torch(net)
        self.assert_close(back(x).detach().numpy(), expected, 1e-12)
        self.same_values(convert.from_torch(back, sample_of(x)), net)

    def same_values(self, a, b):
        for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True):
            self.assert_bits(x, y)

    def test_each_kind_in_two_dimensions(self):
        x = noise(2, 4, 9, 11, dtype="float64")
        for module in [
            tnn.Conv2d(4, 6, 3), tnn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2), groups=2, bias=False),
            tnn.Conv2d(4, 8, 3, padding="same", groups=4), tnn.Conv2d(4, 6, (4, 2), padding="same"),
            tnn.Conv2d(4, 6, 3, padding="valid"), tnn.Conv2d(4, 6, 3, padding=2, padding_mode="reflect"),
            tnn.Conv2d(4, 6, 3, padding=(1, 2), padding_mode="replicate"),
            tnn.Conv2d(4, 6, 3, padding=1, padding_mode="circular", stride=2),
            tnn.ConvTranspose2d(4, 6, 3), tnn.ConvTranspose2d(4, 6, (3, 4), 2, (1, 2), (1, 0), groups=2),
            tnn.ConvTranspose2d(4, 6, 3, dilation=2, bias=False),
            tnn.BatchNorm2d(4), tnn.BatchNorm2d(4, eps=1e-3, momentum=0.3, affine=False), tnn.GroupNorm(2, 4),
            tnn.InstanceNorm2d(4), tnn.InstanceNorm2d(4, affine=True), tnn.LocalResponseNorm(3, 0.1, 0.5, 2),
            tnn.MaxPool2d(2), tnn.MaxPool2d(3, 2, 1), tnn.MaxPool2d(3, 2, ceil_mode=True),
            tnn.MaxPool2d((2, 3), (1, 2), (1, 0), dilation=(1, 2)), tnn.AvgPool2d(2),
            tnn.AvgPool2d(3, 2, 1, ceil_mode=True), tnn.AvgPool2d(3, 2, 1, count_include_pad=False), tnn.LPPool2d(2, 2),
            tnn.AdaptiveAvgPool2d((3, None)), tnn.AdaptiveAvgPool2d(1), tnn.AdaptiveMaxPool2d((2, 5)),
            tnn.ZeroPad2d((1, 2, 3, 0)), tnn.ConstantPad2d((1, -1, 0, 2), 0.5), tnn.ReflectionPad2d((1, 2, 3, 0)),
            tnn.ReplicationPad2d(2), tnn.CircularPad2d((1, 0, 2, 3)), tnn.Upsample(scale_factor=2),
            tnn.Upsample(size=(18, 33), mode="nearest"), tnn.Upsample(scale_factor=3, mode="bilinear"),
            tnn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), tnn.PixelShuffle(2),
            tnn.ReLU(), tnn.LeakyReLU(0.2), tnn.ELU(0.7), tnn.GELU(), tnn.SiLU(), tnn.Sigmoid(), tnn.Tanh(), tnn.Softplus(),
            tnn.Softmax(1), tnn.LogSoftmax(1), tnn.Dropout(0.3),
        ]:
            with self.subTest(str(module)):
                self.both_ways(tnn.Sequential(module), x)

    def test_one_and_three_dimensions(self):
        line, volume = noise(2, 4, 11, dtype="float64"), noise(2, 4, 5, 6, 7, dtype="float64")
        for module in [tnn.Conv1d(4, 6, 3, 2, 1, 2), tnn.ConvTranspose1d(4, 6, 3, 2, 1, 1), tnn.BatchNorm1d(4),
                       tnn.MaxPool1d(3, 2, 1), tnn.AvgPool1d(2), tnn.AdaptiveAvgPool1d(3), tnn.ReflectionPad1d(2),
                       tnn.Upsample(scale_factor=2, mode="linear")]:
            with self.subTest(str(module)):
                self.both_ways(tnn.Sequential(module), line)
        for module in [tnn.Conv3d(4, 2, (1, 2, 3), padding=(0, 1, 1), groups=2), tnn.ConvTranspose3d(4, 2, 2, 2),
                       tnn.BatchNorm3d(4), tnn.MaxPool3d(2), tnn.AvgPool3d((1, 2, 2)), tnn.AdaptiveMaxPool3d(2),
                       tnn.Upsample(scale_factor=2, mode="trilinear")]:
            with self.subTest(str(module)):
                self.both_ways(tnn.Sequential(module), volume)

    def test_features_behind_a_flatten(self):
        x = noise(3, 4, 5, 6, dtype="float64")
        self.both_ways(tnn.Sequential(tnn.Flatten(), tnn.BatchNorm1d(120), tnn.ReLU(), tnn.LayerNorm(120), tnn.Dropout(),
                                      tnn.Linear(120, 7), tnn.Softmax(1), tnn.Linear(7, 3, bias=False)), x)

    def test_functions_residuals_and_branches(self):
        class Net(tnn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b, self.c = tnn.Conv2d(4, 4, 3, padding=1), tnn.Conv2d(4, 2, 1), tnn.Conv2d(4, 3, 1)
                self.end = tnn.Linear(5, 3)

            def forward(self, x):
                x = F.leaky_relu(self.a(x), 0.1) + x
                x = x + F.relu(self.a(x))  # one layer at two places
                x = torch.cat([self.b(x), F.max_pool2d(self.c(x), 3, stride=1, padding=1)], dim=1)
                x = F.avg_pool2d(torch.sigmoid(x), 2).relu()
                x = F.adaptive_avg_pool2d(x, (2, 2))
                return F.log_softmax(self.end(x.mean((2, 3))), dim=1)

        self.both_ways(Net(), noise(2, 4, 8, 8, dtype="float64"))

        class View(tnn.Module):
            def __init__(self):
                super().__init__()
                self.end = tnn.Linear(4 * 16, 3)

            def forward(self, x):
                return self.end(F.max_pool2d(x, 2).view(x.size(0), -1))

        self.both_ways(View(), noise(2, 4, 8, 8, dtype="float64"))

    def test_what_torch_lacks_of_isobits_layers(self):
        x = noise(2, 4, 6, 8, dtype="float64")
        for layer in [
            nn.Conv2D(6, 3, padding=((1, 2), (0, 3)), pad_value=0.5, activation="gelu"),
            nn.Conv2D(6, 3, stride=2, padding="same", mode="replicate", activation="leaky_relu", slope=0.3),
            nn.Conv2D(6, 3, padding="causal"), nn.Conv2D(6, 2, padding="full", activation="tanh"),
            nn.ConvTranspose2D(6, 3, stride=2, padding="same", activation="silu"),
            nn.ConvTranspose2D(4, 3, stride=2, output_shape=(13, 18)), nn.Linear(3), nn.LayerNorm(), nn.GlobalAvgPool(),
            nn.GlobalMaxPool(), nn.GlobalLpPool(3), nn.Input((6, 8, 4), mean=0.5, deviation=3),
        ]:
            with self.subTest(layer.describe()):
                net = nn.Sequential(layer).build((6, 8, 4), seed=2, dtype="f64").eval()
                back = convert.to_torch(net)
                self.assert_close(back(x).detach().numpy(), first(net(last(x))), 1e-12)
                self.same_values(convert.from_torch(back, (6, 8, 4)), net)

    def test_isobits_models(self):
        for name, sample in (("lenet", (28, 28, 1)), ("vgg-small", (32, 32, 3)), ("resnet-small", (32, 32, 3))):
            net = isobit.models.make(name).build(sample, seed=5).eval()
            x = noise(2, sample[2], *sample[:2])
            self.assert_close(convert.to_torch(net)(x).detach().numpy(), net(last(x)), 1e-5)


@needs_torch
class Errors(TestCase):
    def refused(self, module, sample, *parts):
        with self.assertRaises(convert.ConversionError) as caught:
            convert.from_torch(module, sample)
        for part in parts:
            self.assertIn(part, str(caught.exception))

    def test_the_path_and_the_kind_are_named(self):
        inner = tnn.Sequential(tnn.Conv2d(3, 3, 3), tnn.PReLU())
        self.refused(tnn.Sequential(tnn.ReLU(), inner), (8, 8, 3), "1.1", "PReLU", "Replace it")
        self.refused(tnn.Sequential(tnn.ReLU(), tnn.GELU("tanh")), (8, 8, 3), "1 (GELU)", "tanh")
        self.refused(tnn.Sequential(tnn.LSTM(8, 3)), (8, 3), "0 (LSTM)")
        self.refused(tnn.Sequential(tnn.MaxPool2d(2, return_indices=True)), (8, 8, 3), "MaxPool2d", "indices")
        self.refused(tnn.Sequential(tnn.BatchNorm2d(3, momentum=None)), (8, 8, 3), "momentum")
        self.refused(tnn.Sequential(tnn.Flatten()), (8, 8, 3), "Flatten", "Linear")
        self.refused(tnn.Sequential(tnn.Conv2d(3, 4, 3)), (8, 8, 5), "[8, 8, 5]", "channels last", "at 0:")

    def test_graphs_that_are_no_trees(self):
        class Crossed(tnn.Module):
            def forward(self, x):
                a, b = torch.relu(x), torch.tanh(x)
                return torch.cat([a + b, a], 1)

        self.refused(Crossed(), (4, 4, 2), "read by branches")

        class Scaled(tnn.Module):
            def __init__(self):
                super().__init__()
                self.scale = tnn.Parameter(torch.ones(1))

            def forward(self, x):
                return torch.relu(x) * self.scale

        self.refused(Scaled(), (4, 4, 2), "mul", "cannot be converted")

        class Branching(tnn.Module):
            def forward(self, x):
                return x if x.sum() > 0 else -x

        self.refused(Branching(), (4, 4, 2), "Branching", "trace")

    def test_weights_of_another_network(self):
        module = tnn.Sequential(tnn.Conv2d(3, 4, 3), tnn.ReLU(), tnn.Flatten(), tnn.Linear(144, 2))
        net = nn.Sequential(nn.Conv2D(4, 3), nn.Flatten(), nn.Linear(3)).build((8, 8, 3), seed=1)
        before = net.digest()
        with self.assertRaises(convert.ConversionError) as caught:
            convert.weights_from(module, net)
        self.assertIn("3 (Linear)", str(caught.exception))
        with self.assertRaises(convert.ConversionError):
            convert.weights_to(net, module)
        self.assertEqual(net.digest(), before)

    def test_what_cannot_go_to_torch(self):
        for layer, part in ((nn.Conv2D(2, 3, flip=True), "flip"), (nn.Pad(1, mode="symmetric"), "symmetric"),
                            (nn.DepthToSpace(2), "DepthToSpace"), (nn.Flatten(), "flattened"),
                            (nn.LocalResponseNorm(4), "even")):
            with self.assertRaises(convert.ConversionError) as caught:
                convert.to_torch(nn.Sequential(layer).build((8, 8, 4)))
            self.assertIn(part, str(caught.exception))
        with self.assertRaisesRegex(ValueError, "not built"):
            convert.to_torch(nn.Sequential(nn.ReLU()))


@needs_torch
@unittest.skipIf(safetensors is None, "this Python has no safetensors")
class SafeTensors(TestCase):
    def test_files_of_torch_are_read_and_the_other_way_round(self):
        import safetensors.torch

        module = lived_in(ResNet18(width=8))
        net = convert.from_torch(module, (32, 32, 3))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "file.safetensors")
            safetensors.torch.save_file(module.state_dict(), path)
            read = isobit.io.read_safetensors(path).tensors
            for name, t in module.state_dict().items():
                self.assertTrue(torch.equal(torch.from_dlpack(read[name]), t), name)

            # A network's own file in torch: the names are those of to_torch.
            nn.save_model(path, net)
            theirs = safetensors.torch.load_file(path)
            for name, t in net.state_dict().items():
                self.assertTrue(torch.equal(torch.from_dlpack(t), theirs[name]), name)
            self.assertEqual(set(theirs), set(net.state_dict()))
            self.assertEqual(set(safetensors.numpy.load_file(path)), set(net.state_dict()))


if __name__ == "__main__":
    unittest.main()
