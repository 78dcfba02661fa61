"""``python -m pushforward`` and the command ``pushforward``: the command line, or what to install for it."""

from __future__ import annotations

import sys

from pushforward.errors import MissingExtraError
from pushforward.extras import requires


def main() -> None:
    """Run the command line and exit; without its packages say which extra brings them, and exit with 1."""
    try:
        with requires("cli", purpose="the command line"):
            from pushforward.cli.main import main as command_line
    except MissingExtraError as error:
        sys.exit(f"pushforward: {error}")
    command_line()


if __name__ == "__main__":
    main()
