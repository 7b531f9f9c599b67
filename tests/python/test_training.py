"""A short LeNet training: the same digest by the Trainer, by a loop in Python, in parts, on simt, and by the program."""

import contextlib
import io
import json
import os
import struct
import subprocess
import tempfile
import unittest

import numpy as np

import isobit
from isobit import data, models, optim, train
from support import TestCase

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
PROGRAM = os.environ.get("ISOBIT_PROGRAM", os.path.join(ROOT, "build", "release", "isobit"))


def arrays(count, seed):
    r = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % 10
    images = r.integers(0, 64, (count, 28, 28, 1), dtype=np.uint8)
    for i, label in enumerate(labels):
        images[i, 2 * label : 2 * label + 4, 8:20] += 150
    return images, labels


def sets():
    return data.TrainTest(*(data.Dataset(*map(isobit.from_numpy, arrays(n, s))) for n, s in ((192, 1), (64, 2))))


def write_idx(folder):
    for name, (count, seed) in {"train": (192, 1), "t10k": (64, 2)}.items():
        images, labels = arrays(count, seed)
        with open(os.path.join(folder, f"{name}-images-idx3-ubyte"), "wb") as file:
            file.write(struct.pack(">IIII", 0x803, count, 28, 28) + images.tobytes())
        with open(os.path.join(folder, f"{name}-labels-idx1-ubyte"), "wb") as file:
            file.write(struct.pack(">II", 0x801, count) + labels.astype(np.uint8).tobytes())


