"""What a call from Python costs: small ops, and the exchange with NumPy and PyTorch. Prints microseconds: the median of
repeated runs, and the range of the middle half of them. Each op's result is checked before its time is taken.

    build/python-venv/bin/python benchmarks/python_overhead.py [--program build/release/isobit]

With --program the C++ library's costs follow, as `isobit bench overhead` gives them."""

import argparse
import statistics
import subprocess
import time

import numpy as np

import isobit

try:
    import torch
except ImportError:
    torch = None


def microseconds(call, calls=2000, runs=41):
    for _ in range(calls):
        call()
    times = []
    for _ in range(runs):
        begin = time.perf_counter_ns()
        for _ in range(calls):
            call()
        times.append((time.perf_counter_ns() - begin) / calls / 1000)
    quarters = statistics.quantiles(times, n=4)
    return statistics.median(times), quarters[0], quarters[2]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", help="the isobit program, for C++'s own costs")
    program = parser.parse_args().program

    isobit.set_threads(1)
    a, b = np.arange(8, dtype=np.float32), np.ones(8, np.float32)
    x, y = isobit.from_numpy(a), isobit.from_numpy(b)
    np.testing.assert_array_equal((x + y).numpy(), a + b)
    np.testing.assert_array_equal(isobit.add_scalar(x, 1).numpy(), a + 1)
    np.testing.assert_array_equal(isobit.sum(x).numpy(), a.sum())
    assert isobit.from_dlpack(a).data_ptr() == a.__array_interface__["data"][0]
    assert x.numpy().__array_interface__["data"][0] == x.data_ptr()
    calls = {
        "an empty Python function": lambda: None,
        "add(x, y), 8 elements": lambda: isobit.add(x, y),
        "x + y, 8 elements": lambda: x + y,
        "x + 1, 8 elements": lambda: x + 1,
        "sum(x), 8 elements": lambda: isobit.sum(x),
        "x.reshape(2, 4)": lambda: x.reshape(2, 4),
        "from_dlpack(array)": lambda: isobit.from_dlpack(a),
        "from_numpy(array)": lambda: isobit.from_numpy(a),
        "x.numpy()": lambda: x.numpy(),
        "numpy.from_dlpack(x)": lambda: np.from_dlpack(x),
        "numpy: a + b, 8 elements": lambda: a + b,
    }
    if torch is not None:
        p, q = torch.from_dlpack(x), torch.from_dlpack(y)
        assert p.data_ptr() == x.data_ptr()
        calls["from_dlpack(torch tensor)"] = lambda: isobit.from_dlpack(p)
        calls["torch.from_dlpack(x)"] = lambda: torch.from_dlpack(x)
        calls["torch: p + q, 8 elements"] = lambda: p + q
    print(f"{'':30} {'median':>8}  middle half, microseconds")
    for name, call in calls.items():
        median, low, high = microseconds(call)
        print(f"{name:30} {median:8.3f}  {low:.3f} .. {high:.3f}")
    if program:
        print(subprocess.run([program, "bench", "overhead"], capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    main()
