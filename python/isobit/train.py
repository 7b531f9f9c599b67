"""Training runs and their checkpoints."""

from isobit._core.train import *  # noqa: F401,F403
