"""The compiler behind ``torch.compile``: whether there is one, what it says, and how it fails."""

from __future__ import annotations

import logging
import os
import shutil
from contextlib import AbstractContextManager
from importlib.util import find_spec

import torch

from pushforward.kernels.notices import without_notices


def has_compiler(device: torch.device) -> bool:
    """Whether what ``torch.compile`` needs for a device is installed: a C++ compiler, and Triton for a GPU."""
    if device.type == "cuda" and find_spec("triton") is None:
        return False
    # Not with the rest: it takes a second, and few trainings come this far.
    from torch._dynamo.eval_frame import is_dynamo_supported

    compilers = [os.environ["CXX"]] if "CXX" in os.environ else ["g++", "clang++", "c++", "cl"]
    return is_dynamo_supported() and any(shutil.which(compiler) for compiler in compilers)


def is_compiler_failure(error: Exception) -> bool:
    """Whether an error comes from the compiler, not from what was compiled."""
    from torch._dynamo.exc import TorchDynamoException

    return isinstance(error, TorchDynamoException) or type(error).__module__.startswith("torch._inductor")


def quiet_compiler() -> AbstractContextManager[None]:
    """Without the compiler's notices, which are for those who write it."""
    return without_notices(("torch._dynamo", "torch._inductor", "torch._functorch"), logging.CRITICAL)
