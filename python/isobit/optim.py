"""Optimizers (SGD, Adam, AdamW, RMSprop), schedules of the learning rate, clipping of gradients."""

from isobit._core.optim import *  # noqa: F401,F403
