"""Kernel densities on spheres: every event that is known carries a small von Mises-Fisher distribution."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pushforward.distributions.base import Distribution
from pushforward.distributions.discrete.mass import gumbel_argmax
from pushforward.distributions.manifolds.axial import log_integral, log_surface
from pushforward.distributions.manifolds.uniform_sphere import random_directions
from pushforward.distributions.manifolds.von_mises_fisher import draw_around
from pushforward.errors import DataError, UsageError
from pushforward.numerics import rand, squared_distances
from pushforward.spaces import Sphere

WIDTHS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3)
"""In radians."""
MULTIPLES = (0.18, 0.25, 0.35, 0.5, 0.7, 1.0, 1.4)
"""Of the distance to a neighbour."""
NARROWEST = 1e-5
SAME = 2e-6
"""In radians: nearer to each other are an event and its own kernel, which may have been computed in other ways."""
ROUNDS = 300
PAIRS_AT_ONCE = 1 << 20


class SphereKernelDensity(Distribution):
    r"""The kernel density of events on ``S^n``: a von Mises-Fisher distribution about each, of several widths,

    .. math:: p(x) = w_0 / |S^n| + \sum_k w_k \frac{1}{N} \sum_i \mathrm{vMF}(x; \mu = x_i, \kappa_{ik}),

    with respect to the surface measure. There are kernels of fixed widths ``1 / sqrt(kappa)``, and kernels whose width
    is a multiple of the distance to the event's own neighbour, so that they are narrow where events are dense. The
    shares ``w`` of the widths, and of the uniform distribution, are equal until :meth:`initialise` learns them: as
    ``fit`` does, from all the data, or from a batch of them where it trains other parts beside. There each event is
    scored by the kernels of the others.

    No kernel is narrower than the narrowest of the fixed ones. Where events lie at the same place to the last digit,
    the density is as high as that width lets it be, which the unit of the data has to decide and not their likelihood.

    Args:
        events: vectors of length 1, ``(N, n + 1)``, at least two.
        widths: the fixed widths, in radians.
        multiples: of the distance to the neighbour, for the kernels of the events' own widths; may be empty.
        neighbour: which one: the first is the nearest event.

    Shapes: ``x`` is ``(..., n + 1)``, its log-density ``(...)``.

    Raises:
        UsageError: for widths or multiples that are not positive, widths below 1e-5, or a neighbour that is none.
        DataError: if the events are no vectors of length 1, or fewer than two.

    Source: Hall, Watson, Cabrera (1987), Kernel density estimation with spherical data, Biometrika 74; own widths after
    Breiman, Meisel, Purcell (1977), Technometrics 19; the mixture of several, learned by leaving one out, is ours.

    Example:
        >>> from pushforward.distributions import VonMisesFisher
        >>> events = VonMisesFisher(2, 50.0).sample(500)
        >>> density = SphereKernelDensity(events)
        >>> density.initialise(events)
        >>> density.sample(4).shape, density.log_prob(events).shape
        (torch.Size([4, 3]), torch.Size([500]))
    """

    reparametrised = False
    events: Tensor
    log_weights: Tensor
    initialised: Tensor
    concentrations: Tensor
    log_heights: Tensor

    def __init__(
        self,
        events: Tensor,
        widths: Sequence[float] = WIDTHS,
        multiples: Sequence[float] = MULTIPLES,
        neighbour: int = 5,
    ) -> None:
        super().__init__()
        _check(events, widths, multiples, neighbour)
        n = events.shape[-1] - 1
        self.support = Sphere(n)
        kinds = len(widths) + len(multiples) + 1
        self.register_buffer("events", events.detach().clone())
        self.register_buffer("log_weights", torch.full((kinds,), -math.log(kinds), dtype=events.dtype))
        self.register_buffer("initialised", torch.tensor(False))
        concentrations = _concentrations(events.double(), widths, multiples, neighbour)
        for name, value in (("concentrations", concentrations), ("log_heights", _log_heights(n, concentrations))):
            self.register_buffer(name, value.to(events.dtype))

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return torch.logsumexp(self.log_weights + self._scores(x, _by_all), -1)

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        kind = gumbel_argmax(self.log_weights.expand(*batch, -1), temperature, generator)
        count, kinds = self.concentrations.shape
        event = (count * rand(self.events, batch, generator)).long().clamp_max(count - 1)
        concentration = self.concentrations[event, kind.clamp_max(kinds - 1)] / temperature**2
        near = draw_around(self.events[event], concentration, batch, generator)
        anywhere = random_directions(self.events, near.shape, generator)
        return torch.where((kind == kinds)[..., None], anywhere, near)

    @torch.no_grad()
    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        """Learn the shares of the widths from events, once, by expectation maximisation; those that the density is made
        of are scored without their own kernel, also where rounding has moved them by up to 2e-6. Together, one event
        more is said to be of all widths alike, so that no share is 0."""
        if self.initialised:
            return
        scores = self._scores(x.to(self.events), _by_others).flatten(0, -2).double()
        log_weights = self.log_weights.double()
        for _ in range(ROUNDS):
            total = torch.softmax(log_weights + scores, -1).sum(0) + 1.0 / len(log_weights)
            log_weights = torch.log(total / (len(scores) + 1.0))
        self.log_weights.copy_(log_weights)
        self.initialised.fill_(True)

    def _scores(self, x: Tensor, chosen: Callable[[Tensor], Tensor]) -> Tensor:
        """The log-density of each kind of kernel, and of the uniform distribution, ``(..., K + 1)``."""
        rows = x.reshape(x.shape[:-1].numel(), x.shape[-1])
        # A part of the events at a time: there are as many pairs as events times kernels.
        parts = rows.split(max(1, PAIRS_AT_ONCE // len(self.events)))
        scores = torch.cat([self._near(chosen(squared_distances(part, self.events))) for part in parts])
        uniform = scores.new_full((len(rows), 1), -log_surface(x.shape[-1] - 1))
        return torch.cat([scores, uniform], -1).reshape(*x.shape[:-1], len(self.log_weights))

    def _near(self, squared: Tensor) -> Tensor:
        """The log-density of each kind of kernel, of the squared distances to their centers; the mean is over those
        that are not infinitely far."""
        count = squared.isfinite().sum(-1)
        kinds = zip(self.concentrations.unbind(-1), self.log_heights.unbind(-1), strict=True)
        sums = [torch.logsumexp(height - 0.5 * concentration * squared, -1) for concentration, height in kinds]
        return torch.stack(sums, -1) - torch.log(count.to(squared.dtype))[:, None]


def _by_all(squared: Tensor) -> Tensor:
    return squared


def _by_others(squared: Tensor) -> Tensor:
    """Squared distances to the kernels of other events: of those at the same place, one is the event's own."""
    nearest, index = squared.min(-1, keepdim=True)
    return squared.scatter(-1, index, torch.where(nearest <= SAME**2, torch.inf, nearest))


