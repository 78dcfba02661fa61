"""Stochastic flows: layers of Langevin or Hamiltonian steps, between couplings or by themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import nn

from pushforward.distributions import DiagonalNormal, Distribution, StandardNormal
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.models.contexts import Conditioning, conditioning
from pushforward.models.registry import model
from pushforward.models.vectors.coupling import coupling_layers
from pushforward.models.vectors.standardised import HIDDEN, vector_flow, widths
from pushforward.networks import MLP
from pushforward.networks.context import Context
from pushforward.scalar import Affine
from pushforward.transforms import (
    Annealed,
    Hamiltonian,
    Kernel,
    Langevin,
    Metropolis,
    Relaxation,
    TiltedNormal,
    Transform,
)

KERNELS = ("langevin", "metropolis", "hamiltonian", "hmc")
COUPLINGS = 2
"""How many couplings stand between two stochastic layers: each half of the dimensions changes once."""


@model("snf")
def snf(
    features: int = 2,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 3,
    hidden: int | Sequence[int] = HIDDEN,
    steps: int = 3,
    kernel: str = "langevin",
    step_size: float = 0.2,
    target: Callable[..., Any] | None = None,
) -> Flow:
    """Stochastic normalizing flow: affine couplings with steps of a Markov kernel between them.

    Each layer is two couplings and, nearer to the data, ``steps`` of a kernel. With a target these relax towards
    densities on the geometric path from the base to it, the last layer to the target itself, and the flow is in the
    target's own coordinates. Without one each layer has a density that it learns, behind a standardisation of the data.
    ``log_prob`` is a lower bound; ``log_weight`` is exact in the mean.

    Args:
        features: the number of dimensions, at least 2.
        context: the context: a number of features, a shape or a space; 0 for none. Couplings and learned densities see
            it, a target does not.
        embedding: a network of the context that is trained with the flow.
        layers: how many pairs of couplings with a stochastic layer.
        hidden: widths of the networks' hidden layers; one number stands for two layers.
        steps: how many steps of the kernel in each layer.
        kernel: ``"langevin"``, ``"metropolis"`` (the same with acceptance, MALA), ``"hamiltonian"`` (3 leapfrog steps)
            or ``"hmc"`` (the same with acceptance).
        step_size: where the learned step sizes start, the standard deviation of a step's noise or the length of a leap.
        target: the logarithm of an unnormalised density, called as ``target(x)``, or a distribution.

    Raises:
        UsageError: if an option does not fit.

    Source: Wu, Koehler, Noe (2020), arXiv:2002.06707.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.snf(features=2, hidden=16, target=pf.data.ManyWell(2))
        >>> x, log_weight = flow.log_weight(pf.data.ManyWell(2), 4)
        >>> x.shape, log_weight.shape
        (torch.Size([4, 2]), torch.Size([4]))
    """
    given, base = conditioning(context, embedding), StandardNormal((features,))
    parts: list[Transform] = []
    for density, taken in _densities(features, target, base, given, layers, hidden):
        relaxation = Relaxation(_kernel(kernel, features, density, step_size, taken), steps)
        parts += [relaxation, *coupling_layers(features, Affine(), given, COUPLINGS, hidden)]
    return _flow(features, parts, given, base, target)


@model("hamiltonian-vi")
def hamiltonian_vi(
    features: int = 2,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 5,
    hidden: int | Sequence[int] = HIDDEN,
    leaps: int = 3,
    persistence: float = 1.0,
    step_size: float = 0.2,
    target: Callable[..., Any] | None = None,
) -> Flow:
    """Hamiltonian variational inference: leapfrog steps with momenta, from a learned normal to a density.

    Each layer draws momenta and makes ``leaps`` leapfrog steps. With a target they move on densities of the geometric
    path from the base to it (tempering), in the target's own coordinates. Without one each layer has a density that it
    learns, behind a standardisation of the data. ``log_prob`` is a lower bound; ``log_weight`` is exact in the mean.

    Args:
        features: the number of dimensions.
        context: the context: a number of features, a shape or a space; 0 for none. Learned densities see it, a target
            does not.
        embedding: a network of the context that is trained with the flow.
        layers: how often momenta are drawn anew.
        hidden: widths of the learned densities' hidden layers; one number stands for two layers.
        leaps: leapfrog steps in each layer.
        persistence: the share of the momenta that stays between two leaps, from 0 to 1.
        step_size: where the learned lengths of the leaps start, one in each dimension.
        target: the logarithm of an unnormalised density, called as ``target(x)``, or a distribution.

    Raises:
        UsageError: if an option does not fit.

    Source: Salimans, Kingma, Welling (2015), arXiv:1410.6460; Caterini, Doucet, Sejdinovic (2018), arXiv:1805.11328.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.hamiltonian_vi(features=10, target=pf.data.Funnel(10))
        >>> flow.sample(4).shape, flow.accuracy.describe()
        (torch.Size([4, 10]), 'lower bound')
    """
    given, base = conditioning(context, embedding), DiagonalNormal((features,))
    parts = [
        Relaxation(Hamiltonian(features, density, step_size, leaps, persistence, taken))
        for density, taken in _densities(features, target, base, given, layers, hidden)
    ]
    return _flow(features, parts, given, base, target)


def _densities(
    features: int, target: Any, base: Distribution, given: Conditioning, layers: int, hidden: int | Sequence[int]
) -> list[tuple[Any, int]]:
    """What each layer relaxes towards, from the data to the base, and the context that it sees."""
    if target is None:
        network, taken = partial(MLP, hidden=widths(hidden)), _vector(given)
        return [(TiltedNormal(features, network, taken), taken) for _ in range(layers)]
    between = [Annealed(base, target, share / layers) for share in range(layers - 1, 0, -1)]
    return [(density, 0) for density in [target, *between]]


def _vector(given: Conditioning) -> int:
    if isinstance(given.taken, int):
        return given.taken
    raise UsageError(
        f"a context of shape {given.taken} expects an embedding= network that makes a vector of it, got none that does"
    )


def _kernel(name: str, features: int, density: Any, step_size: float, context: int) -> Kernel:
    if name not in KERNELS:
        raise UsageError(f"expected a kernel of {', '.join(KERNELS)}, got kernel={name!r}")
    if name in ("langevin", "metropolis"):
        # The noise of a step h has the variance 2 h.
        proposal: Kernel = Langevin(features, density, 0.5 * step_size**2, context)
    else:
        proposal = Hamiltonian(features, density, step_size, context=context)
    return Metropolis(proposal) if name in ("metropolis", "hmc") else proposal


def _flow(features: int, parts: Sequence[Transform], given: Conditioning, base: Distribution, target: Any) -> Flow:
    """A flow behind a standardisation of data; in its own coordinates, where a target says what they are."""
    return vector_flow(features, parts, given, base) if target is None else given.flow(parts, base)
