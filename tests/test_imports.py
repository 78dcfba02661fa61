"""Imports run one way, and what exists for speed alone or reaches into torch's insides stands in `kernels/`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "pushforward"
OUTSIDE_OF_KERNELS = [path for path in sorted(SOURCE.rglob("*.py")) if "kernels" not in path.parts]


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


# What torch keeps for itself on every module and every tensor.
TORCH_OWN = {name for place in (torch.nn.Module(), torch.Tensor()) for name in dir(place) if private(name)}


def test_imports_run_one_way_without_circles(capsys: pytest.CaptureFixture[str]) -> None:
    broken = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert not broken, capsys.readouterr().out


def root(node: ast.expr) -> str:
    """The name that ``a.b.c`` begins with; empty where it begins with something else."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def from_torch(node: ast.AST) -> list[tuple[str, str]]:
    """What an import takes from torch: full names, and the names here."""
    if isinstance(node, ast.Import):
        pairs = [(name.name, name.asname or name.name.partition(".")[0]) for name in node.names]
    elif isinstance(node, ast.ImportFrom):
        pairs = [(f"{node.module}.{name.name}", name.asname or name.name) for name in node.names]
    else:
        pairs = []
    return [(full, here) for full, here in pairs if full.partition(".")[0] == "torch"]


def reaches_into_torch(source: str) -> Iterator[tuple[int, str]]:
    """Where a file asks whether it is compiled, or uses what torch keeps for itself."""
    tree = ast.parse(source)
    roots = {"torch"} | {here for node in ast.walk(tree) for _, here in from_torch(node)}
    # A class that is no module may have a method of the same name.
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(tree):
        names = [full for full, _ in from_torch(node)]
        if isinstance(node, ast.Attribute) and (root(node) in roots or node.attr in TORCH_OWN - own):
            names = [node.attr]
        elif isinstance(node, ast.Call) and root(node.func) in ("getattr", "setattr", "hasattr", "delattr"):
            names = [each.value for each in node.args if isinstance(each, ast.Constant) and each.value in TORCH_OWN]
        for name in names:
            parts = name.split(".")
            if "is_compiling" in parts or any(private(part) for part in parts):
                yield node.lineno, name


@pytest.mark.parametrize("path", OUTSIDE_OF_KERNELS, ids=lambda path: str(path.relative_to(SOURCE)))
def test_only_kernels_ask_whether_they_are_compiled_or_use_what_torch_keeps_for_itself(path: Path) -> None:
    assert list(reaches_into_torch(path.read_text())) == []


@pytest.mark.parametrize(
    "line",
    [
        "torch.compiler.is_compiling()",
        "torch._foreach_mul_(x, 2)",
        "torch._dynamo.config.verbose",
        "import torch._dynamo",
        "from torch._inductor import config",
        "from torch.compiler import is_compiling",
        "from torch.nn import functional; functional._canonical_mask",
        "self._compiled_call_impl = call",
        "network._forward_hooks",
        "getattr(network, '_buffers')",
        "x._version",
    ],
)
def test_the_check_finds(line: str) -> None:
    assert len(list(reaches_into_torch(line))) == 1


@pytest.mark.parametrize(
    "line", ["self._place", "self._stack", "torch.exp(x)", "import torch.nn", "def _buffers(): return f._buffers()"]
)
def test_the_check_leaves_alone(line: str) -> None:
    assert list(reaches_into_torch(line)) == []
