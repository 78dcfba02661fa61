"""The manual page ``pushforward.1``, from the command line itself: ``python -m pushforward.cli.manual FILE``."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from pushforward.files import atomic_write
from pushforward.version import __version__

_ENDINGS = """\
.SH EXIT STATUS
0 where all was done, 1 for a failure, 2 for a usage that is wrong, 130 where it was interrupted.
.SH ENVIRONMENT
.TP
.B PUSHFORWARD_DEBUG
Where set, an unexpected error shows where it came from.
"""


def manual(app: typer.Typer) -> str:
    """The page in the language of man: every command with its arguments and options.

    Example:
        >>> from pushforward.cli.main import app
        >>> manual(app).splitlines()[0].split()[:3]
        ['.TH', 'PUSHFORWARD', '1']
    """
    command: Any = get_command(app)
    names = sorted(command.commands)
    parts = [
        f'.TH PUSHFORWARD 1 "" "pushforward {__version__}" "User Commands"',
        ".SH NAME",
        f"pushforward {chr(92)}- normalizing flows on the command line",
        ".SH SYNOPSIS",
        ".B pushforward",
        ".I COMMAND",
        "[arguments and options]",
        ".SH DESCRIPTION",
        _text(command.help),
        ".SH OPTIONS",
        *_parameters(command),
        ".SH COMMANDS",
    ]
    for name in names:
        parts += _command(name, command.commands[name])
    return "\n".join(part for part in parts if part) + "\n" + _ENDINGS


def _command(name: str, command: Any) -> list[str]:
    """A command's section: its use, what it does, what it takes."""
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    taken = " ".join(_placeholder(each) if each.required else f"[{_placeholder(each)}]" for each in arguments)
    use = f"pushforward {name} {taken}".strip() + " [options]"
    return [f".SS {_text(use)}", _text(command.help), *_parameters(command)]


def _parameters(command: Any) -> list[str]:
    """A command's arguments and options with what they mean."""
    parts = []
    for parameter in command.params:
        if getattr(parameter, "hidden", False):
            continue
        head = _placeholder(parameter) if parameter.param_type_name == "argument" else _flags(parameter)
        parts += [".TP", f".B {_text(head)}", _text(parameter.help or "") or "\\&"]
    return parts


def _flags(option: Any) -> str:
    flags = ", ".join([*option.opts, *option.secondary_opts])
    return flags if option.is_flag or option.count else f"{flags} {_placeholder(option)}"


def _placeholder(parameter: Any) -> str:
    if parameter.metavar:
        return str(parameter.metavar)
    choices = getattr(parameter.type, "choices", None)
    if choices:
        return "|".join(str(getattr(choice, "value", choice)) for choice in choices)
    return str(parameter.name if parameter.param_type_name == "argument" else parameter.type.name).upper()


def _text(text: str | None) -> str:
    """Text without the marks of the terminal's help, and with those of man escaped."""
    plain = re.sub(r"``?", "", text or "").replace("\f", "").replace("\\", "\\e").replace("-", "\\-")
    lines = [" ".join(line.split()) for line in plain.strip().splitlines()]
    # A line that begins with a dot or a quote would be a command; an empty one is a paragraph.
    return "\n".join(".PP" if not line else "\\&" * line.startswith((".", "'")) + line for line in lines)


def main() -> None:
    """Write the page to the file that is named."""
    from pushforward.cli.main import app

    place = Path(sys.argv[1])
    place.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(place, manual(app))


if __name__ == "__main__":
    main()
