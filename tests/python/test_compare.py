"""isobit.compare: verdicts from Python."""

import unittest

import numpy as np

import isobit
from isobit import compare, nn


class Judge(unittest.TestCase):
    def setUp(self):
        self.x = isobit.random_normal((2, 9, 9, 4), isobit.random_key(1, "x"))
        self.w = isobit.random_normal((3, 3, 4, 6), isobit.random_key(1, "w"))

    def judge(self, got, **options):
        return compare.judge("conv", got, self.x, self.w, padding=1, **options)

    def test_the_same_bits(self):
        judgement = self.judge(isobit.conv(self.x, self.w, padding=1))
        self.assertEqual(judgement.verdict, "bit-equal")
        self.assertEqual((judgement.different, judgement.beyond, judgement.first), (0, 0, -1))
        self.assertEqual(judgement.numel, 2 * 9 * 9 * 6)
        self.assertIn("bit-equal", str(judgement))

    def test_another_order(self):
        padded = np.pad(self.x.numpy(), [(0, 0), (1, 1), (1, 1), (0, 0)])
        y = sum(padded[:, r : r + 9, s : s + 9] @ self.w.numpy()[r, s] for s in (2, 1, 0) for r in (2, 1, 0))
        judgement = self.judge(isobit.tensor(y))
        self.assertEqual(judgement.verdict, "reordered")
        self.assertLess(judgement.max_share, 1)

    def test_lower_precision(self):
        x, w = (compare.round_operands(t, "tf32") for t in (self.x, self.w))
        judgement = self.judge(isobit.conv(x, w, padding=1))
        self.assertEqual(judgement.verdict, "lower precision")
        self.assertIn("tf32", judgement.explanation)

    def test_a_fault_and_its_place(self):
        judgement = self.judge(isobit.conv(self.x, self.w, padding=1, flip=True))
        self.assertEqual(judgement.verdict, "wrong")
        self.assertIn("flip", judgement.explanation)
        self.assertGreater(judgement.beyond, 0)
        self.assertEqual(judgement.map.shape, (9, 9))

        y = isobit.conv(self.x, self.w, padding=1).numpy().copy()
        y[:, 0] += 1
        judgement = self.judge(isobit.tensor(y))
        self.assertEqual(judgement.verdict, "wrong")
        self.assertIn("border", judgement.where)
        self.assertEqual(np.argwhere(judgement.map.numpy() > 1)[:, 0].max(), 0)  # the first row alone

    def test_gradients(self):
        dy = isobit.random_normal((2, 9, 9, 6), isobit.random_key(1, "dy"))
        dx = isobit.conv_backward_input(dy, self.w, self.x.shape, padding=1)
        self.assertEqual(self.judge(dx, dy=dy, result="dx").verdict, "bit-equal")
        self.assertEqual(self.judge(dx * 1.001, dy=dy, result="dx").verdict, "wrong")

    def test_pools(self):
        y = isobit.avg_pool(self.x, 3, stride=2)
        self.assertEqual(compare.judge("avg_pool", y, self.x, window=3, stride=2).verdict, "bit-equal")

    def test_transposed_convolutions(self):
        w = isobit.random_normal((3, 3, 6, 4), isobit.random_key(1, "wt"))  # [r, s, k, c]
        b = isobit.random_normal((6,), isobit.random_key(1, "b"))
        options = {"stride": 2, "padding": 1, "output_padding": 1}
        y = isobit.conv_transpose(self.x, w, b, **options)
        dy = isobit.random_normal(y.shape, isobit.random_key(1, "dy"))

        def judge(got, **more):
            return compare.judge("conv_transpose", got, self.x, w, b, **options, **more)

        self.assertEqual(judge(y).verdict, "bit-equal")
        self.assertEqual(judge(isobit.conv_transpose(self.x, w, **options)).explanation, "bias left out")
        shifted = np.roll(isobit.conv_transpose(self.x, w, **options).numpy(), 1, axis=2) + b.numpy()
        shifted[:, :, 0] = y.numpy()[:, :, 0]  # what comes in at the border
        self.assertEqual(judge(isobit.tensor(shifted)).verdict, "wrong")
        relu = compare.Problem("conv_transpose", self.x, w, b, activation="relu", **options)
        self.assertEqual(relu.judge(isobit.relu(y)).verdict, "bit-equal")
        self.assertEqual(relu.judge(y).explanation, "relu left out")
        for result in ("dx", "dw", "db"):
            problem = compare.Problem("conv_transpose", self.x, w, b, dy, result, **options)
            self.assertEqual(problem.judge(problem.run()).verdict, "bit-equal")
            self.assertEqual(problem.judge(problem.run("simt")).verdict, "bit-equal")
        self.assertEqual(problem.shape_line("t").split("n\"")[1], "t\"")
        rounded = compare.Problem("conv_transpose", self.x, w, **options).run(operands="bf16")
        self.assertEqual(compare.judge("conv_transpose", rounded, self.x, w, **options).explanation,
                         "operands rounded to bf16")

    def test_shrinking(self):
        def fails(problem):  # an implementation that leaves the last of an odd number of channels out
            y = problem.run().numpy().copy()
            if y.shape[-1] % 2:
                y[..., -1] = 0
            return problem.judge(isobit.tensor(y)).verdict == "wrong"

        w = isobit.random_normal((3, 3, 4, 7), isobit.random_key(1, "w7"))
        small = compare.Problem("conv", self.x, w, padding=1).shrink(fails)
        self.assertEqual((small.x.shape, small.w.shape), ((1, 1, 1, 1), (1, 1, 1, 1)))
        self.assertIn("mb1g1ic1oc1", small.shape_line("small"))
        with self.assertRaisesRegex(ValueError, "does not fail"):
            compare.Problem("conv", self.x, self.w).shrink(fails)
        with self.assertRaisesRegex(ZeroDivisionError, "mine"):
            compare.Problem("conv", self.x, w).shrink(lambda problem: self.divide())
        with self.assertRaises(TypeError):
            compare.Problem("conv", self.x, w).shrink(lambda problem: 1)
        pool = compare.Problem("avg_pool", self.x, window=3, stride=2, padding="same")
        self.assertEqual(pool.shrink(lambda p: p.x.shape[1] > 1).x.shape, (1, 2, 1, 1))

    @staticmethod
    def divide():
        raise ZeroDivisionError("mine")

    def test_what_is_wrong(self):
        y = isobit.conv(self.x, self.w, padding=1)
        with self.assertRaisesRegex(ValueError, "no op"):
            compare.judge("softmax", y, self.x)
        with self.assertRaisesRegex(ValueError, "no result"):
            self.judge(y, result="dz")
        with self.assertRaises(ValueError):
            self.judge(y[:1])
        with self.assertRaisesRegex(ValueError, "f8"):
            compare.round_operands(self.x, "f8")


