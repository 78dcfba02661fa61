"""The first call of each elementwise function is made before a flow makes one with several threads."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pushforward
from pushforward.kernels.first_calls import FUNCTIONS

RECORD = """
import os, sys, torch
from torch.utils._python_dispatch import TorchDispatchMode

class Record(TorchDispatchMode):
    calls = []
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.calls.append(f"{function.overloadpacket.__name__} {str(result.dtype)[6:]} {result.numel()}")
        return result

# Torch is loaded once; each package is the first one in a process of its own.
for package in sys.argv[1:]:
    if not (child := os.fork()):
        with Record():
            __import__(package)
        print(package, *Record.calls, sep="\\n", end="\\n\\n", flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes that share what is loaded here")
def test_every_package_that_computes_makes_the_first_calls_on_one_number() -> None:
    packages = [f"pushforward.{name}" for name in ("scalar", "networks", "distributions")]
    done = subprocess.run([sys.executable, "-c", RECORD, *packages], capture_output=True, text=True, check=True)
    found = [part.splitlines() for part in done.stdout.strip().split("\n\n")]
    assert [package for package, *_ in found] == packages
    for package, *calls in found:
        missing = {f"{name} {dtype} 1" for name in FUNCTIONS for dtype in ("float32", "float64")} - set(calls)
        assert not missing, package


def test_no_function_of_the_source_is_left_out() -> None:
    vector_library = r"(acos|asin|atan|cos|cosh|erf|erfc|erfinv|exp|expm1|log|log10|log1p|log2|sin|sinh|sqrt|tan|tanh)"
    for path in Path(pushforward.__file__).parent.rglob("*.py"):
        assert set(re.findall(rf"\btorch\.{vector_library}\(", path.read_text())) <= set(FUNCTIONS), path
