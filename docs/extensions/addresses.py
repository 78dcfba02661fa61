"""The form that an address of the web has."""

from __future__ import annotations

import re

FORM = re.compile(r"https://[a-z0-9-]+(\.[a-z0-9-]+)+(/[^\s<>]*)?(#[^\s<>]+)?|mailto:[^\s@]+@[^\s@]+")


def well_formed(address: str) -> bool:
    """Whether an address is a whole one, encrypted."""
    return FORM.fullmatch(address) is not None
