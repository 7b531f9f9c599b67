"""Data sets (MNIST and its relatives, CIFAR, folders of images, arrays), and the batches of an epoch."""

from isobit._core.data import *  # noqa: F401,F403
