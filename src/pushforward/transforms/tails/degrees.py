"""Degrees of freedom of a Student's t by maximum likelihood: the tail index where the whole distribution is one."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.distributions.continuous.student_t import log1p_square, student_log_normaliser
from pushforward.errors import DataError
from pushforward.numerics import check_start, robust_location_and_scale

LEAST_ROWS = 20

START = 3.0

NORMAL = 1000.0
"""So many degrees of freedom and more are a normal."""

STEPS = 200


def student_degrees(x: Tensor) -> Tensor:
    r"""Return the degrees of freedom of the most likely Student's t for each dimension, with a location and a scale of
    its own; ``inf`` where that is a normal.

    They are a t's tail index. All rows tell of it, not the outermost ones alone as for :func:`tail_index`, so it is
    more precise, and wrong where the data's tails are not those that a t with their body has: of an exponential
    distribution, whose tails are light, it finds a few degrees. By the Fisher information no unbiased estimate of
    ``N`` rows has a standard error below a part ``c / sqrt(N)`` of ``nu``, with a ``c`` of 1.8 at ``nu = 1`` and 25 at
    30: what many degrees there are, thousands of rows do not say.

    Args:
        x: rows ``(N, D)``, not half of a column equal.

    Raises:
        DataError: of fewer than 20 rows, no columns, values that are not finite, or a column half of which is equal.

    Source: Lange, Little, Taylor (1989), Journal of the American Statistical Association 84.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> cauchy = torch.randn(2, 4000, 1, generator=generator, dtype=torch.float64)
        >>> abs(student_degrees(cauchy[0] / cauchy[1]).item() - 1.0) < 0.1
        True
    """
    if x.dim() != 2 or len(x) < LEAST_ROWS or not x.shape[1]:
        raise DataError(f"student_degrees expects rows (N, D), {LEAST_ROWS} or more, got {tuple(x.shape)}")
    columns = x.detach().double().t()
    check_start(columns, "student_degrees")
    location, scale = robust_location_and_scale(columns, "student_degrees")
    equal = (columns == columns.median(1, keepdim=True).values).double().mean(1)
    if bool((equal >= 0.5).any()):
        raise DataError(
            f"student_degrees expects columns of which less than half is one value, got {equal.max():.0%} in column "
            f"{int(equal.argmax())}"
        )
    # One search for each: what is extreme in one column does not end those of others.
    standard = (columns - location[:, None]) / scale[:, None]
    degrees = torch.stack([_most_likely(column) for column in standard])
    found = torch.where(degrees >= NORMAL, torch.inf, degrees)
    return found.to(x.dtype if x.is_floating_point() else torch.get_default_dtype())


@torch.enable_grad()
def _most_likely(column: Tensor) -> Tensor:
    """The degrees of freedom of a column ``(N,)`` around 0 and of the size 1."""
    # The location, the log-scale and the log-degrees.
    raw = torch.tensor([0.0, 0.0, math.log(START)], dtype=column.dtype, device=column.device, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [raw], max_iter=STEPS, tolerance_grad=1e-9, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        location, log_scale, log_degrees = raw
        nu = torch.exp(log_degrees)
        t = (column - location) * torch.exp(-log_scale)
        value = (0.5 * (nu + 1.0) * log1p_square(t * torch.rsqrt(nu))).mean() + log_scale + student_log_normaliser(nu)
        value.backward()
        return value

    optimiser.step(loss)
    return torch.exp(raw[2].detach())
