"""Values against NumPy, operators, indexing."""

import ast
import os
import threading
import unittest

import numpy as np

import isobit
from support import TestCase, random


def reference_conv(x, w, stride=1, pad=0):
    """Correlation in f64: [n, h, w, c] with [r, s, c, k]."""
    x = np.pad(x.astype(np.float64), [(0, 0), (pad, pad), (pad, pad), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[:2], axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("nhwcrs,rsck->nhwk", windows, w.astype(np.float64))


class Ops(TestCase):
    def test_elementwise_values(self):
        a, b = random(3, 4), random(3, 4, seed=2)
        x, y = isobit.tensor(a), isobit.tensor(b)
        for got, expected in [
            (x + y, a + b), (x - y, a - b), (x * y, a * b), (x / y, a / b), (-x, -a), (abs(x), abs(a)), (x**2, a * a),
            (x + 2, a + 2), (2 - x, 2 - a), (3 * x, 3 * a), (1 / y, 1 / b), (x @ y.T, a @ b.T),
            (isobit.maximum(x, y), np.maximum(a, b)), (isobit.exp(x), np.exp(a)), (isobit.tanh(x), np.tanh(a)),
            (isobit.relu(x), np.maximum(a, 0)), (isobit.leaky_relu(x, slope=0.2), np.where(a > 0, a, 0.2 * a)),
        ]:  # fmt: skip
            self.assert_close(got, expected)

    def test_ieee_arithmetic_is_numpys_to_the_last_bit(self):
        a, b = random(1000), random(1000, seed=2)
        x, y = isobit.tensor(a), isobit.tensor(b)
        for got, expected in [(x + y, a + b), (x * y, a * b), (x / y, a / b), (isobit.sqrt(abs(x)), np.sqrt(abs(a)))]:
            np.testing.assert_array_equal(got.numpy(), expected)

    def test_comparisons(self):
        a, b = random(5, 5), random(5, 5, seed=2)
        x, y = isobit.tensor(a), isobit.tensor(b)
        for got, expected in [(x < y, a < b), (x >= 0, a >= 0), (x == x, a == a), ((x < y) & (x > 0), (a < b) & (a > 0))]:
            self.assertEqual(got.dtype, "bool")
            np.testing.assert_array_equal(got.numpy(), expected)
        np.testing.assert_array_equal(isobit.select(x > y, x, y).numpy(), np.where(a > b, a, b))

    def test_numbers_beside_integers(self):
        long = 2**53 + 1  # no double
        x = isobit.tensor(np.array([long, 7, -long]))
        for got, expected in [
            (x == long, [True, False, False]), (x != long - 1, [True, True, True]), (x < long, [False, True, True]),
            (x + long, [2 * long, long + 7, 0]), (long - x, [0, long - 7, 2 * long]), (x * long - x * (long - 1), x),
            (x - -(2**63), [long - 2**63, 7 - 2**63, 2**63 - long]), (x / long, [1, 0, -1]), (long / x, [1, long // 7, -1]),
            (isobit.rsub_scalar(x, long), [0, long - 7, 2 * long]), (isobit.div_scalar(x, long), [1, 0, -1]),
            (isobit.full(2, long, "i64"), [long, long]), (isobit.full(1, np.int64(long), "i64"), [long]),
            (x == np.int64(long), [True, False, False]), (x == 7.0, [False, True, False]), (True + x - 1, x),
        ]:  # fmt: skip
            self.assertEqual(got.tolist(), expected if isinstance(expected, list) else expected.tolist())
        x.fill(long)
        self.assertEqual(x.tolist(), [long] * 3)
        x.fill(3.0)
        self.assertEqual(x.tolist(), [3] * 3)
        u = isobit.tensor(np.array([255, 1], np.uint8))
        self.assertEqual((u + 300).tolist(), [43, 45])  # sums of integers wrap
        self.assertEqual((isobit.ones(1) * 2**70 == 2**70).tolist(), [True])  # floats round
        for f in (lambda: x == 0.5, lambda: x < float("inf"), lambda: 0.5 / x, lambda: x / 0.5, lambda: x.fill(0.5),
                  lambda: isobit.full(1, 0.5, "i32"), lambda: x == float("nan"), lambda: x + 0.5):  # fmt: skip
            with self.assertRaisesRegex(ValueError, "whole number|out of range"):
                f()
        for f in (lambda: u == 300, lambda: u > -1, lambda: 300 / u, lambda: u / 300, lambda: u.fill(256),
                  lambda: x == 2**63, lambda: x == 2.0**63, lambda: isobit.full(1, 2**31, "i32"),
                  lambda: isobit.full(1, -1, "u8"), lambda: isobit.full(1, 2, "bool")):  # fmt: skip
            with self.assertRaisesRegex(ValueError, "out of range"):
                f()
        self.assertEqual(x.tolist(), [3] * 3)
        self.assertIs(x == "3", False)
        with self.assertRaises(TypeError):
            isobit.full(1, "3")

    def test_reductions(self):
        a = random(4, 5, 6)
        x = isobit.tensor(a)
        for axes in (None, 0, -1, (0, 2)):
            for keep in (False, True):
                self.assert_close(isobit.sum(x, axes, keep), a.sum(axis=axes, keepdims=keep))
                self.assert_close(x.mean(axes, keep), a.mean(axis=axes, keepdims=keep))
                np.testing.assert_array_equal(x.max(axes, keep).numpy(), a.max(axis=axes, keepdims=keep))
        self.assertEqual(x.argmax().item(), int(a.argmax()))
        self.assert_bits(x.sum(()), x)

    def test_shapes(self):
        a = random(2, 3, 4, 5)
        x = isobit.tensor(a)
        np.testing.assert_array_equal(isobit.permute(x, (0, 3, 1, 2)).numpy(), a.transpose(0, 3, 1, 2))
        np.testing.assert_array_equal(x.permute(3, 2, 1, 0).numpy(), a.transpose(3, 2, 1, 0))
        np.testing.assert_array_equal(x.reshape(6, -1).numpy(), a.reshape(6, -1))
        np.testing.assert_array_equal(isobit.concat([x, x], axis=2).numpy(), np.concatenate([a, a], axis=2))
        np.testing.assert_array_equal(isobit.stack([x, x]).numpy(), np.stack([a, a]))
        np.testing.assert_array_equal(isobit.flip(x, 1).numpy(), np.flip(a, 1))
        for mode, name in [("constant", "constant"), ("reflect", "reflect"), ("symmetric", "symmetric"),
                           ("replicate", "edge"), ("circular", "wrap")]:  # fmt: skip
            widths = [(0, 0), (1, 2), (2, 1), (0, 0)]
            np.testing.assert_array_equal(isobit.pad(x, widths, mode).numpy(), np.pad(a, widths, mode=name))

    def test_indexing(self):
        a = random(4, 5, 6)
        x = isobit.tensor(a)
        for index in [0, -1, slice(1, 3), (1, 2, 3), (slice(None), 2), (..., 0), (slice(1, 3), slice(2, 5), slice(0, 1)),
                      (0, ..., slice(2, 2)), slice(3, 1)]:  # fmt: skip
            np.testing.assert_array_equal(x[index].numpy(), a[index])
        np.testing.assert_array_equal(x[isobit.tensor([2, 0, 2])].numpy(), a[[2, 0, 2]])
        self.assertEqual(x[1:].data_ptr(), x.data_ptr() + 4 * 30)
        self.assertEqual(len(list(x)), 4)
        for index in [4, -5, (0, 0, 0, 0), slice(None, None, 2), (..., ...)]:
            with self.assertRaises(IndexError):
                x[index]
        for index in [1.0, None, (0, None)]:
            with self.assertRaises(TypeError):
                x[index]

    def test_convolution(self):
        a, w = random(2, 9, 8, 3), random(3, 3, 3, 4, seed=2)
        x, filters = isobit.tensor(a), isobit.tensor(w)
        self.assert_close(isobit.conv(x, filters), reference_conv(a, w))
        self.assert_close(isobit.conv(x, filters, stride=2, padding=1), reference_conv(a, w, 2, 1))
        self.assert_bits(isobit.conv(x, filters, padding="same"), isobit.conv(x, filters, padding=[(1, 1), (1, 1)]))
        bias = isobit.tensor(random(4))
        self.assert_bits(isobit.conv(x, filters, bias, activation="relu"),
                         isobit.relu(isobit.conv(x, filters, bias)))  # fmt: skip
        trace = isobit.trace(x, filters, 1, (2, 3), 1)
        self.assertEqual(len(trace.taps), 27)
        self.assertEqual(trace.sum, isobit.conv(x, filters)[1, 2, 3, 1].item())

    def test_simt_gives_the_same_bits(self):
        if not any(d.device == "simt" for d in isobit.devices()):
            self.skipTest("this build has no simt")
        x, w = isobit.tensor(random(2, 8, 8, 3)), isobit.tensor(random(3, 3, 3, 4, seed=2))
        there = isobit.conv(x.to("simt"), w.to("simt"), padding="same", mode="reflect")
        self.assertEqual(there.device, "simt")
        self.assert_bits(isobit.conv(x, w, padding="same", mode="reflect"), there)

    def test_random_numbers_are_a_function_of_key_and_counter(self):
        key = isobit.random_key(7, "test")
        x = isobit.random_normal((100,), key)
        self.assert_bits(x[40:], isobit.random_normal((60,), key, first=40))

    def test_text(self):
        self.assertEqual(repr(isobit.tensor([[1, 2.5], [3, 4]])),
                         "tensor([[  1, 2.5],\n        [  3,   4]], dtype=f32, device='cpu', arithmetic=f32)")  # fmt: skip
        self.assertEqual(repr(isobit.tensor(3)), "tensor(3, dtype=i64, device='cpu')")
        self.assertIn("arithmetic=f32", repr(isobit.zeros(2, dtype="f16")))
        self.assertIn("shape=(0, 3)", repr(isobit.zeros((0, 3))))
        picture = isobit.tensor(random(8, 8))._repr_html_()
        self.assertIn("data:image/png;base64,", picture)
        self.assertNotIn("png", isobit.tensor([1.0, 2.0])._repr_html_())


class Stubs(TestCase):
    def test_type_checkers_see_every_name(self):
        folder = os.path.join(os.path.dirname(isobit.__file__), "_core")
        with open(os.path.join(folder, "__init__.pyi"), encoding="utf-8") as file:
            names = {getattr(node, "name", None) for node in ast.walk(ast.parse(file.read()))}
        public = {n for n in vars(isobit._core) if callable(getattr(isobit._core, n)) and not n.startswith("_")}
        self.assertEqual(public - names, set())
        for module in ("data", "io", "optim", "train"):
            with open(os.path.join(folder, module + ".pyi"), encoding="utf-8") as file:
                text = file.read()
            ast.parse(text)
            self.assertNotRegex(text, "(?m)^import _core|^from _core")

    def test_lists(self):
        for dtype in ("f32", "bf16"):
            self.assertEqual(isobit.tensor([[1, 2], [3, 4]]).to(dtype).tolist(), [[1, 2], [3, 4]])


class Gradients(TestCase):
    def test_backward_and_grad(self):
        a = random(3, 4)
        x = isobit.tensor(a).set_requires_grad()
        (x * x * x).sum().backward()
        self.assert_close(x.grad, 3 * a * a)
        x.zero_grad()
        self.assertIsNone(x.grad)
        (first,) = isobit.grad((x * x * x).sum(), [x], create_graph=True)
        (second,) = isobit.grad(first.sum(), [x])
        self.assert_close(second, 6 * a)

    def test_unused_inputs(self):
        x, y = isobit.ones(2).set_requires_grad(), isobit.ones(2).set_requires_grad()
        with self.assertRaises(ValueError):
            isobit.grad(x.sum(), [y], keep_graph=True)
        self.assertEqual(isobit.grad(x.sum(), [y], allow_unused=True), [None])

    def test_no_grad(self):
        x = isobit.ones(2).set_requires_grad()
        with isobit.no_grad():
            self.assertFalse((x + 1).requires_grad)
            with isobit.enable_grad():
                self.assertTrue((x + 1).requires_grad)

        @isobit.no_grad()
        def plain(t):
            return t * 2

        self.assertFalse(plain(x).requires_grad)
        self.assertTrue((x * 2).requires_grad)
        for mode in (isobit.no_grad(), isobit.enable_grad()):
            with self.assertRaisesRegex(RuntimeError, "without an __enter__"):
                mode.__exit__(None, None, None)

    def test_arithmetic_of_a_scope_and_of_a_call(self):
        x, w = (random(2, 6, 6, 8, seed=1), random(3, 3, 8, 8, seed=2))
        if not any(d.device == "simt" for d in isobit.devices()):
            self.skipTest("this build has no simt")
        x, w = isobit.tensor(x).to("simt"), isobit.tensor(w).to("simt")
        ops = [
            lambda **math: isobit.conv(x, w, **math),
            lambda **math: isobit.conv_transpose(x, w, **math),
            lambda **math: isobit.conv_backward_input(isobit.ones((2, 4, 4, 8), device="simt"), w, x.shape, **math),
            lambda **math: isobit.conv_backward_filter(x, isobit.conv(x, w, math="exact"), w.shape, **math),
            lambda **math: isobit.linear(x, w[0, 0], **math),
            lambda **math: isobit.matmul(w[0, 0], w[0, 1], **math),
        ]
        for op in ops:
            exact = op()
            self.assertFalse(isobit.equal_bits(op(math="fast-bf16"), exact))
            self.assertTrue(isobit.equal_bits(op(math=isobit.Math.fast), op(math="fast")))
            with isobit.math("fast-bf16"):
                self.assertEqual(isobit.current_math(), isobit.Math.fast_bf16)
                self.assertTrue(isobit.equal_bits(op(), op(math="fast-bf16")))
                self.assertTrue(isobit.equal_bits(op(math="exact"), exact))
                with isobit.math(isobit.Math.exact):
                    self.assertTrue(isobit.equal_bits(op(math=None), exact))
            self.assertEqual(isobit.current_math(), "exact")

        @isobit.math("fast-bf16")
        def decorated():
            return isobit.current_math()

        self.assertEqual(decorated(), "fast-bf16")
        for wrong in ("quick", "Fast"):
            with self.assertRaisesRegex(ValueError, "fast-bf16"):
                isobit.math(wrong)
            with self.assertRaisesRegex(ValueError, "fast-bf16"):
                isobit.conv(x, w, math=wrong)
        for wrong in (None, 1):
            with self.assertRaises(TypeError):
                isobit.math(wrong)
        with self.assertRaisesRegex(RuntimeError, "without an __enter__"):
            isobit.math("fast").__exit__(None, None, None)
        with isobit.math("fast"):
            self.assertIn("arithmetic=f32, math=fast)", repr(isobit.ones(2)))
            self.assertNotIn("math", repr(isobit.ones(2, dtype="f64")))
        self.assertNotIn("math", repr(isobit.ones(2)))

    def test_a_decorated_function_in_threads(self):
        inside = [threading.Event(), threading.Event()]
        left = threading.Event()
        seen = {}

        @isobit.no_grad()
        def stay(mine, until):
            mine.set()
            until.wait(60)

        def first():  # enters first, leaves first, inside a no_grad() of its own
            with isobit.no_grad():
                stay(*inside)
                seen["first"] = isobit.grad_enabled()
            left.set()

        def second():
            inside[0].wait(60)
            stay(inside[1], left)
            seen["second"] = isobit.grad_enabled()

        threads = [threading.Thread(target=f) for f in (first, second)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(seen, {"first": False, "second": True})

    def test_hooks_and_their_errors(self):
        x = isobit.ones(2).set_requires_grad()
        y = x * 2
        y.register_hook(lambda g: g * 10)
        y.sum().backward()
        np.testing.assert_array_equal(x.grad.numpy(), [20, 20])
        z = x * 2

        def broken(g):
            raise KeyError("from the hook")

        z.register_hook(broken)
        with self.assertRaisesRegex(KeyError, "from the hook"):
            z.sum().backward()

    def test_an_op_of_ones_own(self):
        def cube(x):
            with isobit.no_grad():
                y = x * x * x
            return isobit.record("cube", [x], y, [x], lambda c: [c.dy * isobit.square(c.saved(0)) * 3])

        a = random(5)
        x = isobit.tensor(a).set_requires_grad()
        (first,) = isobit.grad(cube(x).sum(), [x], create_graph=True)
        (second,) = isobit.grad(first.sum(), [x])
        self.assert_close(first, 3 * a * a)
        self.assert_close(second, 6 * a)

    def test_a_context_that_is_kept_is_void(self):
        kept = []

        def backward(c):
            kept.append(c)
            return (g for g in [c.dy * c.saved(0)])  # used up while the context is there

        x = isobit.ones(2).set_requires_grad()
        with isobit.no_grad():
            y = x * x
        isobit.record("op", [x], y, [x], backward).sum().backward()
        self.assertEqual(x.grad.tolist(), [1, 1])
        for use in (lambda c: c.dy, lambda c: c.needs(0), lambda c: c.saved(0)):
            with self.assertRaisesRegex(RuntimeError, "BackwardContext"):
                use(kept[0])

    def test_parts_of_a_batch_give_the_same_bits(self):
        x, w = isobit.tensor(random(64, 5)), isobit.tensor(random(5, 3, seed=2)).set_requires_grad()
        labels = isobit.tensor(np.arange(64) % 3)
        isobit.cross_entropy(isobit.linear(x, w), labels).backward()
        whole, w.grad = w.grad, None

        def loss(part):
            rows = slice(part.first, part.first + part.length)
            return isobit.cross_entropy(isobit.linear(x[rows], w), labels[rows])

        isobit.backward_in_parts(isobit.split_batch(64, 16), [w], loss)
        self.assert_bits(w.grad, whole)
        for wrong in (3, None):
            with self.assertRaisesRegex(TypeError, "loss"):
                isobit.backward_in_parts(isobit.split_batch(64, 16), [w], lambda part, wrong=wrong: wrong)


if __name__ == "__main__":
    unittest.main()
