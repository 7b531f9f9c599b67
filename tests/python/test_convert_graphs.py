"""What isobit.convert makes of torch graphs where a value changes in place, a module is shared or a size is fitted."""

import unittest

import numpy as np

import isobit
from isobit import convert, nn
from support import TestCase, needs_torch, torch

if torch is not None:
    import torch.nn.functional as F
    from convert_nets import lived_in
    from test_convert_torch import first, last, noise, sample_of
    from torch import nn as tnn


class GraphTestCase(TestCase):
    def same_values(self, module, x):
        """The network, which computes what the module does."""
        module = lived_in(module.double())
        net = convert.from_torch(module, sample_of(x))
        expected = module(x.clone()).detach().numpy()  # it may overwrite what it gets
        self.assert_close(first(net(last(x))), expected, 1e-12)
        return net

    def refused(self, module, sample, *parts):
        with self.assertRaises(convert.ConversionError) as caught:
            convert.from_torch(module, sample)
        for part in parts:
            self.assertIn(part, str(caught.exception))


@needs_torch
class InPlace(GraphTestCase):
    def module(self, forward, **parts):
        class Net(tnn.Module):
            def __init__(self):
                super().__init__()
                for name, part in parts.items():
                    self.add_module(name, part)

        Net.forward = forward
        return Net()

    def test_what_is_read_later_is_the_changed_value(self):
        x = noise(2, 4, 6, 6, dtype="float64")

        # The skip connections of U-Nets in the manner of pix2pix.
        self.same_values(self.module(lambda m, x: torch.cat([x, m.down(x)], 1), down=tnn.Sequential(
            tnn.LeakyReLU(0.2, True), tnn.Conv2d(4, 3, 3, padding=1), tnn.BatchNorm2d(3))), x)

        def functions(m, x):
            a = m.a(x)
            F.elu(a, 0.5, inplace=True)
            b = torch.relu_(m.b(a))
            b += a
            return b

        self.same_values(self.module(functions, a=tnn.Conv2d(4, 4, 1), b=tnn.Conv2d(4, 4, 1)), x)

        def methods(m, x):
            a = m.a(x)
            b = m.b(a)
            same = b
            b.add_(a)
            b.relu_()
            return torch.cat([m.c(b), same], 1)

        self.same_values(self.module(methods, a=tnn.Conv2d(4, 4, 1), b=tnn.Conv2d(4, 4, 1), c=tnn.Conv2d(4, 2, 1)), x)

    def test_dropout_in_place(self):
        # In evaluation it changes nothing, in training it does.
        for forward in (lambda m, x: m.drop(x) + x, lambda m, x: F.dropout(x, 0.25, m.training, True) + x):
            net = convert.from_torch(self.module(forward, drop=tnn.Dropout(0.25, inplace=True)), (4, 4, 2))
            kinds = [layer["kind"] for layer in nn.describe(net)["layers"]]
            self.assertEqual(kinds, ["Dropout", "Residual"])

    def test_another_view_of_what_changed(self):
        def flattened(m, x):
            x = m.a(x)
            m.act(x.flatten(1))
            return x

        self.refused(self.module(flattened, a=tnn.Conv2d(2, 2, 1), act=tnn.ReLU(True)), (4, 4, 2), "reads a,",
                     "act has overwritten")

        def before(m, x):
            x = m.a(x)
            flat = x.view(x.size(0), -1)
            x.relu_()
            return m.end(flat)

        self.refused(self.module(before, a=tnn.Conv2d(2, 2, 1), end=tnn.Linear(32, 2)), (4, 4, 2), "end (Linear)",
                     "overwritten")


