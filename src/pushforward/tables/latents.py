"""Between the rows of a table and their normal latents, in chunks of bounded memory."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import DataError
from pushforward.flows import Flow
from pushforward.tables.chunks import slices
from pushforward.tables.codes import LatentCode
from pushforward.tables.columns import Array


def encode(flow: Flow | None, code: LatentCode, numbers: Array, contexts: Array, noise: Array) -> Array:
    """Return the latents ``(n, D)`` of rows ``(n, columns)``, discrete values where ``noise`` says in their cell.

    Raises:
        DataError: if a row is outside the support and so has no latent.
    """
    parts, outside = [np.zeros((0, code.features))], 0
    for rows in slices(len(numbers), numbers.shape[1] + contexts.shape[1]):
        codes, log_du = code.encode(numbers[rows], noise[rows])
        outside += int(np.isneginf(log_du).sum())
        parts.append(transported(flow, codes, contexts[rows]))
    if outside:
        raise DataError(
            f"{outside} rows are outside the support (a bound, an unknown category, another value in a constant "
            f"column) and have no latent: remove them"
        )
    return np.concatenate(parts)


def middles(rows: int, code: LatentCode) -> Array:
    """The noise of discrete values that are taken from the middle of their cell."""
    return np.full((rows, code.noises), 0.5)


def decode(flow: Flow | None, code: LatentCode, latents: Array, contexts: Array) -> Array:
    """Return the rows ``(n, columns)`` of latents ``(n, D)``."""
    parts = [np.zeros((0, code.width))]
    for rows in slices(len(latents), code.width + contexts.shape[1]):
        parts.append(code.decode(_decode(flow, latents[rows], contexts[rows])))
    return np.concatenate(parts)


def given(contexts: Array) -> Tensor | None:
    """Contexts ``(n, C)`` as a flow takes them, None for no columns."""
    return torch.as_tensor(contexts) if contexts.shape[1] else None


@torch.no_grad()
def transported(flow: Flow | None, codes: Array, contexts: Array) -> Array:
    """Return the latents ``(n, D)`` of codes."""
    if flow is None:
        return codes
    latents = flow.encode(torch.as_tensor(codes), given(contexts))
    assert isinstance(latents, Tensor)
    return latents.numpy()


@torch.no_grad()
def _decode(flow: Flow | None, latents: Array, contexts: Array) -> Array:
    return latents if flow is None else flow.decode(torch.as_tensor(latents), given(contexts)).numpy()
