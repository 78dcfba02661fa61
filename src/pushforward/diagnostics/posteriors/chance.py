"""How odd a statistic is beside what chance gives."""

from __future__ import annotations

import torch
from torch import Tensor

_ROUNDING = 1e-9


def shares_as_large(null: Tensor, values: Tensor) -> Tensor:
    """The share of statistics of chance that are at least as large as each value, the value itself among them.

    Those that differ from it by rounding alone count as large, so that what is discrete keeps its ties.

    Args:
        null: ``(T,)``, what chance gives, at least one number.
        values: ``(...)``.

    Source: Phipson, Smyth (2010), arXiv:1603.05766, on the value itself.

    Example:
        >>> shares_as_large(torch.tensor([0.0, 1.0, 2.0]), torch.tensor([1.0, 3.0])).tolist()
        [0.75, 0.25]
    """
    rounding = _ROUNDING * null.abs().amax()
    as_large = (null >= (values - rounding).unsqueeze(-1)).sum(-1)
    return (1 + as_large).double() / (1 + len(null))


def p_value(null: Tensor, value: float) -> float:
    """The share for one value."""
    return shares_as_large(null, torch.tensor(value, dtype=null.dtype)).item()
