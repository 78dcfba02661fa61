"""Vine copulas, estimated by pyvinecopulib."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from pushforward.distributions.base import Distribution
from pushforward.distributions.continuous.normal import LOG_SQRT_TWO_PI
from pushforward.errors import DataError, UsageError
from pushforward.extras import requires
from pushforward.numerics import finite_square, rand
from pushforward.spaces import Reals

LEAST_ROWS = 20
NEAREST = 1e-10
"""How near uniform scores come to 0 and 1, as pyvinecopulib has it."""


class VineCopula(Distribution):
    r"""A regular vine copula in normal scores, ``z_i = Phi^-1(u_i)``: a product of copulas of pairs,

    .. math:: \log p(z) = \sum_{e} \log c_e(u_{a_e \mid D_e}, u_{b_e \mid D_e}) + \sum_i \log \phi(z_i),

    over the edges ``e`` of a sequence of trees, each a pair of dimensions given those that the trees before have joined
    them by. The trees follow the strongest dependence and each pair copula is estimated without a family, on a grid, by
    local likelihood. It is fitted once (:meth:`fitted`), by ``pyvinecopulib`` (the extra ``vines``), and then as it is:
    gradients reach events and whatever stands before them.

    Args:
        description: the vine as ``pyvinecopulib`` writes it in JSON, its pair copulas of the families ``tll`` and
            ``indep``.

    Raises:
        MissingExtraError: if ``pyvinecopulib`` is not installed.
        UsageError: if it cannot read the description.

    Source: Bedford, Cooke (2002), Annals of Statistics 30; Dissmann, Brechmann, Czado, Kurowicka (2013), CSDA 59;
    Nagler, Schellhase, Czado (2017), Dependence Modeling 5.
    """

    reparametrised = True
    like: Tensor

    def __init__(self, description: str) -> None:
        super().__init__()
        self.description = description
        self.support = Reals((int(_vine(description).d),))
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def extra_repr(self) -> str:
        # The description is as long as a book.
        return f"dimensions={self.event_shape[0]}"

    @classmethod
    def fitted(cls, scores: Tensor) -> VineCopula:
        """Return the vine of normal scores ``(N, D)``; what their marginals are does not matter, only their ranks.

        Raises:
            MissingExtraError: if ``pyvinecopulib`` is not installed.
            DataError: of fewer than 20 rows or two dimensions, or of scores that are not finite.
        """
        if scores.dim() != 2 or len(scores) < LEAST_ROWS or scores.shape[1] < 2:
            raise DataError(f"VineCopula expects scores (N, D) of 20 rows and 2 dimensions, got {tuple(scores.shape)}")
        if not bool(torch.isfinite(scores).all()):
            raise DataError("VineCopula expects finite scores, got some that are not: remove those rows")
        with requires("vines", purpose="VineCopula"):
            import pyvinecopulib as vines
        ranks = vines.to_pseudo_obs(scores.detach().double().cpu().numpy())
        controls = vines.FitControlsVinecop(family_set=[vines.indep, vines.tll], num_threads=1)
        return cls(vines.Vinecop.from_data(ranks, controls=controls).to_json())

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        density = _vine(self.description).pdf(_uniform(rows)) if len(rows) else rows[:, 0]
        log_copula = torch.log(density.clamp_min(1e-300))
        normal = (-0.5 * finite_square(x) - LOG_SQRT_TWO_PI).sum(-1)
        return normal + log_copula.to(x).reshape(x.shape[:-1])

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        noise = rand(self.like, (*batch, *self.event_shape), generator).double()
        rows = noise.reshape(-1, noise.shape[-1]).clamp(NEAREST, 1.0 - NEAREST).cpu()
        uniform = _vine(self.description).inverse_rosenblatt(rows) if len(rows) else rows
        return temperature * torch.special.ndtri(uniform).to(self.like).reshape(noise.shape)


def _uniform(scores: Tensor) -> Tensor:
    """Uniform scores in double precision, in which a vine is computed, on the processor."""
    return torch.special.ndtr(scores.double().cpu()).clamp(NEAREST, 1.0 - NEAREST)


@functools.lru_cache(maxsize=16)
def _vine(description: str) -> Any:
    """The vine of a description, kept apart from the modules: it is no part of their state."""
    with requires("vines", purpose="VineCopula"):
        import pyvinecopulib as vines
        from pyvinecopulib.torch import TorchVinecop
    try:
        return TorchVinecop.from_vinecop(vines.Vinecop.from_json(description))
    except (RuntimeError, ValueError, TypeError) as error:
        raise UsageError(f"VineCopula cannot read its description: {str(error).splitlines()[0]}") from error
