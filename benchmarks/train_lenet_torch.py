"""The peer of train_lenet: the same network, weights, data and steps in PyTorch, driven line by line.

  load PATH BATCH BATCHES LR   the weights (isobit's layout), then BATCHES batches of pictures and labels, as f32
  losses N                     from the loaded weights: the loss before each of N steps
  run THREADS STEPS            trains STEPS steps; answers wall seconds and processor seconds
"""
import sys
import time

try:
    import torch
except ImportError:
    print("this Python has no PyTorch", flush=True)
    sys.exit(0)

import torch.nn as nn
import torch.nn.functional as F

SHAPES = [(5, 5, 1, 32), (32,), (5, 5, 32, 64), (64,), (3136, 512), (512,), (512, 10), (10,)]


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 5, padding="same")
        self.conv2 = nn.Conv2d(32, 64, 5, padding="same")
        self.linear1 = nn.Linear(3136, 512)
        self.linear2 = nn.Linear(512, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        return self.linear2(F.relu(self.linear1(x)))


class Run:
    def load(self, path, batch, batches, lr):
        with open(path, "rb") as file:
            values = torch.frombuffer(bytearray(file.read()), dtype=torch.float32)
        self.lr = lr
        self.weights = []
        place = 0
        for shape in SHAPES:
            size = torch.Size(shape).numel()
            self.weights.append(values[place:place + size].reshape(shape))
            place += size
        self.batches = []
        for _ in range(batches):
            pictures = values[place:place + batch * 784].reshape(batch, 28, 28, 1)
            place += batch * 784
            labels = values[place:place + batch].long()
            place += batch
            # Channels last in memory, as isobit holds it.
            self.batches.append((pictures.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last), labels))
        self.reset()

    def reset(self):
        net = LeNet()
        w = self.weights
        with torch.no_grad():
            net.conv1.weight.copy_(w[0].permute(3, 2, 0, 1))
            net.conv1.bias.copy_(w[1])
            net.conv2.weight.copy_(w[2].permute(3, 2, 0, 1))
            net.conv2.bias.copy_(w[3])
            # isobit flattens [h, w, c], PyTorch [c, h, w].
            net.linear1.weight.copy_(w[4].reshape(7, 7, 64, 512).permute(3, 2, 0, 1).reshape(512, 3136))
            net.linear1.bias.copy_(w[5])
            net.linear2.weight.copy_(w[6].t())
            net.linear2.bias.copy_(w[7])
        self.net = net.to(memory_format=torch.channels_last)
        self.sgd = torch.optim.SGD(self.net.parameters(), lr=self.lr)
        self.at = 0

    def step(self):
        pictures, labels = self.batches[self.at % len(self.batches)]
        self.at += 1
        loss = F.cross_entropy(self.net(pictures), labels)
        self.sgd.zero_grad()
        loss.backward()
        self.sgd.step()
        return loss

    def losses(self, count):
        self.reset()
        return [self.step().item() for _ in range(count)]

    def run(self, threads, steps):
        torch.set_num_threads(threads)
        for _ in range(3):
            self.step()
        wall, processor = time.monotonic(), time.process_time()
        for _ in range(steps):
            self.step()
        return [time.monotonic() - wall, time.process_time() - processor]


def main():
    print(f"ready PyTorch {torch.__version__}", flush=True)
    run = Run()
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "load":
            run.load(rest[0], int(rest[1]), int(rest[2]), float(rest[3]))
            print("loaded", flush=True)
        elif word == "losses":
            print(*run.losses(int(rest[0])), flush=True)
        elif word == "run":
            print(*run.run(int(rest[0]), int(rest[1])), flush=True)


main()
