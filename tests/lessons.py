"""A lesson of the courses, run as a reader's notebook would run it."""

from __future__ import annotations

import ast
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

COURSES = Path(__file__).parents[1] / "docs" / "courses"


def load_notebooks() -> Any:
    """The script that parts lessons into cells, as a module."""
    spec = importlib.util.spec_from_file_location("notebooks", COURSES / "notebooks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["notebooks"] = module
    spec.loader.exec_module(module)
    return module


def run_lesson(path: Path) -> list[Any]:
    """Run the cells of code in one module, those of answers too; return what each cell shows, its last expression."""
    reader = types.ModuleType("reader")
    sys.modules["reader"] = reader
    shown = []
    for cell in load_notebooks().cells(path.read_text()):
        if not cell.markdown:
            # The file's own lines, so that an error is told at the place where it stands.
            tree = ast.increment_lineno(ast.parse(cell.source), cell.line - 1)
            last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, str(path), "exec"), reader.__dict__)
            if isinstance(last, ast.Expr):
                shown.append(eval(compile(ast.Expression(last.value), str(path), "eval"), reader.__dict__))
    return shown