class Training(TestCase):
    @classmethod
    def setUpClass(cls):
        trainer = train.Trainer(models.lenet(), train.Options(epochs=2, batch=32), sets(), model="lenet")
        cls.outcome = trainer.run()
        cls.digest = trainer.net.digest()

    def test_pixels_that_are_normalised_twice(self):
        import warnings

        def begins_with(**options):
            net = isobit.nn.Sequential(isobit.nn.Input((28, 28, 1), **options), isobit.nn.Flatten(), isobit.nn.Linear(10))
            return train.Trainer(net, train.Options(), sets())

        with self.assertWarnsRegex(UserWarning, "deviation 255.*normalised twice"):
            begins_with(deviation=255)
        with self.assertWarnsRegex(UserWarning, "mean 0.5"):
            begins_with(mean=0.5)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            begins_with()
            with self.assertRaises(UserWarning):
                begins_with(deviation=255)

    def test_it_learns(self):
        self.assertTrue(self.outcome.finished)
        self.assertGreater(self.outcome.evaluation.accuracy, 0.5)
        self.assertEqual(self.outcome.progress.at.step, 12)

    def test_a_loop_in_python(self):
        both = sets()
        normalise = data.channel_statistics(both.train)
        net = models.lenet().build(both.train.image_shape, seed=1)
        sgd = optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
        schedule, step = optim.cosine(12), 0
        for epoch in range(2):
            for images, labels in data.Batches(both.train, 32, seed=1, epoch=epoch, normalise=normalise):
                isobit.cross_entropy(net(images), labels).backward()
                sgd.set_lr_factor(schedule(step))
                sgd.step()
                step += 1
        self.assertEqual(net.digest(), self.digest)
        self.assertEqual(isobit.accuracy(net, both.test, normalise=normalise), self.outcome.evaluation.accuracy)

    def test_in_parts_interrupted_and_resumed(self):
        trainer = train.Trainer(models.lenet(), train.Options(epochs=2, batch=32), sets(), model="lenet")
        trainer.run(micro_batch=16, steps=5)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "checkpoint")
            train.save(path, trainer.checkpoint())
            checkpoint = train.load(path)
        self.assertEqual((checkpoint.model, checkpoint.at.step, checkpoint.options.batch), ("lenet", 5, 32))
        resumed = train.Trainer.resume(models.make(checkpoint.model), checkpoint, sets())
        resumed.run()
        self.assertEqual(resumed.net.digest(), self.digest)

    def test_a_bar_changes_nothing(self):
        try:
            import tqdm  # noqa: F401
        except ImportError:
            self.skipTest("this Python has no tqdm")
        trainer, seen, text = train.Trainer(models.lenet(), train.Options(epochs=2, batch=32), sets()), [], io.StringIO()
        with contextlib.redirect_stderr(text):
            outcome = trainer.run_with_progress(step=lambda p: seen.append(p.at.step))
        self.assertEqual((trainer.net.digest(), seen), (self.digest, list(range(1, 13))))
        self.assertIn("12/12", text.getvalue())
        self.assertIn(f"accuracy={outcome.evaluation.accuracy:.2%}", text.getvalue())

    def test_on_simt(self):
        if not any(d.device == "simt" for d in isobit.devices()):
            self.skipTest("this build has no simt")
        first = {}
        for device in ("cpu", "simt"):
            trainer = train.Trainer(models.lenet(), train.Options(epochs=2, batch=32), sets(), device)
            trainer.run(micro_batch=16, steps=1)
            first[device] = trainer.net.digest()
        self.assertEqual(first["cpu"], first["simt"])

    def test_graphs_of_steps(self):
        if not any(d.device == "simt" for d in isobit.devices()):
            self.skipTest("this build has no simt")

        def trained(device, graph):
            net = isobit.nn.Sequential(
                isobit.nn.Conv2D(4, 3), isobit.nn.ReLU(), isobit.nn.Dropout(0.2), isobit.nn.Flatten(), isobit.nn.Linear(10)
            ).build((8, 8, 1), device, seed=1)
            adam = optim.Adam(net.parameters(), lr=0.01)

            def step(x, labels):
                loss = isobit.cross_entropy(net(x), labels)
                loss.backward()
                adam.step()
                return loss

            run = isobit.nn.Graphed(device, step) if graph else step
            losses = []
            for i in range(5):
                adam.set_lr(0.01 / (i + 1))
                x = isobit.random_normal((6, 8, 8, 1), isobit.random_key(i, "x")).to(device)
                losses.append(run(x, isobit.tensor([0, 1, 2, 3, 4, i]).to(device)).item())
            return net.digest(), losses, run

        plain, losses, _ = trained("cpu", False)
        for device in ("cpu", "simt"):
            digest, same, step = trained(device, True)
            self.assertEqual((digest, same), (plain, losses))
            self.assertEqual((step.graphs, step.replays), (1, 3) if device == "simt" else (0, 0))
        self.assertGreater(step.nodes, 10)
        step.forget()
        self.assertEqual(step.graphs, 0)

        # Several results, or a sequence of one, are a tuple; what the function raises comes through; what cannot be
        # recorded is told.
        x = isobit.ones((4,), device="simt")
        both = isobit.nn.Graphed("simt", lambda a, b: [a + b, a * b])
        for _ in range(4):
            self.assertEqual([t.tolist() for t in both(x, x)], [[2] * 4, [1] * 4])
        one = isobit.nn.Graphed("simt", lambda a: (a + a,))
        self.assertEqual([t.tolist() for t in one(x)], [[2] * 4])
        for wrong, error, text in (
            (lambda a: 1 / 0, ZeroDivisionError, "division"),
            (lambda a: None, TypeError, "the step's result"),
            (lambda a: a * a.sum().item(), ValueError, "graph"),
        ):
            step = isobit.nn.Graphed("simt", wrong)
            with self.assertRaisesRegex(error, text):
                step(x), step(x)
        self.assertEqual(both(x, x)[0].tolist(), [2] * 4)
        with self.assertRaisesRegex(ValueError, "cpu"):
            both(x.to("cpu"), x)

    def test_the_trainer_graphs_its_steps(self):
        if not any(d.device == "simt" for d in isobit.devices()):
            self.skipTest("this build has no simt")
        digests = set()
        for graph in (False, True):
            trainer = train.Trainer(models.lenet(), train.Options(epochs=1, batch=16, limit=96), sets(), "simt")
            trainer.run(graph=graph)
            digests.add(trainer.net.digest())
        self.assertEqual(len(digests), 1)

    def test_a_loss_scale_changes_no_bit_of_exact_training(self):
        options = train.Options(epochs=2, batch=32, loss_scale="dynamic")
        self.assertEqual((options.math, options.loss_scale), ("exact", "dynamic"))
        trainer, seen = train.Trainer(models.lenet(), options, sets()), []
        trainer.run(step=lambda p: seen.append((p.loss_scale, p.skipped)))
        self.assertEqual(trainer.net.digest(), self.digest)
        self.assertEqual(set(seen), {(65536.0, 0)})
        with self.assertRaisesRegex(ValueError, "power of two"):
            train.Options(loss_scale="3")
        with self.assertRaisesRegex(ValueError, "fast-bf16"):
            train.Options(math="quick")

    def test_a_loss_scale_by_itself(self):
        w = isobit.ones(3).set_requires_grad()
        scale = optim.LossScale(initial=8, growth_interval=2)
        scale.scaled((w * w).sum()).backward()
        self.assertEqual(w.grad.tolist(), [16, 16, 16])
        self.assertTrue(scale.unscale([w]))
        self.assertEqual(w.grad.tolist(), [2, 2, 2])
        w.grad = w.grad * float("inf")
        self.assertFalse(scale.unscale([w]))
        self.assertIsNone(w.grad)
        self.assertEqual((scale.scale, scale.skipped, scale.state()), (4.0, 1, (4.0, 0, 1)))
        again = optim.LossScale(growth_interval=2)
        again.load_state(scale.state())
        for _ in range(2):
            again.scaled(w.sum()).backward()
            self.assertTrue(again.unscale([w]))
            w.zero_grad()
        self.assertEqual(again.state(), (8.0, 0, 1))
        with self.assertRaises(ValueError):
            again.load_state((3.0, 0, 0))
        with self.assertRaises(ValueError):
            optim.LossScale(initial=0.5)

    def test_the_program(self):
        if not os.access(PROGRAM, os.X_OK):
            self.skipTest(f"the program is not built: no {PROGRAM}")
        with tempfile.TemporaryDirectory() as folder:
            write_idx(folder)
            done = subprocess.run([PROGRAM, "train", "--data", folder, "--epochs", "2", "--batch", "32", "--json"],
                                  capture_output=True, text=True, check=True)  # fmt: skip
        self.assertEqual(json.loads(done.stdout.splitlines()[-1])["digest"], self.digest)


if __name__ == "__main__":
    unittest.main()
