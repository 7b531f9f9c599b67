"""What the tests share."""

import unittest

import numpy as np

import isobit

try:
    import torch
except ImportError:
    torch = None

needs_torch = unittest.skipIf(torch is None, "this Python has no PyTorch")


def address(array):
    return array.__array_interface__["data"][0]


def random(*shape, seed=1, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


class TestCase(unittest.TestCase):
    def assert_close(self, got, expected, relative=1e-5):
        got = got.numpy() if isinstance(got, isobit.Tensor) else np.asarray(got)
        expected = np.asarray(expected)
        self.assertEqual(got.shape, expected.shape)
        bound = relative * max(1.0, float(np.abs(expected).max(initial=0)))
        error = float(np.abs(got.astype(np.float64) - expected.astype(np.float64)).max(initial=0))
        self.assertTrue(error <= bound, f"error {error} above {bound}")

    def assert_bits(self, a, b):
        self.assertTrue(isobit.equal_bits(a, b), "the bits differ")
