"""What is wrong is a ValueError with the library's text, what has a wrong type a TypeError; nothing crashes."""

import os
import subprocess
import sys
import textwrap
import unittest

import numpy as np

import isobit
from isobit import data, nn, optim, train
from support import TestCase, random

NAN = float("nan")


class Errors(TestCase):
    def check(self, error, pattern, function, *args, **kwargs):
        with self.subTest(pattern=pattern), self.assertRaisesRegex(error, pattern):
            function(*args, **kwargs)

    def test_types(self):
        x = isobit.ones((2, 4, 4, 3))
        w = isobit.ones((3, 3, 3, 2))
        for function, args, kwargs in [
            (isobit.conv, (x, 3), {}), (isobit.conv, (x,), {}), (isobit.conv, (x, w), {"strides": 2}),
            (isobit.conv, (x, w), {"stride": "2"}), (isobit.conv, (x, w), {"stride": 1.0}),
            (isobit.conv, (x, w), {"stride": True}), (isobit.conv, (x, w), {"padding": 1.5}),
            (isobit.conv, (x, w), {"padding": [(1, 2, 3)]}), (isobit.conv, (x, w), {"mode": 3}),
            (isobit.conv, (x, w), {"groups": None}), (isobit.add, (x, np.ones(3)), {}), (isobit.zeros, ("3",), {}),
            (isobit.zeros, (NAN,), {}), (isobit.zeros, ((2, NAN),), {}), (isobit.zeros, (2,), {"dtype": 3}),
            (isobit.zeros, (2,), {"device": 3}), (isobit.concat, ([x, None],), {}), (isobit.concat, (3,), {}),
            (isobit.random_normal, ((2,), "key"), {}), (nn.Linear, ("3",), {}), (nn.Linear, (3,), {"init": 3}),
            (nn.Sequential, (nn.ReLU, 3), {}), (optim.SGD, (3,), {}), (optim.SGD, ([x],), {"lr": "fast"}),
            (train.Trainer, (3, 4, 5), {}), (data.Batches, (3, 4), {}), (isobit.grad, (x, [None]), {}),
            (x.reshape, ("a",), {}), (x.to, (3,), {}), (isobit.io.read_png, (3,), {}), (x.backward, ("seed",), {}),
        ]:  # fmt: skip
            with self.subTest(function=function, args=args, kwargs=kwargs), self.assertRaises(TypeError):
                function(*args, **kwargs)

    def test_values(self):
        x, w = isobit.ones((2, 4, 4, 3)), isobit.ones((3, 3, 3, 2))
        self.check(ValueError, "conv: filter has 2 input channels", isobit.conv, x, isobit.ones((3, 3, 2, 2)))
        self.check(ValueError, "conv", isobit.conv, x, w, stride=0)
        self.check(ValueError, "conv", isobit.conv, x, w, stride=-1)
        self.check(ValueError, "stride: 4 numbers", isobit.conv, x, w, stride=(1, 1, 1, 1))
        self.check(ValueError, "does not fit 64 bits", isobit.conv, x, w, stride=2**64)
        self.check(ValueError, "'sane' is none of valid, same", isobit.conv, x, w, padding="sane")
        self.check(ValueError, "'mirror' is none of constant, reflect", isobit.conv, x, w, padding=1, mode="mirror")
        self.check(ValueError, "does not fit 64 bits", isobit.conv, x, w, groups=2**63)
        self.check(ValueError, "negative", isobit.zeros, (2, -1))
        self.check(ValueError, "8", isobit.zeros, (1,) * 9)
        self.check(ValueError, "63 bits", isobit.zeros, (2**31, 2**31, 2**31))
        self.check(ValueError, "f33", isobit.zeros, 2, dtype="f33")
        self.check(ValueError, "there is no device", isobit.zeros, 2, device="tpu")
        self.check(ValueError, "label", isobit.cross_entropy, isobit.ones((2, 3)), isobit.tensor([0, 3]))
        self.check(ValueError, "2\\^64", isobit.random_normal, (2,), -1)
        self.check(ValueError, "reshape", x.reshape, 7, -1)
        self.check(ValueError, "item", x.item)
        self.check(ValueError, "filters", nn.Conv2D, 0, 3)
        self.check(ValueError, "lr", optim.SGD, [x], lr=-1)
        self.check(ValueError, "optimizer", train.Options, optimizer="sdg")
        self.check(ValueError, "requires", isobit.ones(3, dtype="i32").set_requires_grad)

    def test_mixed_dtypes_and_devices(self):
        self.check(ValueError, "f64", isobit.add, isobit.ones(3), isobit.ones(3, dtype="f64"))
        if any(d.device == "simt" for d in isobit.devices()):
            self.check(ValueError, "simt", isobit.add, isobit.ones(3), isobit.ones(3, device="simt"))

    def test_extents_beyond_31_bits(self):
        t = isobit.empty((2**31 + 8,), dtype="u8")  # pages that nobody writes to cost nothing
        self.assertEqual(t.numel(), 2**31 + 8)
        t[2**31 :].fill(3)
        self.assertEqual(t[2**31 + 7].item(), 3)
        self.assertEqual(t.numpy().shape, (2**31 + 8,))

    def test_memory_that_cannot_be_had(self):
        with self.assertRaisesRegex(MemoryError, "bytes"):
            isobit.zeros((2**45,), dtype="u8")

    def test_a_count_that_was_not_begun(self):
        self.check(RuntimeError, "without an __enter__", isobit.served_calls().__exit__, None, None, None)

    def test_an_error_leaves_everything_usable(self):
        x = isobit.ones((2, 4, 4, 3))
        for _ in range(100):
            with self.assertRaises(ValueError):
                isobit.conv(x, isobit.ones((9, 9, 3, 2)))
        self.assertEqual(isobit.conv(x, isobit.ones((1, 1, 3, 2))).shape, (2, 4, 4, 2))

    def test_a_module_loads_late_and_ends_in_order(self):
        # In a process of its own: after threads have begun, and with tensors alive at its end.
        code = """
            import threading
            go = threading.Event()
            threads = [threading.Thread(target=go.wait) for _ in range(8)]
            for t in threads: t.start()
            import numpy as np
            import isobit
            kept = [isobit.from_numpy(np.ones(3)), isobit.ones(3).numpy(), isobit.models.lenet().build((28, 28, 1))]
            go.set()
            print(isobit.ones(3).sum().item())
        """
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True,
                              env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(isobit.__file__))})  # fmt: skip
        self.assertEqual((done.returncode, done.stdout.strip(), done.stderr.strip()), (0, "3.0", ""))


if __name__ == "__main__":
    unittest.main()
