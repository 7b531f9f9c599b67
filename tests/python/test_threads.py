"""Long calls let other threads run; Ctrl-C ends a training run in good order."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import unittest

import numpy as np

import isobit
from isobit import nn
from support import TestCase, random


def run_python(code, **kwargs):
    path = os.path.dirname(os.path.dirname(isobit.__file__))
    return subprocess.Popen([sys.executable, "-u", "-c", textwrap.dedent(code)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}, **kwargs)  # fmt: skip


class Threads(TestCase):
    def test_long_calls_release_the_lock(self):
        # While one thread is inside a call, this one runs Python: it could not, if the call held the lock.
        x = isobit.tensor(random(64, 32, 32, 32))
        w = isobit.tensor(random(3, 3, 32, 32))
        net = nn.Sequential(nn.Conv2D(32, 3), nn.Flatten(), nn.Linear(4))
        net(x[:1])
        calls = {
            "conv": lambda: isobit.conv(x, w),
            "layer": lambda: net(x),
            "exp": lambda: isobit.exp(x),
            "matmul": lambda: isobit.matmul(x.reshape(2048, 1024), x.reshape(1024, 2048)),
            "digest": lambda: x.digest(),
        }
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1000)  # nobody gives up the lock but of his own accord
        try:
            for name, call in calls.items():
                inside, done, seen = threading.Event(), threading.Event(), []

                def work():
                    inside.set()
                    for _ in range(20):
                        call()
                    done.set()

                thread = threading.Thread(target=work)
                thread.start()
                inside.wait()
                while not done.is_set():
                    seen.append(1)
                    done.wait(0.0001)
                thread.join()
                self.assertGreater(len(seen), 1, name)
        finally:
            sys.setswitchinterval(interval)

    def test_results_do_not_depend_on_threads(self):
        x, w = isobit.tensor(random(8, 16, 16, 8)), isobit.tensor(random(3, 3, 8, 8, seed=2))
        expected = isobit.conv(x, w, padding="same").digest()
        got = []
        threads = [
            threading.Thread(target=lambda: got.extend(isobit.conv(x, w, padding="same").digest() for _ in range(20)))
            for _ in range(6)
        ]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(got, [expected] * 120)

    def test_modules_in_python_under_threads(self):
        class Twice(nn.Module):
            def forward(self, x):
                return x + x

        net = nn.Sequential(Twice(), nn.Lambda("Half", lambda x: x * 0.5)).build((100, 100, 3)).eval()
        x = isobit.tensor(random(2, 100, 100, 3))
        wrong = []

        def work():
            for _ in range(50):
                if not isobit.equal_bits(net(x), x):
                    wrong.append(1)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(wrong, [])


class Interrupt(TestCase):
    def run_interruptible(self, code):
        # Whoever is started in the background (a CI run, by a shell's &) ignores SIGINT, and so do its children: this
        # one takes Python's own way again. It is ended with the test, whatever comes of it.
        heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        process = run_python(heed + textwrap.dedent(code))
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def test_ctrl_c_ends_training(self):
        process = self.run_interruptible("""
            import numpy as np, isobit
            from isobit import data, models, train
            r = np.random.default_rng(1)
            images = isobit.from_numpy(r.integers(0, 256, (4096, 28, 28, 1), dtype=np.uint8))
            labels = isobit.from_numpy(r.integers(0, 10, 4096))
            sets = data.TrainTest(data.Dataset(images, labels), data.Dataset(images[:100], labels[:100]))
            trainer = train.Trainer(models.lenet(), train.Options(epochs=100000), sets, model="lenet")
            try:
                trainer.run(step=lambda p: print(p.at.step))
            except KeyboardInterrupt:
                at = trainer.at.step
                print("interrupted")
                checkpoint = trainer.checkpoint()
                again = train.Trainer.resume(models.lenet(), checkpoint, sets)
                assert again.run(steps=at + 1).progress.at.step == at + 1
                print("resumed")
        """)
        self.assertEqual(process.stdout.readline().strip(), "1")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        self.assertEqual((process.returncode, out.split()[-2:], err), (0, ["interrupted", "resumed"], ""))

    def test_ctrl_c_ends_evaluation_and_loops(self):
        process = self.run_interruptible("""
            import numpy as np, isobit
            from isobit import data, models, nn
            images = isobit.zeros((20000, 28, 28, 1), dtype="u8")
            sets = data.Dataset(images, isobit.zeros(20000, dtype="i64"), ["a", "b"])
            net = models.lenet(2).build((28, 28, 1))
            try:
                nn.evaluate(net, sets, batch=50, progress=lambda done: print(done))
            except KeyboardInterrupt:
                print("interrupted")
        """)
        self.assertEqual(process.stdout.readline().strip(), "50")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        self.assertEqual((process.returncode, out.split()[-1], err), (0, "interrupted", ""))

    def test_errors_of_hooks_end_the_run(self):
        images, labels = isobit.zeros((64, 28, 28, 1), dtype="u8"), isobit.zeros(64, dtype="i64")
        sets = isobit.data.Dataset(images, labels, ["a", "b"])
        trainer = isobit.train.Trainer(isobit.models.lenet(2), isobit.train.Options(epochs=3, batch=16),
                                       isobit.data.TrainTest(sets, sets))  # fmt: skip

        def step(progress):
            raise KeyError("from the hook")

        with self.assertRaisesRegex(KeyError, "from the hook"):
            trainer.run(step=step)
        self.assertEqual(trainer.at.step, 1)
        outcome = trainer.run(stop=lambda: trainer.at.step == 2)
        self.assertTrue(outcome.interrupted)
        for stop, interrupted in [(lambda: None, False), (lambda: np.bool_(True), True)]:
            steps = trainer.at.step + 1
            self.assertEqual(trainer.run(steps=steps, stop=stop).interrupted, interrupted)
            self.assertEqual(trainer.at.step, steps - interrupted)


if __name__ == "__main__":
    unittest.main()
