"""Which kind of run a folder holds, as its configuration says."""

from __future__ import annotations

import json
from pathlib import Path

#: What ``config.json`` of a run of a table calls itself.
TABLE_FORMAT = "pushforward table run"
#: What ``inference.json`` in a folder of an inference calls itself.
INFERENCE_FORMAT = "pushforward inference"
#: Its name.
INFERENCE = "inference.json"
#: The name of the model that is an estimator's own choice.
TABLE_MODEL = "table"


def is_table_run(folder: Path) -> bool:
    """Whether a folder holds a run of a table; the answer does not wait for torch or pandas."""
    try:
        stored = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        return False
    return isinstance(stored, dict) and stored.get("format") == TABLE_FORMAT


def is_inference(folder: Path) -> bool:
    """Whether a folder is what ``pushforward infer`` left."""
    return (folder / INFERENCE).is_file()
