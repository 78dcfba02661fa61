"""Run a page's examples, show what they print, and keep the pictures that they write and the page shows.

From the root of the repository: ``python docs/pictures/draw.py docs/tables.md``.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from pages import run_examples

PICTURES = Path(__file__).parent


def main(page: Path) -> None:
    """Draw the pictures of a page."""
    text = page.read_text()
    shown = set(re.findall(r"\]\(pictures/([^)]*)\)", text))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        run_examples(text, str(page))
        for name in sorted(shown & set(os.listdir(folder))):
            shutil.copy(name, PICTURES / name)
            print(f"drew {name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
