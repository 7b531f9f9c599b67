"""NumPy, PyTorch and DLPack: nothing is copied, and nothing dies too early."""

import gc
import threading
import unittest

import numpy as np

import isobit
from support import TestCase, address, needs_torch, random, torch

NUMPY_TYPES = {"f32": "float32", "f64": "float64", "f16": "float16", "i32": "int32", "i64": "int64", "u8": "uint8",
               "bool": "bool"}  # fmt: skip


class NumPy(TestCase):
    def test_from_numpy_shares_memory(self):
        for name, numpy_name in NUMPY_TYPES.items():
            a = np.ones((3, 4), numpy_name)
            t = isobit.from_numpy(a)
            self.assertEqual(t.data_ptr(), address(a))
            self.assertEqual((t.dtype, t.shape), (name, (3, 4)))
            a[1, 2] = 0
            self.assertEqual(t[1, 2].item(), 0)

    def test_numpy_shares_memory(self):
        for name, numpy_name in NUMPY_TYPES.items():
            t = isobit.ones((3, 4), dtype=name)
            for a in (t.numpy(), np.asarray(t), np.from_dlpack(t)):
                self.assertEqual(address(a), t.data_ptr())
                self.assertEqual((a.dtype.name, a.shape), (numpy_name, (3, 4)))
            t.numpy()[0, 0] = 0
            self.assertEqual(t[0, 0].item(), 0)

    def test_odd_shapes(self):
        for shape in [(), (0,), (3, 0, 2), (1, 1, 5)]:
            a = np.ones(shape, np.float32)
            self.assertEqual(isobit.from_numpy(a).shape, shape)
            self.assertEqual(isobit.zeros(shape).numpy().shape, shape)

    def test_axes_of_extent_one_have_any_stride(self):
        a = np.ones((4, 8), np.float32)[::2][:1]
        self.assertEqual(isobit.from_numpy(a).data_ptr(), address(a))

    def test_what_is_refused(self):
        with self.assertRaisesRegex(ValueError, "not contiguous"):
            isobit.from_numpy(np.ones((4, 4), np.float32).T[1:])
        with self.assertRaisesRegex(TypeError, "complex128"):
            isobit.from_dlpack(np.ones(3, np.complex128))
        with self.assertRaisesRegex(TypeError, "int16"):
            isobit.from_numpy(np.ones(3, np.int16))
        readonly = np.ones(3, np.float32)
        readonly.flags.writeable = False
        with self.assertRaises((ValueError, BufferError)):
            isobit.from_numpy(readonly)
        with self.assertRaises(TypeError):
            isobit.from_numpy([1, 2])
        with self.assertRaisesRegex(TypeError, "no __dlpack__"):
            isobit.from_dlpack("text")
        with self.assertRaisesRegex(TypeError, "bf16"):
            np.array([isobit.zeros(3, dtype="bf16").numpy()]) if not has_ml_dtypes() else self.fail_like("bf16")
        with self.assertRaises(TypeError):
            np.ones(3, np.float32) + isobit.ones(3)

    def fail_like(self, text):
        raise TypeError(text)

    def test_a_tensor_that_was_not_made(self):
        with self.assertRaisesRegex(BufferError, "not made"):
            memoryview(isobit.Tensor.__new__(isobit.Tensor))

    def test_the_consumers_device(self):
        t = isobit.ones(3)
        for device in [(1, 0), (np.int64(1), np.int64(0))]:
            self.assertEqual(isobit.from_dlpack(t.__dlpack__(dl_device=device)).data_ptr(), t.data_ptr())
        with self.assertRaisesRegex(BufferError, "the tensor is on cpu"):
            t.__dlpack__(dl_device=(2, 0))
        with self.assertRaisesRegex(TypeError, "dl_device"):
            t.__dlpack__(dl_device=("cpu", 0))

    def test_tensor_copies(self):
        a = np.ones((2, 3), np.int16)
        t = isobit.tensor(a)
        self.assertEqual(t.dtype, "i32")
        self.assertEqual(isobit.tensor([1.5]).dtype, "f32")
        self.assertEqual(isobit.tensor([1]).dtype, "i64")
        self.assertEqual(isobit.tensor([True]).dtype, "bool")
        self.assertEqual(isobit.tensor(0.1, dtype="f64").item(), 0.1)
        b = np.ones((2, 3))
        t = isobit.tensor(b.T)
        b[:] = 0
        self.assertEqual((t.dtype, t.shape, t.sum().item()), ("f64", (3, 2), 6.0))
        with self.assertRaises((TypeError, ValueError)):
            isobit.tensor([[1, 2], [3]])

    def test_writes_of_others_between_forward_and_backward_are_noticed(self):
        a = np.ones(3, np.float32)
        w = isobit.ones(3).set_requires_grad()
        loss = (isobit.from_numpy(a) * w).sum()
        a[0] = 7
        with self.assertRaisesRegex(ValueError, "changed since it was saved"):
            loss.backward()
        x = isobit.ones(3)
        view = x.numpy()
        loss = (x * w).sum()
        view[0] = 7
        with self.assertRaisesRegex(ValueError, "changed since it was saved"):
            loss.backward()

    def test_looking_at_a_saved_tensor_is_no_write(self):
        x, w = isobit.ones(3), isobit.ones(3).set_requires_grad()
        loss = (x * w).sum()
        x.numpy()
        loss.backward()
        np.testing.assert_array_equal(w.grad.numpy(), [1, 1, 1])