def _concentrations(events: Tensor, widths: Sequence[float], multiples: Sequence[float], neighbour: int) -> Tensor:
    """The concentration of each kernel about each event, ``(N, K)``."""
    fixed = torch.tensor(list(widths), dtype=events.dtype, device=events.device).expand(len(events), -1)
    parts = events.split(max(1, PAIRS_AT_ONCE // len(events)))
    # The nearest of all is the event itself.
    squared = [squared_distances(part, events).kthvalue(neighbour + 1, -1).values for part in parts]
    own = torch.cat(squared).sqrt()[:, None] * torch.tensor(list(multiples), dtype=events.dtype, device=events.device)
    return torch.cat([fixed, own.clamp_min(min(widths))], -1) ** -2


def _log_heights(n: int, concentrations: Tensor) -> Tensor:
    """The log-density of each kernel at its center."""

    def log_integrals(part: Tensor) -> Tensor:
        return log_integral(n, lambda below, above: -part[:, None] * below, part)

    parts = concentrations.flatten().split(PAIRS_AT_ONCE // 64)
    return -torch.cat([log_integrals(part) for part in parts]).reshape(concentrations.shape)


def _check(events: Tensor, widths: Sequence[float], multiples: Sequence[float], neighbour: int) -> None:
    if not widths or not all(NARROWEST <= each < math.inf for each in widths):
        raise UsageError(f"SphereKernelDensity expects widths of at least {NARROWEST}, one or more, got {widths}")
    if not all(0 < each < math.inf for each in multiples):
        raise UsageError(f"SphereKernelDensity expects positive multiples, got {multiples}")
    shape = tuple(events.shape)
    if events.dim() != 2 or shape[-1] < 2 or len(events) < 2 or not events.is_floating_point():
        raise DataError(f"SphereKernelDensity expects two events or more, (N, n + 1), got a tensor of {shape}")
    if not bool(Sphere(shape[-1] - 1).contains(events).all()):
        raise DataError("SphereKernelDensity expects events of length 1, got others: as_unit_vectors makes them")
    if not 1 <= neighbour < len(events):
        raise UsageError(f"SphereKernelDensity expects a neighbour from 1 to {len(events) - 1}, got {neighbour}")
