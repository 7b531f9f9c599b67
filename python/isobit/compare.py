"""Why two results differ: verdicts, the fault that explains them, and where (docs/compare.md)."""

from isobit._core.compare import *  # noqa: F401,F403
