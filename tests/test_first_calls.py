"""The first call of each elementwise function is made before a flow makes one with several threads."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import pushforward
from pushforward.kernels.first_calls import FUNCTIONS

RECORD = """
import sys, torch
from torch.utils._python_dispatch import TorchDispatchMode

class Record(TorchDispatchMode):
    calls = []
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.calls.append(f"{function.overloadpacket.__name__} {str(result.dtype)[6:]} {result.numel()}")
        return result

with Record():
    __import__(sys.argv[1])
print("\\n".join(Record.calls))
"""


@pytest.mark.parametrize("package", ["scalar", "networks", "distributions"])
def test_every_package_that_computes_makes_the_first_calls_on_one_number(package: str) -> None:
    command = [sys.executable, "-c", RECORD, f"pushforward.{package}"]
    calls = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert {f"{name} {dtype} 1" for name in FUNCTIONS for dtype in ("float32", "float64")} <= set(calls)


def test_no_function_of_the_source_is_left_out() -> None:
    vector_library = r"(acos|asin|atan|cos|cosh|erf|erfc|erfinv|exp|expm1|log|log10|log1p|log2|sin|sinh|sqrt|tan|tanh)"
    for path in Path(pushforward.__file__).parent.rglob("*.py"):
        assert set(re.findall(rf"\btorch\.{vector_library}\(", path.read_text())) <= set(FUNCTIONS), path