class Networks(unittest.TestCase):
    def setUp(self):
        self.net = self.make()
        self.x = isobit.random_normal((2, 8, 8, 3), isobit.random_key(2, "x"))

    def make(self, device="cpu"):
        net = nn.Sequential(nn.Conv2D(5, 3, padding="same"), nn.GroupNorm(5), nn.AvgPool2D(2), nn.Flatten(), nn.Linear(4))
        return net.build((8, 8, 3), device, seed=3).eval()

    def test_devices_and_operands(self):
        other = self.make("simt")
        same = compare.compare_network(self.net, self.x, other, output=other(self.x.to("simt")).to("cpu"), name="simt")
        self.assertTrue(same.ok and same.end_to_end_equal)
        self.assertIsNone(same.first_difference)
        self.assertIn("dx", {r.tensor for r in same.layers})
        rounded = compare.compare_network(self.net, self.x, self.make(), operands="tf32", backward=False)
        self.assertEqual(rounded.first_difference.judgement.verdict, "lower precision")
        self.assertEqual({r.tensor for r in rounded.layers}, {"y"})

    def test_arrays(self):
        y = self.net[0](self.x)
        theirs = {"0": y, "1": self.net[1](y) + 1}
        found = compare.compare_network(self.net, self.x, theirs)
        self.assertEqual([r.judgement.verdict for r in found.layers], ["bit-equal", "wrong"])
        self.assertEqual(len(found.skipped), 3)

    def test_a_function_with_two_faults(self):
        def other(path, layer, x, dy):
            y = layer(x)
            if path == "0":
                y = isobit.conv(x, layer.state_dict()["weight"], padding="same", flip=True)
            if path == "2":
                y = y * 4
            return {"y": y} if path != "3" else None

        found = compare.compare_network(self.net, self.x, other)
        self.assertFalse(found.ok)
        self.assertEqual(found.first_difference.path, "0")
        self.assertEqual(found.wrong_layers.splitlines()[1:],
                         ["  0 (Conv2D(5, 3x3, same)), y: filter flipped",
                          "  2 (AvgPool2D(2x2)), y: wrong divisor: not divided at all"])
        self.assertIn(found.wrong_layers, str(found))
        self.assertIn("<!doctype html>", found.to_html())
        problem = found.first_difference.problem
        self.assertEqual(problem.judge(problem.run()).verdict, "bit-equal")

        def broken(path, layer, x, dy):
            raise KeyError("mine")

        with self.assertRaisesRegex(KeyError, "mine"):
            compare.compare_network(self.net, self.x, broken)
        for wrong in (3, lambda path, layer, x, dy: {"y": 3}):
            with self.assertRaises(TypeError):
                compare.compare_network(self.net, self.x, wrong)


if __name__ == "__main__":
    unittest.main()
