"""Plans of algorithms in Python: timed, written, read, obeyed."""

import os
import tempfile
import unittest

import numpy as np

import isobit


def conv():
    x = isobit.tensor(np.linspace(-1, 1, 20 * 20 * 16, dtype=np.float32).reshape(1, 20, 20, 16))
    w = isobit.tensor(np.linspace(1, -1, 6 * 9 * 16, dtype=np.float32).reshape(3, 3, 16, 6))
    return isobit.conv(x, w, padding="same").numpy().tobytes()


class Plan(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = os.path.join(self.folder.name, "a.plan")

    def test_times_writes_and_reads(self):
        before = conv()
        with isobit.plan(self.path, time=True) as plan:
            self.assertEqual(conv(), before)
            self.assertEqual(plan.timed, 1)
            (line,) = plan.lines
        self.assertEqual((line["math"], line["kernel"]), ("exact", "conv_forward"))
        self.assertIn(line["algorithm"], line["microseconds"])
        self.assertGreaterEqual(len(line["microseconds"]), 2)
        (read,) = isobit.read_plan(self.path)
        self.assertEqual(read["microseconds"].keys(), line["microseconds"].keys())
        with isobit.plan(self.path) as plan:
            self.assertEqual(conv(), before)
            self.assertEqual(plan.timed, 0)

    def test_a_missing_or_wrong_file_says_so(self):
        with self.assertRaisesRegex(ValueError, "plan"):
            with isobit.plan(self.path):
                pass
        with open(self.path, "w") as file:
            file.write("isobit plan 1\n[d]\nexact conv\n")
        with self.assertRaisesRegex(ValueError, "line 3"):
            isobit.read_plan(self.path)

    def test_only_inside_its_block(self):
        plan = isobit.plan(self.path, time=True)
        for use in (lambda: plan.timed, lambda: plan.lines, plan.save, lambda: plan.__exit__(None, None, None)):
            with self.assertRaisesRegex(RuntimeError, "with block"):
                use()
        with plan:
            with self.assertRaisesRegex(RuntimeError, "twice"):
                plan.__enter__()

    def test_a_failure_to_write_is_an_error(self):
        with self.assertRaisesRegex(ValueError, "no/folder"):
            with isobit.plan(os.path.join(self.folder.name, "no", "folder", "a.plan"), time=True):
                conv()


if __name__ == "__main__":
    unittest.main()
