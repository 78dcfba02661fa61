"""The unnormalised test densities ``exp(-U(z))`` of Rezende and Mohamed (2015), arXiv:1505.05770, table 1."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import softplus


def energy_1(z: Tensor) -> Tensor:
    """Two parallel arcs of a ring (Rezende and Mohamed 2015, arXiv:1505.05770, table 1); ``(..., 2)`` to ``(...)``."""
    ring = 0.5 * ((torch.linalg.vector_norm(z, dim=-1) - 2) / 0.4) ** 2
    first = z[..., 0]
    return ring - _log_sum(-0.5 * ((first - 2) / 0.6) ** 2, -0.5 * ((first + 2) / 0.6) ** 2)


def energy_2(z: Tensor) -> Tensor:
    """A band along a sine (Rezende and Mohamed 2015, table 1)."""
    return 0.5 * ((z[..., 1] - _wave(z)) / 0.4) ** 2


def energy_3(z: Tensor) -> Tensor:
    """A band along a sine that splits and joins again (Rezende and Mohamed 2015, table 1)."""
    offset = z[..., 1] - _wave(z)
    bump = 3 * torch.exp(-0.5 * ((z[..., 0] - 1) / 0.6) ** 2)
    return -_log_sum(-0.5 * (offset / 0.35) ** 2, -0.5 * ((offset + bump) / 0.35) ** 2)


def energy_4(z: Tensor) -> Tensor:
    """A band along a sine that splits in two (Rezende and Mohamed 2015, table 1)."""
    offset = z[..., 1] - _wave(z)
    step = 3 * torch.sigmoid((z[..., 0] - 1) / 0.3)
    return -_log_sum(-0.5 * (offset / 0.4) ** 2, -0.5 * ((offset + step) / 0.35) ** 2)


#: The four unnormalised test densities ``exp(-U(z))`` of Rezende and Mohamed; the last three are meant on
#: ``|z_1| <= 4``, which `within` enforces.
ENERGIES: dict[str, Callable[[Tensor], Tensor]] = {
    "energy-1": energy_1,
    "energy-2": energy_2,
    "energy-3": energy_3,
    "energy-4": energy_4,
}


def within(
    energy: Callable[[Tensor], Tensor], limit: float = 4.0, sharpness: float = 10.0
) -> Callable[[Tensor], Tensor]:
    """The energy with smooth walls at ``|z_i| = limit``, which make a band of infinite length integrable."""

    def confined(z: Tensor) -> Tensor:
        return energy(z) + softplus(sharpness * (z.abs() - limit)).square().sum(-1)

    return confined


def _log_sum(first: Tensor, second: Tensor) -> Tensor:
    """``log(exp(first) + exp(second))``, whose second derivatives, which the forces of samplers need where their steps
    are learned, stay finite: those of torch's own ``logaddexp`` overflow where the two are far apart."""
    return torch.logsumexp(torch.stack([first, second]), 0)


def _wave(z: Tensor) -> Tensor:
    return torch.sin(0.5 * math.pi * z[..., 0])
