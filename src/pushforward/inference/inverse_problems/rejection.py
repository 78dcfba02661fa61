"""Rejection: the posterior of an inverse problem by trying out, slow and without a model."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from pushforward.errors import ShapeError, UsageError
from pushforward.scalar.arguments import check_counts
from pushforward.seeds import check_seed


def rejection_sample(
    sample: Callable[[int, Generator], tuple[Tensor, Tensor]],
    observation: Tensor,
    count: int,
    *,
    simulations: int = 1_000_000,
    batch: int = 100_000,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    r"""Approximate Bayesian computation by rejection: of many simulations keep those nearest to an observation.

    Args:
        sample: draws parameters ``(n, D)`` and observations ``(n, E)`` of ``n`` and a generator, as an
            `InverseProblem` does.
        observation: ``(E,)``.
        count: how many to keep.
        simulations: how many to try.
        batch: how many at a time.
        seed: of the draws.

    Returns:
        The parameters ``(count, D)`` and the largest distance ``|s(x) - y|`` among them, a scalar.

    Raises:
        UsageError: if a number is none of its kind, or more are to be kept than tried.
        ShapeError: if the observation is none of the simulator's vectors.

    Source: Tavare et al. (1997), Genetics 145, 505-518.

    Example:
        >>> from pushforward.data.inverse import InverseKinematics
        >>> x, distance = rejection_sample(InverseKinematics().sample, torch.tensor([1.5, 0.0]), 10, simulations=5000)
        >>> x.shape, bool(distance < 0.2)
        (torch.Size([10, 4]), True)
    """
    check_counts("rejection_sample", count=count, simulations=simulations, batch=batch)
    if count > simulations:
        raise UsageError(f"rejection_sample expects to keep 1 to {simulations} simulations, got count={count}")
    generator = torch.Generator().manual_seed(check_seed("seed", seed))
    kept, distances = torch.empty(0), torch.empty(0)
    for start in range(0, simulations, batch):
        x, y = sample(min(batch, simulations - start), generator)
        if observation.dim() != 1 or y.shape[1:] != observation.shape:
            raise ShapeError(
                f"rejection_sample expects an observation (E,) and simulations (n, E), got {tuple(observation.shape)} "
                f"and {tuple(y.shape)}"
            )
        x = torch.cat([kept, x]) if len(kept) else x
        distances = torch.cat([distances, (y - observation).norm(dim=-1)])
        nearest = distances.topk(min(count, len(distances)), largest=False).indices
        kept, distances = x[nearest], distances[nearest]
    return kept, distances.max()