@needs_torch
class Shared(GraphTestCase):
    def test_the_order_of_features_is_that_of_each_place(self):
        relu = nn.ReLU()
        net = nn.Sequential(nn.Conv2D(3, 3), relu, nn.Flatten(), relu, nn.Linear(4)).build((6, 7, 2), seed=3, dtype="f64")
        x = noise(2, 2, 6, 7, dtype="float64")
        self.assert_close(convert.to_torch(net.eval())(x).detach().numpy(), net(last(x)), 1e-12)

        block = nn.Sequential(nn.Flatten(), nn.ReLU())
        net = nn.Sequential(nn.Conv2D(3, 3), block, block, nn.Linear(4)).build((6, 7, 2), seed=3, dtype="f64").eval()
        self.assert_close(convert.to_torch(net)(x).detach().numpy(), net(last(x)), 1e-12)

    def test_a_shared_layer_with_weights_is_one_module(self):
        conv = nn.Conv2D(2, 3, padding="same")
        net = nn.Sequential(conv, nn.ReLU(), conv).build((6, 7, 2), seed=3, dtype="f64").eval()
        x = noise(2, 2, 6, 7, dtype="float64")
        module = convert.to_torch(net)
        self.assertIs(module[0], module[2])
        self.assert_close(first(net(last(x))), module(x).detach().numpy(), 1e-12)

    def test_weights_in_two_orders(self):
        layer = nn.Linear(24)
        net = nn.Sequential(nn.Flatten(), layer, layer).build((3, 4, 2), seed=3, dtype="f64")
        with self.assertRaises(convert.ConversionError) as caught:
            convert.to_torch(net)
        self.assertIn("2 (Linear)", str(caught.exception))
        self.assertIn("order", str(caught.exception))

        linear = tnn.Linear(24, 24)
        self.refused(tnn.Sequential(tnn.Flatten(), linear, linear), (3, 4, 2), "(Linear)", "order")

    def test_what_depends_on_the_extents(self):
        # Padding "same" of a stride of 2 is another one for 8 rows than for 7.
        conv = nn.Conv2D(2, 3, stride=2, padding="same")
        with self.assertRaises(convert.ConversionError) as caught:
            convert.to_torch(nn.Sequential(conv, nn.Pad(((0, 3), (0, 3))), conv).build((8, 8, 2)))
        self.assertIn("2 (Conv2D)", str(caught.exception))

        x = noise(2, 3, 8, 8, dtype="float64")
        up, keep = tnn.Upsample(size=32), tnn.AdaptiveAvgPool2d((None, 1))
        self.same_values(tnn.Sequential(up, tnn.MaxPool2d(2), up), x)
        self.same_values(tnn.Sequential(keep, tnn.ZeroPad2d((0, 3, 0, 2)), keep), x)


@needs_torch
class Dense(GraphTestCase):
    """Every layer reads all before it."""

    class Net(tnn.Module if torch is not None else object):
        def __init__(self, join):
            super().__init__()
            self.join = join
            self.stem = tnn.Conv2d(3, 4, 3, padding=1)
            self.layers = tnn.ModuleList([tnn.Sequential(tnn.BatchNorm2d(4 + 2 * i), tnn.ReLU(True),
                                                         tnn.Conv2d(4 + 2 * i, 2, 3, padding=1)) for i in range(4)])
            self.end = tnn.Conv2d(12, 5, 1)

        def forward(self, x):
            features = [self.stem(x)]
            for layer in self.layers:
                features.append(layer(self.join(features)))
            return self.end(self.join(features))

    def test_concatenations_of_earlier_features(self):
        x = noise(2, 3, 7, 6, dtype="float64")
        for join in (lambda parts: torch.cat(parts, 1), lambda parts: torch.cat(parts[::-1], 1)):
            module = self.Net(join)
            net = self.same_values(module, x)
            self.assert_close(convert.to_torch(net)(x).detach().numpy(), first(net(last(x))), 1e-12)
            fresh = self.Net(join).double().eval()
            convert.weights_to(net, fresh)
            for a, b in zip(module.parameters(), fresh.parameters(), strict=True):
                self.assertTrue(torch.equal(a, b))

    def test_branches_that_cross_otherwise(self):
        def crossed(m, x):
            a, b = m.a(x), m.b(x)
            return torch.cat([m.c(torch.cat([a, b], 1)), m.d(torch.cat([b, a], 1))], 1)

        parts = {name: tnn.Conv2d(2 + 2 * (name > "b"), 2, 1) for name in "abcd"}
        self.refused(self.module(crossed, **parts), (4, 4, 2), "branches that do not begin there")

    module = InPlace.module


