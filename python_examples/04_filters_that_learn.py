"""04. Filters that learn.

The filters of example 01 were chosen by people. A network chooses its own: it begins with random weights, looks at labelled
pictures, and moves every weight a little in the direction in which its answers become better (the gradient, docs/sgd.md).

First: eight random 3x3 filters, a pool, and one linear layer on top, trained to tell ten kinds of clothing apart. The
filters are drawn before and after, with the accuracy on pictures that the network has not seen.

Second, to see that learning can find a filter that is really there: a Sobel filter is hidden in a "teacher", and a "pupil"
that sees only pictures and the teacher's maps has to find its nine numbers.
"""

import matplotlib.pyplot as plt
import numpy as np

import isobit
from common import DATA_OPTION, arguments, bare, fashion_mnist, save, show_signed
from isobit import data, nn, optim

args = arguments(__doc__, DATA_OPTION)

# %% Eight filters, ten classes
train, test = fashion_mnist(args)
train = train.take(2_000 if args.quick else 20_000)
test = test.take(1_000 if args.quick else 10_000)
statistics = data.channel_statistics(train)  # brings the pixels to mean 0 and deviation 1

net = nn.Sequential(nn.Conv2D(8, 3, padding="same"), nn.ReLU(), nn.MaxPool2D(4), nn.Flatten(), nn.Linear(10))
net.build((28, 28, 1), device=args.device, seed=4)
filters_before = net.named_parameters()["0.weight"].detach().to("cpu").clone().numpy()  # [3, 3, 1, 8]
accuracy_before = isobit.accuracy(net, test, normalise=statistics)

sgd = optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
for epoch in range(2 if args.quick else 4):
    losses = []
    for images, labels in data.Batches(train, 64, seed=1, device=args.device, epoch=epoch, normalise=statistics):
        net.zero_grad()
        loss = isobit.cross_entropy(net(images), labels)
        loss.backward()
        sgd.step()
        losses.append(loss.item())
    print(f"epoch {epoch + 1}: mean loss {np.mean(losses):.3f}")
filters_after = net.named_parameters()["0.weight"].detach().to("cpu").numpy()
accuracy_after = isobit.accuracy(net, test, normalise=statistics)
print(f"accuracy {accuracy_before:.1%} before, {accuracy_after:.1%} after")

limit = max(np.abs(filters_before).max(), np.abs(filters_after).max())
figure, axes = plt.subplots(2, 8, figsize=(12, 4))
for row, (filters, accuracy, word) in enumerate(
    [(filters_before, accuracy_before, "before"), (filters_after, accuracy_after, "after")]
):
    for k in range(8):
        show_signed(axes[row, k], filters[:, :, 0, k], limit)
        axes[row, k].set_title(f"filter {k}", fontsize=10)
    axes[row, 0].set_ylabel(f"{word}:\n{accuracy:.1%} right", fontsize=12)
bare(axes)
save(figure, args, "04_filters.png")

# %% A planted Sobel filter, found again
SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)
teacher = isobit.tensor(SOBEL.reshape(3, 3, 1, 1), device=args.device)
pupil = isobit.random_normal((3, 3, 1, 1), isobit.random_key(7, "pupil"), device=args.device).set_requires_grad()
begin = pupil.detach().to("cpu").clone().numpy()[:, :, 0, 0]
sgd = optim.SGD([pupil], lr=0.05, momentum=0.9)
history, snapshots, epoch = [], {}, 0
while len(history) < 150:
    for images, _ in data.Batches(train.take(2_000), 16, seed=2, device=args.device, epoch=epoch, normalise=statistics):
        pupil.zero_grad()
        loss = isobit.mse(isobit.conv(images, pupil), isobit.conv(images, teacher))
        loss.backward()
        sgd.step()
        weights = pupil.detach().to("cpu").clone().numpy()[:, :, 0, 0]
        history.append((loss.item(), np.abs(weights - SOBEL).max()))
        snapshots[len(history)] = weights
        if len(history) == 150:
            break
    epoch += 1
found = pupil.detach().to("cpu").numpy()[:, :, 0, 0]
print(f"the largest error of the nine weights: {np.abs(found - SOBEL).max():.2g}")
assert np.abs(found - SOBEL).max() < 0.05, "the pupil has not found the teacher's filter"

figure, axes = plt.subplots(1, 5, figsize=(13, 3), width_ratios=[1, 1, 1, 1, 2])
shown = [("begins as", begin), ("after 5 steps", snapshots[5]), ("after 20 steps", snapshots[20]), ("after 150 steps", found)]
for axis, (title, weights) in zip(axes, shown):
    show_signed(axis, weights, 2.2)
    axis.set_title(title)
    for (r, c), weight in np.ndenumerate(weights):
        axis.text(c, r, f"{weight:.2f}", ha="center", va="center", color="white" if abs(weight) > 1.1 else "black", fontsize=9)
bare(axes[:4])
axes[4].semilogy([error for _, error in history], label="largest error of a weight")
axes[4].semilogy([loss for loss, _ in history], "--", label="loss")
axes[4].set(xlabel="step")
axes[4].legend(frameon=False)
save(figure, args, "04_planted_sobel.png")