def has_ml_dtypes():
    try:
        import ml_dtypes  # noqa: F401
    except ImportError:
        return False
    return True


class Lifetime(TestCase):
    def test_the_view_outlives_the_tensor(self):
        t = isobit.tensor(random(1000))
        expected = t.numpy().copy()
        views = [t.numpy(), np.from_dlpack(t), memoryview(t)]
        del t
        gc.collect()
        filler = [isobit.zeros(1000) for _ in range(50)]  # would reuse the memory, if it were free
        for view in views:
            np.testing.assert_array_equal(np.asarray(view), expected)
        del filler

    def test_the_tensor_outlives_the_array(self):
        a = random(1000)
        expected = a.copy()
        t = isobit.from_numpy(a)
        part = t[100:200]
        del a, t
        gc.collect()
        filler = [np.zeros(1000, np.float32) for _ in range(50)]
        np.testing.assert_array_equal(part.numpy(), expected[100:200])
        del filler

    def test_the_array_is_given_back(self):
        class Marked(np.ndarray):
            pass

        import weakref

        a = np.ones(10, np.float32).view(Marked)
        gone = weakref.ref(a)
        t = isobit.from_numpy(a)
        del a
        gc.collect()
        self.assertIsNotNone(gone())
        del t
        gc.collect()
        self.assertIsNone(gone())

    def test_memory_is_given_back(self):
        isobit.empty_cache()
        before = isobit.memory_stats().current
        view = isobit.zeros((1024, 1024)).numpy()
        self.assertGreaterEqual(isobit.memory_stats().current, before + (4 << 20))
        del view
        gc.collect()
        self.assertEqual(isobit.memory_stats().current, before)

    def test_unused_capsules_free_what_they_hold(self):
        before = isobit.memory_stats().current
        for version in (None, (1, 0)):
            capsule = isobit.zeros(1 << 18).__dlpack__(max_version=version)
            self.assertGreater(isobit.memory_stats().current, before)
            del capsule
            gc.collect()
            self.assertEqual(isobit.memory_stats().current, before)

    def test_a_capsule_is_used_once(self):
        capsule = isobit.ones(3).__dlpack__()
        self.assertEqual(isobit.from_dlpack(capsule).sum().item(), 3)
        with self.assertRaises(ValueError):
            isobit.from_dlpack(capsule)

    def test_many_threads(self):
        errors = []

        def work(seed):
            try:
                for i in range(200):
                    a = random(64, seed=seed * 1000 + i)
                    t = isobit.from_numpy(a)
                    view = (t + 0).numpy()
                    part = t[8:16]
                    copy = a.copy()
                    del a, t
                    if not (np.array_equal(view, copy) and np.array_equal(part.numpy(), copy[8:16])):
                        errors.append(i)
            except Exception as error:  # noqa: BLE001  any is a failure
                errors.append(error)

        threads = [threading.Thread(target=work, args=(s,)) for s in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(errors, [])


@needs_torch
class Torch(TestCase):
    def test_both_ways_without_a_copy(self):
        for dtype in ("float32", "float64", "float16", "bfloat16", "int32", "int64", "uint8", "bool"):
            x = torch.ones((2, 3), dtype=getattr(torch, dtype))
            t = isobit.from_dlpack(x)
            self.assertEqual(t.data_ptr(), x.data_ptr())
            back = torch.from_dlpack(t)
            self.assertEqual((back.data_ptr(), back.dtype, back.shape), (x.data_ptr(), x.dtype, x.shape))
        self.assertEqual(torch.from_dlpack(t, device="cpu").data_ptr(), x.data_ptr())

    def test_channels_last_is_a_view(self):
        x = torch.arange(120, dtype=torch.float32).reshape(2, 3, 4, 5).to(memory_format=torch.channels_last)
        for t in (isobit.from_dlpack(x.permute(0, 2, 3, 1)), isobit.from_dlpack(x, layout="nchw")):
            self.assertEqual((t.data_ptr(), t.shape), (x.data_ptr(), (2, 4, 5, 3)))
            back = torch.from_dlpack(t.nchw())
            self.assertEqual(back.data_ptr(), x.data_ptr())
            self.assertTrue(back.is_contiguous(memory_format=torch.channels_last))
            self.assertTrue(torch.equal(back, x))
        with self.assertRaisesRegex(ValueError, "channels_last"):
            isobit.from_dlpack(torch.ones(2, 3, 4, 5), layout="nchw")

    def test_lifetime(self):
        x = torch.arange(1000, dtype=torch.float32)
        t = isobit.from_dlpack(x)
        del x
        view = torch.from_dlpack(t)
        del t
        gc.collect()
        filler = [torch.zeros(1000) for _ in range(50)]
        self.assertTrue(torch.equal(view, torch.arange(1000, dtype=torch.float32)))
        del filler

    def test_what_pytorch_does_not_give_away(self):
        with self.assertRaisesRegex(BufferError, "require"):
            isobit.from_dlpack(torch.ones(3, requires_grad=True))
        x = torch.ones(3, requires_grad=True)
        self.assertEqual(isobit.from_dlpack(x.detach()).data_ptr(), x.data_ptr())
        self.assertEqual(isobit.from_dlpack(torch.nn.Parameter(x, requires_grad=False)).shape, (3,))
        for wrong in (torch.ones(3).to_sparse(), torch.ones(3, device="meta"), torch.ones(3, dtype=torch.complex64),
                      torch.ones(3, 4).t(), torch.ones(3, dtype=torch.int16)):
            with self.assertRaises((ValueError, TypeError, BufferError, RuntimeError)):
                isobit.from_dlpack(wrong)

    def test_a_subclass_has_the_last_word(self):
        class Own(torch.Tensor):
            asked = 0

            def __dlpack__(self, **options):
                Own.asked += 1
                return super().__dlpack__(**options)

        x = torch.ones(3)
        self.assertEqual(isobit.from_dlpack(x.as_subclass(Own)).data_ptr(), x.data_ptr())
        self.assertEqual(Own.asked, 1)

    def test_nothing_is_left_behind(self):
        import weakref

        array = np.ones((3, 4), np.float32)  # the memory behind x: kept by all that PyTorch keeps
        x = torch.from_numpy(array)
        for take in (lambda: isobit.from_dlpack(x), lambda: isobit.from_dlpack(x.t())):
            for _ in range(3):
                try:
                    take()
                except ValueError:
                    pass
        memory = weakref.ref(array)
        del array, x, take
        gc.collect()
        self.assertIsNone(memory())

    def test_convolution_is_pytorchs(self):
        x, w = torch.randn(2, 3, 9, 8), torch.randn(4, 3, 3, 3)
        expected = torch.nn.functional.conv2d(x.double(), w.double(), stride=2, padding=1)
        y = isobit.conv(isobit.from_nchw(isobit.from_dlpack(x)), isobit.from_dlpack(w.permute(2, 3, 1, 0).contiguous()),
                        stride=2, padding=1)  # fmt: skip
        self.assert_close(isobit.to_nchw(y), expected.numpy())


if __name__ == "__main__":
    unittest.main()
