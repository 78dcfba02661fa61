"""All laws of a transform, a scalar bijection or a distribution, one after the other."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

import torch
from torch import Tensor

from pushforward.distributions.base import Distribution
from pushforward.errors import UsageError
from pushforward.networks.masked.made import MADE
from pushforward.networks.mlp import MLP
from pushforward.scalar.base import ScalarBijection
from pushforward.testing.batches import (
    check_context,
    check_context_matters,
    check_dtypes,
    check_independence,
    check_shapes,
)
from pushforward.testing.continuity import check_continuity
from pushforward.testing.densities import check_log_prob_gradients, check_reparametrised, check_samples, check_support
from pushforward.testing.extremes import check_extremes
from pushforward.testing.keeping import check_graph, check_memory, check_pickle, check_saving, check_state
from pushforward.testing.maps import check_gradients, check_inverse, check_log_det, check_spaces, check_values
from pushforward.testing.mass import check_bound, check_mass, check_samples_follow
from pushforward.testing.parameters import Law, seeded
from pushforward.testing.randomness import check_accuracy, check_draws
from pushforward.testing.scalars import check_derivative, check_increasing, check_parameter_shapes
from pushforward.transforms.autoregressive.autoregressive import Autoregressive
from pushforward.transforms.base import Transform
from pushforward.transforms.coupling.coupling import Coupling
from pushforward.transforms.elementwise import Elementwise

COMMON: dict[str, Law] = {
    "dtypes": check_dtypes,
    "draws": check_draws,
    "accuracy": check_accuracy,
    "independence": check_independence,
    "context": check_context,
    "context_matters": check_context_matters,
    "mass": check_mass,
    "bound": check_bound,
    "continuity": check_continuity,
    "extremes": check_extremes,
    "state": check_state,
    "pickle": check_pickle,
    "memory": check_memory,
    "saving": check_saving,
}
TRANSFORM_LAWS: dict[str, Law] = {
    "shapes": check_shapes,
    "spaces": check_spaces,
    "inverse": check_inverse,
    "log_det": check_log_det,
    "values": check_values,
    "gradients": check_gradients,
    **COMMON,
    "graph": check_graph,
}
DISTRIBUTION_LAWS: dict[str, Law] = {
    "samples": check_samples,
    "support": check_support,
    "reparametrised": check_reparametrised,
    "log_prob_gradients": check_log_prob_gradients,
    "samples_follow": check_samples_follow,
    **COMMON,
}
SCALAR_LAWS: dict[str, Law] = {
    "parameter_shapes": check_parameter_shapes,
    "increasing": check_increasing,
    "derivative": check_derivative,
}
# In every structure: what the elementwise one has shown already is not shown again.
STRUCTURE_LAWS = (check_inverse, check_log_det, check_extremes)


def check_transform(
    transform: Transform, x: Tensor, context: Tensor | None = None, *, without: Collection[str] = ()
) -> None:
    """Check every law of a transform.

    Args:
        transform: the transform; what starts from data (ActNorm) must have started.
        x: events of its domain, ``(batch, ...)``, at least 4 of them and different from each other.
        context: as many contexts, where it takes one.
        without: names of laws to leave out, of ``pushforward.testing.TRANSFORM_LAWS``; ``["extremes"]`` for a part
            whose numbers may overflow where a network emits hundreds.

    Raises:
        AssertionError: where a law is broken, with what was seen.
        UsageError: for a name that no law has, or fewer than 4 events.

    Example:
        >>> import pushforward as pf
        >>> layer = pf.transforms.Elementwise(pf.scalar.Affine(), (2,))
        >>> check_transform(layer, torch.randn(4, 2), without=["graph", "saving"])
    """
    _check_events(x, context)
    for check in _chosen(TRANSFORM_LAWS, without):
        check(transform, x, context)


def check_scalar(scalar: ScalarBijection, x: Tensor, *, without: Collection[str] = ()) -> None:
    """Check every law of a scalar bijection: by itself, and in elementwise, coupling and autoregressive structures.

    Args:
        scalar: the scalar bijection.
        x: numbers of its domain, an even number of them, 8 or more.
        without: names of laws to leave out, of ``SCALAR_LAWS`` and ``TRANSFORM_LAWS``.

    Raises:
        AssertionError: where a law is broken, with what was seen.
        UsageError: for a name that no law has, or fewer than 8 numbers.

    Example:
        >>> import pushforward as pf
        >>> check_scalar(pf.scalar.Affine(), torch.randn(8), without=["graph", "saving", "extremes"])
    """
    if x.dim() != 1 or len(x) < 8 or len(x) % 2:
        raise UsageError(f"check_scalar expects an even number of numbers, 8 or more, got a tensor of {tuple(x.shape)}")
    chosen = _chosen(SCALAR_LAWS | TRANSFORM_LAWS, without)
    for check in chosen:
        if check in SCALAR_LAWS.values():
            check(scalar, x)
        else:
            check(Elementwise(scalar, (1,)), x[:, None])
    for structure in _structures(scalar):
        for check in chosen:
            if check in STRUCTURE_LAWS:
                check(structure, x.reshape(-1, 2))


def check_distribution(
    distribution: Distribution, context: Tensor | None = None, *, without: Collection[str] = ()
) -> None:
    """Check every law of a distribution, or of a flow, on its own samples.

    Args:
        distribution: the distribution.
        context: contexts ``(batch, ...)``, at least 4 of them and different from each other, where it takes one.
        without: names of laws to leave out, of ``pushforward.testing.DISTRIBUTION_LAWS``.

    Raises:
        AssertionError: where a law is broken, with what was seen.
        UsageError: for a name that no law has, or fewer than 4 contexts.

    Example:
        >>> import pushforward as pf
        >>> check_distribution(pf.distributions.StandardNormal((1,)))
    """
    sample_shape = 6 if context is None else ()
    x = distribution.sample(sample_shape, context, generator=seeded())
    _check_events(x, context)
    for check in _chosen(DISTRIBUTION_LAWS, without):
        check(distribution, x, context)


def _structures(scalar: ScalarBijection) -> list[Transform]:
    if scalar.num_parameters == scalar.num_shared:
        # Nothing for a network to emit.
        return []
    with torch.random.fork_rng():
        torch.manual_seed(0)
        coupling = Coupling(torch.tensor([True, False]), scalar, partial(MLP, hidden=(8,)))
        return [coupling, Autoregressive(2, scalar, partial(MADE, hidden=(8,)))]


def _chosen(laws: dict[str, Law], without: Collection[str]) -> list[Law]:
    unknown = sorted(set(without) - set(laws))
    if unknown:
        raise UsageError(f"there is no law {unknown[0]!r} to leave out: the laws are {', '.join(laws)}")
    return [check for name, check in laws.items() if name not in without]


def _check_events(x: Tensor, context: Tensor | None) -> None:
    if not x.dim() or len(x) < 4 or (context is not None and len(context) != len(x)):
        raise UsageError(
            f"the laws expect at least 4 events behind one batch dimension and as many contexts, got events "
            f"{tuple(x.shape)} and contexts {None if context is None else tuple(context.shape)}"
        )
