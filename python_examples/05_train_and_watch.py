"""05. Train, and watch.

A small network learns ten kinds of clothing. While it does, 05_live.png is drawn anew every few steps: the loss of each
step, its running mean, the accuracy after each epoch. Open it in a viewer that reloads; in a notebook it moves by itself.
At the end the filters of the first layer and the maps that they make of one shoe stand beside those from before.

The run is a pure function of data, options and seed: the digest of the weights that is printed last is the same on every
machine, whatever --device says.
"""

import matplotlib.pyplot as plt
import numpy as np

import isobit
from common import DATA_OPTION, arguments, bare, fashion_mnist, in_notebook, save, show_signed
from isobit import data, nn, optim

args = arguments(__doc__, DATA_OPTION)
train, test = fashion_mnist(args)
train = train.take(2_000 if args.quick else 20_000)
test = test.take(500 if args.quick else 5_000)
statistics = data.channel_statistics(train)

# %% The network
net = nn.Sequential(
    nn.Conv2D(16, 5, padding="same"), nn.ReLU(), nn.MaxPool2D(2),
    nn.Conv2D(32, 3, padding="same"), nn.ReLU(), nn.MaxPool2D(2),
    nn.Flatten(), nn.Linear(64), nn.ReLU(), nn.Linear(10, init=nn.normal(0, 0.01)),
)
net.build((28, 28, 1), device=args.device, seed=1)
print(net.summary())

shoe = test.images[int(np.argmax(test.labels.numpy() == 9))].numpy()
mean, deviation = statistics.mean[0], statistics.deviation[0]
shoe_input = isobit.tensor(((shoe / 255 - mean) / deviation).astype(np.float32)[None], device=args.device)


def first_layer():
    """The filters [5, 5, 16] and their maps of the shoe [28, 28, 16]."""
    with isobit.no_grad():
        maps = net[1](net[0](shoe_input))
    weights = net.named_parameters()["0.weight"].detach()
    return weights.to("cpu").clone().numpy()[:, :, 0], maps.to("cpu").numpy()[0]


# %% Training, with a figure that grows
losses, accuracies = [], []


def draw():
    figure, axis = plt.subplots(figsize=(9, 4.2))
    axis.plot(losses, color="0.75", linewidth=0.8, label="loss of a step")
    window = min(len(losses), 25)
    axis.plot(np.arange(window - 1, len(losses)), np.convolve(losses, np.ones(window) / window, "valid"),
              label=f"mean of {window} steps")
    axis.set(xlabel="step", ylabel="loss", ylim=(0, max(losses) * 1.05))
    right = axis.twinx()
    right.plot([step for step, _ in accuracies], [a for _, a in accuracies], "o--", color="#D55E00", label="accuracy")
    right.set(ylabel="accuracy on the test set", ylim=(0, 1))
    right.spines["right"].set_visible(True)
    lines = axis.get_legend_handles_labels()
    more = right.get_legend_handles_labels()
    axis.legend(lines[0] + more[0], lines[1] + more[1], frameon=False, loc="center right")
    return figure


before = first_layer()
sgd = optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
accuracies.append((0, isobit.accuracy(net, test, normalise=statistics)))
epochs = 2 if args.quick else 3
for epoch in range(epochs):
    for images, labels in data.Batches(train, 64, seed=1, device=args.device, epoch=epoch, normalise=statistics):
        net.zero_grad()
        loss = isobit.cross_entropy(net(images), labels)
        loss.backward()
        sgd.step()
        losses.append(loss.item())
        if len(losses) % 100 == 0:
            if in_notebook():
                from IPython.display import clear_output

                clear_output(wait=True)
            save(draw(), args, "05_live.png")
    accuracies.append((len(losses), isobit.accuracy(net, test, normalise=statistics)))
    print(f"epoch {epoch + 1}/{epochs}: accuracy {accuracies[-1][1]:.1%}")
save(draw(), args, "05_live.png")
after = first_layer()

# %% Before and after
figure = plt.figure(figsize=(12, 5.6))
parts = figure.subfigures(2, 2)
limit = max(np.abs(before[0]).max(), np.abs(after[0]).max())
bright = max(before[1].max(), after[1].max())
for row, (word, (filters, maps)) in enumerate([("before", before), ("after", after)]):
    for column, title in enumerate([f"filters {word}", f"maps of the shoe {word}"]):
        parts[row, column].suptitle(title)
        axes = parts[row, column].subplots(2, 8)
        for k, axis in enumerate(axes.flat):
            if column == 0:
                show_signed(axis, filters[:, :, k], limit)
            else:
                axis.imshow(maps[:, :, k], vmin=0, vmax=bright)
            axis.set_title(str(k), fontsize=8, pad=2)
        bare(axes)
save(figure, args, "05_first_layer.png")
print(f"digest {isobit.digest(net)}")
