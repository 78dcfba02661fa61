r"""Estimates of ``log det(I + J) = sum_k (-1)^(k+1) / k  tr(J^k)``: traces by noise, and which terms are computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.accuracy import Accuracy, Draws
from pushforward.errors import UsageError
from pushforward.numerics import rand, randn
from pushforward.transforms.residual.log_determinants.base import LogDeterminant, Perturbation, differentiable
from pushforward.transforms.residual.log_determinants.terms import GeometricTerms, TermCount


def rademacher(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Signs, plus or minus one with equal probability."""
    return torch.where(rand(x, x.shape, generator) < 0.5, -1.0, 1.0).to(x.dtype)


def gaussian(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard normal numbers."""
    return randn(x, x.shape, generator)


NOISES: dict[str, Callable[[Tensor, torch.Generator | None], Tensor]] = {
    "rademacher": rademacher,
    "gaussian": gaussian,
}
"""What a trace is estimated with, ``tr(A) = E[v^T A v]`` (Hutchinson 1990). Signs have the smaller variance: of the
diagonal they see all, exactly."""


@dataclass(frozen=True)
class Probe:
    """What an estimate has drawn: the noise of each row, and the weight of each term that is computed."""

    noise: Tensor
    weights: Sequence[float]


class PowerSeries(LogDeterminant):
    """A rule that draws a :class:`Probe` and evaluates the power series with it."""

    accuracy = Accuracy.ESTIMATE
    draws = Draws.BOTH

    def forward(self, g: Perturbation, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        if torch.is_inference_mode_enabled() or x.is_inference():
            return self._outside_of_inference_mode(g, x, generator)
        return self.evaluate(g, x, self.probe(x, generator))

    def _outside_of_inference_mode(
        self, g: Perturbation, x: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """The same where inference mode, which knows nothing of the derivatives that a series is made of, is off."""
        wanted = torch.is_grad_enabled()
        with torch.inference_mode(False), torch.set_grad_enabled(wanted):
            context = None if g.context is None else g.context.clone()
            return self.forward(Perturbation(g.network, context), x.clone(), generator)

    def probe(self, x: Tensor, generator: torch.Generator | None) -> Probe:
        """Draw what the estimates of some rows depend on."""
        raise NotImplementedError(f"{type(self).__name__} has no probe: a PowerSeries is abstract")

    def evaluate(self, g: Perturbation, x: Tensor, probe: Probe) -> tuple[Tensor, Tensor]:
        """Return ``g(x)`` and the estimates that a probe gives."""
        wanted, points = torch.is_grad_enabled(), differentiable(x)
        with torch.enable_grad():
            shift = g(points)
            total = torch.zeros_like(points)
            for k, product in enumerate(products(shift, points, probe, create_graph=wanted), 1):
                total = total.add(product, alpha=-((-1) ** k) * probe.weights[k - 1] / k)
        log_det = traces(total, probe)
        return (shift, log_det) if wanted else (shift.detach(), log_det.detach())


class TruncatedSeries(PowerSeries):
    r"""The first terms of the power series, ``sum_{k <= n} (-1)^(k+1) / k  v^T J^k v`` (Behrmann et al. 2019,
    arXiv:1811.00995, algorithm 2).

    It is biased: what is left out is at most ``D L^(n+1) / ((n+1) (1 - L))`` for a Lipschitz constant ``L``, which
    :meth:`bias` says. All terms are in the graph of gradients; see `NeumannGradients` and `GradientsInForward`.

    Args:
        terms: how many terms are computed in training.
        evaluation_terms: how many in evaluation mode.
        noise: ``"rademacher"`` or ``"gaussian"``.

    Raises:
        UsageError: for no term, or an unknown noise.

    Example:
        >>> g = Perturbation(torch.nn.Linear(2, 2, bias=False))
        >>> _ = g.network.weight.data.copy_(torch.diag(torch.tensor([0.5, -0.5])))
        >>> shift, log_det = TruncatedSeries(20)(g, torch.ones(1, 2))
        >>> round(log_det.exp().item(), 4)
        0.75
    """

    def __init__(self, terms: int = 10, evaluation_terms: int = 50, noise: str = "rademacher") -> None:
        super().__init__()
        _check_count("terms", terms, 1, "TruncatedSeries")
        _check_count("evaluation_terms", evaluation_terms, 1, "TruncatedSeries")
        self.terms, self.evaluation_terms = terms, evaluation_terms
        self.noise = _noise(noise, "TruncatedSeries")

    @property
    def count(self) -> int:
        """How many terms are computed in this mode."""
        return self.terms if self.training else self.evaluation_terms

    def probe(self, x: Tensor, generator: torch.Generator | None) -> Probe:
        return Probe(self.noise(x, generator), [1.0] * self.count)

    def bias(self, dimensions: int, lipschitz: float) -> float:
        following = self.count + 1
        return dimensions * lipschitz**following / (following * (1.0 - lipschitz))


class RussianRoulette(PowerSeries):
    r"""All terms of the power series in the mean, of which a random number is computed (Chen et al. 2019,
    arXiv:1906.02735, equation 6): term ``k`` behind the exact ones is divided by ``P(N >= k)``.

    One number ``N`` is drawn for all events of a call, whose terms are computed together: drawn for each, the largest
    would decide the cost. So the errors of one call's events have a part in common, which falls with the exact terms;
    a standard error is that of several calls.

    Args:
        distribution: of the number of terms behind the exact ones.
        exact_terms: how many terms are always computed, in training.
        evaluation_terms: how many in evaluation mode.
        noise: ``"rademacher"`` or ``"gaussian"``.

    Shapes: ``x`` and ``g(x)`` are ``(..., D)`` or ``(..., C, H, W)``, ``log_det`` is ``(...)``.

    Raises:
        UsageError: for a negative number of terms, or an unknown noise.

    Example:
        >>> g = Perturbation(torch.nn.Linear(2, 2, bias=False))
        >>> _ = g.network.weight.data.copy_(torch.diag(torch.tensor([0.5, -0.5])))
        >>> shift, log_det = RussianRoulette(GeometricTerms(0.5)).eval()(g, torch.ones(1, 2))
        >>> round(log_det.exp().item(), 4)
        0.75
    """

    def __init__(
        self,
        distribution: TermCount = GeometricTerms(0.5),  # noqa: B008
        exact_terms: int = 2,
        evaluation_terms: int = 20,
        noise: str = "rademacher",
    ) -> None:
        super().__init__()
        _check_count("exact_terms", exact_terms, 0, "RussianRoulette")
        _check_count("evaluation_terms", evaluation_terms, 0, "RussianRoulette")
        self.distribution = distribution
        self.exact_terms, self.evaluation_terms = exact_terms, evaluation_terms
        self.noise = _noise(noise, "RussianRoulette")

    def probe(self, x: Tensor, generator: torch.Generator | None) -> Probe:
        noise = self.noise(x, generator)
        further = self.distribution.draw(_uniform(x, generator))
        exact = self.exact_terms if self.training else self.evaluation_terms
        weights = [1.0 / self.distribution.survival(count) for count in range(1, further + 1)]
        return Probe(noise, [1.0] * exact + weights)


def products(shift: Tensor, x: Tensor, probe: Probe, *, create_graph: bool) -> Iterator[Tensor]:
    """Yield ``(J^T)^k v`` of a probe's noise ``v`` for each of its terms ``k = 1, 2, ...``."""
    product = probe.noise
    for _ in probe.weights:
        (product,) = torch.autograd.grad(shift, x, product, create_graph=create_graph, retain_graph=True)
        yield product


def traces(product: Tensor, probe: Probe) -> Tensor:
    """The estimates ``v^T A v`` of the traces of each row, from ``A^T v``."""
    return (product * probe.noise).flatten(1).sum(-1)


def _uniform(like: Tensor, generator: torch.Generator | None) -> float:
    """A number in (0, 1) of 53 bits, whatever the type of the events: coarser ones are 0 now and then, behind which a
    geometric number has no end, and of bfloat16 one in 256 is."""
    return torch.randint(1, 2**53, (), device=like.device, generator=generator).item() / 2**53


def _noise(name: str, owner: str) -> Callable[[Tensor, torch.Generator | None], Tensor]:
    if name not in NOISES:
        raise UsageError(f"{owner} expects noise to be one of {', '.join(NOISES)}, got {name!r}")
    return NOISES[name]


def _check_count(name: str, count: int, least: int, owner: str) -> None:
    if count < least:
        raise UsageError(f"{owner} expects {name} to be at least {least}, got {count}")
