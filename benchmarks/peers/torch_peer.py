"""The peer PyTorch, driven line by line (docs/benchmarks.md has the protocol). Started by isobit bench, with
ISOBIT_PYTHON or python3."""
import json
import sys
import time

try:
    import torch
except ImportError:
    print(json.dumps({"missing": "this Python has no PyTorch; ISOBIT_PYTHON names another"}), flush=True)
    sys.exit(0)

import torch_conv
import torch_memory
import torch_train
from torch_tensors import Refused

OPS = {"conv_forward": torch_conv, "conv_backward_input": torch_conv, "conv_backward_filter": torch_conv,
       "train": torch_train}


class Peer:
    grad = False  # whether the open case is about gradients: else PyTorch does without its book-keeping

    def open(self, question):
        self.variants = []
        torch.set_num_threads(question["threads"])
        self.output = question["output"]["path"]
        family = OPS.get(question["op"], torch_memory)
        self.variants = family.variants(question)
        return {"variants": [variant.name for variant in self.variants]}

    def check(self, question):
        variant = self.variants[question["variant"]]
        variant.write(variant.check(), self.output)
        return {"implementation": variant.implementation}

    def time(self, question):
        run = self.variants[question["variant"]].run
        for _ in range(question["warm"]):
            run()
        calls = range(question["calls"])
        wall, cpu = time.monotonic(), time.process_time()
        for _ in calls:
            run()
        cpu_end, wall_end = time.process_time(), time.monotonic()
        return {"wall": wall_end - wall, "cpu": cpu_end - cpu}

    def answer(self, question):
        if question["do"] == "case":
            self.grad = question.get("grad", False)
        with torch.inference_mode(not self.grad):
            return {"case": self.open, "check": self.check, "time": self.time}[question["do"]](question)


def main():
    print(json.dumps({"ready": f"PyTorch {torch.__version__}"}), flush=True)
    peer = Peer()
    for line in sys.stdin:
        try:
            answer = peer.answer(json.loads(line))
        except Refused as refused:
            answer = {"refused": str(refused)}
        except Exception as error:  # whatever it is, the run goes on without this case
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
