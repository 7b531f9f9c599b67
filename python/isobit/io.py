"""Files: safetensors, PNG, JPEG, the digest of named tensors. Every file is taken for hostile until it is checked."""

from isobit._core.io import *  # noqa: F401,F403
