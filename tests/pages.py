"""The examples of a page: Python in one module, as in a reader's file, and commands of the command line."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import types

ELSEWHERE = "# In another process"
"""What an example begins with that stands for a program of its own."""


def examples(text: str, language: str = "python") -> list[str]:
    """The blocks of a page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(block: str) -> list[list[str]]:
    """The arguments of each command that a console shows: what follows a dollar, over lines that go on."""
    whole = block.replace("\\\n", " ")
    return [shlex.split(line[2:])[1:] for line in whole.splitlines() if line.startswith("$ pushforward ")]


def run_examples(text: str, page: str) -> None:
    """Run all that a page has, in its order and in the working directory.

    Raises:
        AssertionError: if a command or another process fails.
    """
    # A module, as a reader's file is one: what is compiled looks its globals up there.
    reader = types.ModuleType("reader")
    sys.modules["reader"] = reader
    for number, (language, example) in enumerate(re.findall(r"```(python|console)\n(.*?)```", text, re.DOTALL), 1):
        place = f"{page}, example {number}"
        if language == "console":
            _run_commands(example, place)
        elif example.startswith(ELSEWHERE):
            done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, f"{place}: {done.stderr}"
        else:
            exec(compile(example, place, "exec"), reader.__dict__)


def _run_commands(block: str, place: str) -> None:
    from pushforward.cli.main import run

    for arguments in commands(block):
        assert run(arguments) == 0, f"{place}: pushforward {' '.join(arguments)}"
