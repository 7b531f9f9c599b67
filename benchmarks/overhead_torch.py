"""The peer of overhead: tiny ops in PyTorch without gradients, driven line by line.

  NAME CALLS     add or conv: answers nanoseconds a call, by this thread's processor time
"""
import sys
import time

try:
    import torch
except ImportError:
    print("this Python has no PyTorch", flush=True)
    sys.exit(0)

import torch.nn.functional as F


def main():
    print(f"ready PyTorch {torch.__version__}", flush=True)
    torch.set_num_threads(1)  # the fastest for work this small
    a, b = torch.rand(8), torch.rand(8)
    x = torch.rand(1, 8, 8, 8).contiguous(memory_format=torch.channels_last)
    w = torch.rand(8, 8, 3, 3).contiguous(memory_format=torch.channels_last)
    ops = {"add": lambda: torch.add(a, b), "conv": lambda: F.conv2d(x, w, padding=1)}
    with torch.no_grad():
        for line in sys.stdin:
            name, calls = line.split()
            op, calls = ops[name], int(calls)
            for _ in range(100):
                op()
            start = time.thread_time_ns()
            for _ in range(calls):
                op()
            print((time.thread_time_ns() - start) / calls, flush=True)


main()
