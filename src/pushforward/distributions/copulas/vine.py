"""Vine copulas, estimated by pyvinecopulib."""

from __future__ import annotations

import functools
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.distributions.base import Distribution
from pushforward.distributions.continuous.normal import LOG_SQRT_TWO_PI
from pushforward.errors import DataError, UsageError
from pushforward.extras import requires
from pushforward.numerics import finite_square, rand
from pushforward.spaces import Reals

LEAST_ROWS = 20
POINTS = 30
"""Of a pair's density in each direction, as pyvinecopulib has it."""
NEAREST = 1e-10
"""How near uniform scores come to 0 and 1, as pyvinecopulib has it."""


class VineCopula(Distribution):
    r"""A regular vine copula in normal scores, ``z_i = Phi^-1(u_i)``: a product of copulas of pairs,

    .. math:: \log p(z) = \sum_{e} \log c_e(u_{a_e \mid D_e}, u_{b_e \mid D_e}) + \sum_i \log \phi(z_i),

    over the edges ``e`` of a sequence of trees, each a pair of dimensions given those that the trees before have joined
    them by. The trees follow the strongest dependence and each pair copula is estimated without a family, on a grid, by
    local likelihood.

    It begins as independence, and what stands before it is trained so. :meth:`finish`, which ``fit`` calls at the end,
    estimates it by ``pyvinecopulib`` (the extra ``vines``); from then on it is fixed, gradients reach events and
    whatever stands before them, and :meth:`initialise`, with which another training begins, makes it independence
    again. It is computed in double precision on the processor.

    Args:
        features: the number of dimensions ``D``, two or more.

    Shapes: scores ``z`` are ``(..., D)``, their log-density ``(...)``.

    Raises:
        MissingExtraError: if ``pyvinecopulib`` is not installed.
        UsageError: of fewer than two dimensions.

    Source: Bedford, Cooke (2002), Annals of Statistics 30; Dissmann, Brechmann, Czado, Kurowicka (2013), CSDA 59;
    Nagler, Schellhase, Czado (2017), Dependence Modeling 5.

    Example:
        >>> copula = VineCopula(3)
        >>> x = torch.randn(5, 3)
        >>> normal = torch.distributions.Normal(0.0, 1.0)
        >>> torch.allclose(copula.log_prob(x), normal.log_prob(x).sum(-1), atol=1e-5)
        True
    """

    reparametrised = True
    finishes = True
    structure: Tensor
    densities: Tensor
    fitted: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        if features < 2:
            raise UsageError(f"VineCopula expects 2 dimensions or more, got {features}")
        with requires("vines", purpose="VineCopula"):
            # Importing it takes seconds, which no training is to wait for.
            if find_spec("pyvinecopulib") is None:
                raise ModuleNotFoundError(name="pyvinecopulib")
        self.support = Reals((features,))
        self.register_buffer("structure", torch.zeros(features, features, dtype=torch.int64))
        self.register_buffer("densities", torch.ones(features * (features - 1) // 2, POINTS, POINTS))
        self.register_buffer("fitted", torch.tensor(False))

    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        """Begin as independence.

        Raises:
            DataError: of fewer than 20 rows, which are too few for the vine at the end.
        """
        _check_rows(len(x.reshape(-1, *self.event_shape)))
        self.fitted.fill_(False)

    @torch.no_grad()
    def finish(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> None:
        """Estimate the vine from normal scores ``(N, D)``; what their marginals are does not matter, only their ranks.

        Raises:
            DataError: of fewer than 20 rows, or of scores that are not finite.
        """
        self.check(x, context)
        scores = x.reshape(-1, *self.event_shape)
        _check_rows(len(scores))
        if not bool(torch.isfinite(scores).all()):
            raise DataError("VineCopula expects finite scores, got some that are not: remove those rows")
        import pyvinecopulib as vines

        ranks = vines.to_pseudo_obs(scores.double().cpu().numpy())
        families = [vines.families.indep, vines.families.tll]
        controls = vines.FitControlsVinecop(family_set=families, num_threads=torch.get_num_threads())
        vine = vines.Vinecop.from_data(ranks, controls=controls)
        self.structure.copy_(torch.from_numpy(vine.matrix.astype(np.int64)))
        pairs = [pair.parameters for tree in vine.pair_copulas for pair in tree]
        for density, grid in zip(self.densities, pairs, strict=True):
            # A pair that was found independent has no grid.
            density.copy_(torch.from_numpy(grid)) if grid.size else density.fill_(1.0)
        self.fitted.fill_(True)

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        normal = (-0.5 * finite_square(x) - LOG_SQRT_TWO_PI).sum(-1)
        rows = x.reshape(-1, x.shape[-1])
        if not self.fitted or not len(rows):
            return normal
        log_copula = torch.log(self._vine().pdf(_uniform(rows)).clamp_min(1e-300))
        return normal + log_copula.to(x).reshape(x.shape[:-1])

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        noise = rand(self.densities, (*batch, *self.event_shape), generator).double()
        rows = noise.reshape(-1, noise.shape[-1]).clamp(NEAREST, 1.0 - NEAREST).cpu()
        uniform = self._vine().inverse_rosenblatt(rows) if self.fitted and len(rows) else rows
        return temperature * torch.special.ndtri(uniform).to(self.densities).reshape(noise.shape)

    def _vine(self) -> Any:
        densities = self.densities.double().cpu().numpy().tobytes()
        return _vine_of(self.event_shape[0], self.structure.cpu().numpy().tobytes(), densities)


def _check_rows(rows: int) -> None:
    if rows < LEAST_ROWS:
        raise DataError(f"VineCopula expects at least {LEAST_ROWS} rows to be fitted to, got {rows}")


def _uniform(scores: Tensor) -> Tensor:
    """Uniform scores in double precision, in which a vine is computed, on the processor."""
    return torch.special.ndtr(scores.double().cpu()).clamp(NEAREST, 1.0 - NEAREST)


@functools.lru_cache(maxsize=16)
def _vine_of(features: int, structure: bytes, densities: bytes) -> Any:
    """The vine of an array of pairs and their densities, kept apart from the modules: it is no part of their state."""
    with requires("vines", purpose="VineCopula"):
        import pyvinecopulib as vines
        from pyvinecopulib.torch import TorchVinecop
    grids = iter(np.frombuffer(densities).reshape(-1, POINTS, POINTS).copy())
    pairs = [[_pair(vines, next(grids)) for _ in range(edges)] for edges in range(features - 1, 0, -1)]
    array = np.frombuffer(structure, dtype=np.int64).reshape(features, features).astype(np.uint64)
    try:
        trees = vines.RVineStructure.from_matrix(array)
        return TorchVinecop.from_vinecop(vines.Vinecop.from_structure(structure=trees, pair_copulas=pairs))
    except (RuntimeError, ValueError) as error:
        raise UsageError(f"VineCopula holds what is no vine: {str(error).splitlines()[0]}") from error


def _pair(vines: Any, grid: np.ndarray[Any, Any]) -> Any:
    """The copula of a pair; one without a family is slower than the independence that it may be."""
    if (grid == 1.0).all():
        return vines.Bicop()
    return vines.Bicop(family=vines.families.tll, parameters=grid)
