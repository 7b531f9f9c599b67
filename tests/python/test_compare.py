"""isobit.compare: verdicts from Python."""

import unittest

import numpy as np

import isobit
from isobit import compare


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


if __name__ == "__main__":
    unittest.main()
