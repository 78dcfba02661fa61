"""Sums of two numbers, digit by digit."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import UsageError


def addition(rows: int, digits: int, base: int = 10, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Draw two numbers of ``digits`` digits, evenly, with their sum.

    Of digits, the least come first, so that a carry depends on what is before it. The sum, of one digit more, is what a
    flow learns, given the summands, the digits of both side by side: its entropy given them is zero.

    Args:
        rows: how many pairs.
        digits: the digits of each summand.
        base: of the numerals.
        generator: where the random numbers come from.

    Returns:
        The sums ``(rows, digits + 1)`` and the summands ``(rows, 2 * digits)``.

    Raises:
        UsageError: if there is no digit, the base is below 2, or there are fewer than no rows.

    Source: Tran, Vafa, Agrawal, Dinh, Poole (2019), arXiv:1905.10347, whose example it is.

    Example:
        >>> sums, summands = addition(5, digits=2)
        >>> sums.shape, summands.shape
        (torch.Size([5, 3]), torch.Size([5, 4]))
    """
    if digits < 1 or base < 2:
        raise UsageError(f"addition expects at least one digit and a base of at least 2, got {digits} and {base}")
    if rows < 0:
        raise UsageError(f"addition draws no negative number of rows, got {rows}")
    pairs = torch.randint(base, (rows, digits, 2), generator=generator)
    carry = torch.zeros(rows, dtype=torch.long)
    found = []
    for pair in pairs.unbind(1):
        total = pair.sum(-1) + carry
        found.append(total % base)
        carry = total // base
    return torch.stack([*found, carry], -1).float(), pairs.flatten(1).float()
