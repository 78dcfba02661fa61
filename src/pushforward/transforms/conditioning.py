"""What structures check of the parts that they are given: the scalar bijection, the context, the data's reach."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.networks.context import Context, image_context, vector_context
from pushforward.scalar.base import ScalarBijection
from pushforward.spaces import Space

LEAST_SEEN = 0.5
"""The share of the data that a bijection with a limited reach should see."""


class ReachWarning(UserWarning):
    """Most of the data lie where a bijection's parameters cannot bend it.

    Example:
        >>> import warnings, pushforward as pf
        >>> spline = pf.scalar.RationalQuadraticSpline()
        >>> flow = pf.Flow([pf.transforms.Elementwise(spline, (1,))], pf.distributions.StandardNormal((1,)))
        >>> with warnings.catch_warnings(record=True) as told:
        ...     warnings.simplefilter("always")
        ...     flow.initialise(torch.linspace(100.0, 200.0, 50)[:, None])
        >>> told[0].category.__name__
        'ReachWarning'
    """


def check_scalar(scalar: ScalarBijection, owner: str) -> ScalarBijection:
    """Return the scalar bijection.

    Raises:
        UsageError: if it is something else, a class in place of an object above all.
    """
    if isinstance(scalar, type):
        raise UsageError(
            f"{owner} expects a scalar bijection, got the class {scalar.__name__}: write {scalar.__name__}()"
        )
    if not isinstance(scalar, ScalarBijection):
        raise UsageError(f"{owner} expects a scalar bijection such as Affine(), got {type(scalar).__name__}")
    return scalar


def conditioner_context(context: Context, event_dims: int, owner: str) -> Space | None:
    """Return the space of the context of a structure on vectors or images."""
    return image_context(context, owner) if event_dims == 3 else vector_context(context, owner)


def warn_of_reach(scalar: ScalarBijection, x: Tensor, owner: str) -> None:
    """Warn if most of the data lie where the bijection is the identity, as raw data of another scale do."""
    if scalar.reach is None or not x.numel():
        return
    seen = ((x >= scalar.reach.low) & (x <= scalar.reach.high)).to(torch.float32).mean().item()
    if seen < LEAST_SEEN:
        warnings.warn(
            f"{owner}: {1 - seen:.0%} of the data lie outside of ({scalar.reach.low:g}, {scalar.reach.high:g}), where "
            f"{type(scalar).__name__} can bend them: put Standardise(features) before it, or scale the data",
            ReachWarning,
            stacklevel=2,
        )
