"""Ready-made networks for small images: those of the C++ library under its names, with the same parameters to the last
bit, made of Python's layers (so that each can be looked at, replaced or converted)."""

from isobit import nn


def _conv3(filters, stride=1):
    # A convolution that batch norm follows: its bias would be subtracted again.
    return nn.Conv2D(filters, 3, stride=stride, padding="same", bias=False)


def _head(classes):
    # Small weights, so that the first loss is near that of guessing.
    return nn.Linear(classes, init=nn.normal(0, 0.01))


def _block(filters, stride):
    body = nn.Sequential(_conv3(filters, stride), nn.BatchNorm(), nn.ReLU(), _conv3(filters), nn.BatchNorm())
    if stride == 1:
        return nn.Residual(body)
    return nn.Residual(body, nn.Sequential(nn.Conv2D(filters, 1, stride=stride, bias=False), nn.BatchNorm()))


def lenet(classes=10):
    """conv 5x5 32 same, relu, max pool 2, conv 5x5 64 same, relu, max pool 2, linear 512, relu, linear `classes`."""
    return nn.Sequential(
        nn.Conv2D(32, 5, padding="same"),
        nn.ReLU(),
        nn.MaxPool2D(2),
        nn.Conv2D(64, 5, padding="same"),
        nn.ReLU(),
        nn.MaxPool2D(2),
        nn.Flatten(),
        nn.Linear(512),
        nn.ReLU(),
        _head(classes),
    )


def vgg_small(classes=10):
    """Three stages of two 3x3 convolutions (32, 64, 128 filters) with batch norm, each followed by a max pool; dropout
    and a linear layer of 256 before the classes."""
    net = nn.Sequential()
    for filters in (32, 64, 128):
        for _ in range(2):
            net.add(_conv3(filters)).add(nn.BatchNorm()).add(nn.ReLU())
        net.add(nn.MaxPool2D(2))
    return net.add(nn.Flatten()).add(nn.Linear(256)).add(nn.ReLU()).add(nn.Dropout(0.3)).add(_head(classes))


def resnet_small(classes=10):
    """A 3x3 stem of 32 filters and three residual blocks (32, 64, 128 filters; the last two halve the image and project
    with a strided 1x1 convolution), batch norm throughout, global average pool, linear."""
    return nn.Sequential(
        _conv3(32),
        nn.BatchNorm(),
        nn.ReLU(),
        _block(32, 1),
        nn.ReLU(),
        _block(64, 2),
        nn.ReLU(),
        _block(128, 2),
        nn.ReLU(),
        nn.GlobalAvgPool(),
        _head(classes),
    )


_MAKERS = {"lenet": lenet, "vgg-small": vgg_small, "resnet-small": resnet_small}


def names():
    """The names `make` knows."""
    return list(_MAKERS)


def make(name, classes=10):
    """The model of that name. ValueError lists the names."""
    if name not in _MAKERS:
        raise ValueError(f'models: there is no model "{name}": choose one of {", ".join(_MAKERS)}')
    return _MAKERS[name](classes)
