"""Settings of the compiler that the library's code is written for."""

from __future__ import annotations

from typing import Any


def tuned(options: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """Return the options for ``torch.compile`` with our settings of its default backend, unless the caller has his.

    The compiler's pattern matcher would turn a product and a bias back into one call, which first copies the bias over
    all of the output; left apart, the bias joins the activation that follows.

    Example:
        >>> tuned({"dynamic": False}, max_fusion_size=1024)
        {'dynamic': False, 'options': {'pattern_matcher': False, 'max_fusion_size': 1024}}
        >>> tuned({"mode": "max-autotune"})
        {'mode': 'max-autotune'}
    """
    if {"backend", "mode", "options"} & options.keys():
        return options
    return options | {"options": {"pattern_matcher": False, **settings}}