@needs_torch
class Sizes(GraphTestCase):
    def test_factors_are_whole(self):
        for scale in (2.2, (2.0, 2.2)):  # 4 rows become 8, but torch does not look where a factor of 2 does
            up = tnn.Upsample(scale_factor=scale, mode="bilinear")
            self.refused(tnn.Sequential(up), (4, 4, 2), "0 (Upsample)", "2.2")
        x = noise(2, 3, 4, 4, dtype="float64")
        self.same_values(tnn.Sequential(tnn.Upsample(scale_factor=2.2, mode="bilinear", recompute_scale_factor=True)), x)

    def test_arguments_beside_the_value(self):
        class Sized(tnn.Module):
            def __init__(self):
                super().__init__()
                self.up = tnn.ConvTranspose2d(2, 3, 3, stride=2)

            def forward(self, x):
                return self.up(x, output_size=[10, 10])

        self.refused(Sized(), (4, 4, 2), "up (ConvTranspose2d)", "output_size")

    def test_clipped_windows_of_lp_pools(self):
        # torch scales the sum of a window that is cut off as if it were whole.
        pool = tnn.LPPool2d(2, 2, ceil_mode=True)
        self.refused(tnn.Sequential(pool), (9, 8, 2), "0 (LPPool2d)", "ceil_mode")
        x = noise(2, 3, 8, 6, dtype="float64")
        net = self.same_values(tnn.Sequential(pool), x)
        self.assert_close(convert.to_torch(net)(x).detach().numpy(), first(net(last(x))), 1e-12)
        with self.assertRaisesRegex(convert.ConversionError, "ceil_mode"):
            convert.to_torch(nn.Sequential(nn.LpPool(2, 2, ceil_mode=True)).build((9, 8, 2)))

    def test_linear_over_the_last_axis(self):
        self.refused(tnn.Sequential(tnn.Linear(4, 3)), (5, 4, 4), "0 (Linear)", "last axis")
        self.refused(tnn.Sequential(tnn.Linear(4, 4)), (4, 4), "0 (Linear)", "last axis")


@needs_torch
class HalfPrecision(GraphTestCase):
    def make(self, dtype):
        return lived_in(tnn.Sequential(tnn.Conv2d(3, 4, 3), tnn.BatchNorm2d(4), tnn.GroupNorm(2, 4), tnn.Flatten(),
                                       tnn.LayerNorm(4 * 36), tnn.Linear(4 * 36, 5))).to(dtype)

    def test_norms_are_widened_and_come_back(self):
        for dtype in (torch.float16, torch.bfloat16):
            module = self.make(dtype)
            net = convert.from_torch(module, (8, 8, 3))
            self.assertEqual(str(net.state_dict()["1.gamma"].dtype), "f32")
            wide = convert.to_torch(net)
            for a, b in zip(module.parameters(), wide.parameters(), strict=True):
                self.assertTrue(torch.equal(a.to(b.dtype), b))
            other = self.make(dtype)
            with torch.no_grad():
                for p in other.parameters():
                    p.zero_()
            convert.weights_to(net, other)
            for a, b in zip(module.state_dict().values(), other.state_dict().values(), strict=True):
                self.assertTrue(torch.equal(a, b))
            fresh = nn.from_description(nn.describe(net)).build((8, 8, 3), seed=9, dtype=net.dtype)
            convert.weights_from(module, fresh)
            self.assertEqual(fresh.digest(), net.digest())

    def test_bits_that_half_precision_does_not_have(self):
        module = self.make(torch.float16)
        net = convert.from_torch(module, (8, 8, 3))
        gamma = net.state_dict()["1.gamma"]
        gamma.copy_from(thirds(gamma))
        before = [t.clone() for t in module.state_dict().values()]
        with self.assertRaisesRegex(convert.ConversionError, r"1 \(BatchNorm2d\).*gamma"):
            convert.weights_to(net, module)
        for a, b in zip(before, module.state_dict().values(), strict=True):
            self.assertTrue(torch.equal(a, b))


def thirds(like):
    return isobit.from_numpy(np.full(like.shape, 1 / 3, np.float32))


if __name__ == "__main__":
    unittest.main()
