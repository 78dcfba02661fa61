"""The parameters that an object of ``torch.distributions`` can be made again from."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from pushforward.errors import UsageError

Torch = torch.distributions.Distribution

_MATRICES = ("scale_tril", "covariance_matrix", "precision_matrix")


def parameters_of(distribution: Torch) -> dict[str, Any]:
    """Return the arguments that make the same distribution, broadcast as torch keeps them.

    Of parameters that say the same in several ways there is one: the Cholesky factor of a covariance, and of ``logits``
    and ``probs`` the one that was given.

    Raises:
        UsageError: if the distribution does not keep one of them.

    Example:
        >>> parameters_of(torch.distributions.LogNormal(0.0, 1.0))
        {'loc': tensor(0.), 'scale': tensor(1.)}
    """
    names = [name for name in inspect.signature(type(distribution)).parameters if name != "validate_args"]
    if "probs" in names:
        names.remove("probs" if _given_as_logits(distribution) else "logits")
    if "scale_tril" in names:
        names = [name for name in names if name not in _MATRICES[1:]]
    # Settings that are no parameters may be kept under a private name.
    kept = {name: name if hasattr(distribution, name) else f"_{name}" for name in names}
    lost = [name for name in names if not hasattr(distribution, kept[name])]
    if lost:
        raise UsageError(
            f"a base expects a distribution that keeps its parameters, got {type(distribution).__name__}, which does "
            f"not keep {', '.join(lost)}"
        )
    return {name: getattr(distribution, kept[name]) for name in names}


def _given_as_logits(distribution: Any) -> bool:
    # Some distributions hold another one, which holds the parameter.
    while not {"probs", "logits"} & distribution.__dict__.keys():
        held = distribution.__dict__
        distribution = held["_categorical"] if "_categorical" in held else held["base_dist"]
    kept = distribution.__dict__
    # A property fills in the other one when it is read; the one that was given is kept as the parameter itself.
    if "probs" in kept and "logits" in kept and "_param" in kept:
        return kept["_param"] is kept["logits"]
    return "probs" not in kept
