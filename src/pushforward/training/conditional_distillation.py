"""Probability density distillation with the teacher's conditionals at several values in one pass."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.distributions import StandardLogistic, StandardNormal
from pushforward.distributions.autoregressive.masked import AutoregressiveDistribution
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.numerics import uniform_noise
from pushforward.training.distillation import check_student, check_teacher, frozen
from pushforward.training.objectives import Objective
from pushforward.transforms import Autoregressive, Elementwise, Inverse, Standardise, Transform
from pushforward.transforms.chain import parts_in_turn


def match_conditionals(teacher: AutoregressiveDistribution, draws: int = 8) -> Objective:
    r"""An objective that brings an inverse autoregressive student to an autoregressive teacher, element by element.

    .. math:: KL(q \,\|\, p) = \sum_t E_{x_{<t} \sim q} \,
        E_{x_t \sim q(\cdot \mid x_{<t})} \log \frac{q(x_t \mid x_{<t})}{p(x_t \mid x_{<t})}

    as :func:`match_density`, but for each element the inner mean is one over ``draws`` values that share what was
    before: the teacher's network answers for all of them in one pass, and so does the student's, whose parameters for
    ``x_t`` depend on ``z_<t`` alone. The values are one of each of ``draws`` parts of the base of equal probability.
    With one draw it is :func:`match_density`; with more the noise of the gradient is lower. The batch gives the number
    of samples and their contexts; its events are not used.

    Args:
        teacher: a trained density of one element after the other; it is not changed.
        draws: how many values of each element.

    Raises:
        UsageError: for fewer than one draw, or a teacher of whole numbers, which no gradient passes through; at a call,
            unless the student is a flow of the teacher's events, made of inverse autoregressive layers in the teacher's
            order and elementwise maps, on a base of independent elements.

    Source: van den Oord et al. (2017), Parallel WaveNet, arXiv:1711.10433, section 4.

    Example:
        >>> import pushforward as pf
        >>> layer = Inverse(Autoregressive(4, pf.scalar.Affine()))
        >>> student = Flow([layer], StandardNormal((4,)))
        >>> abs(match_conditionals(pf.distributions.RNADE(4, 1))(student, torch.zeros(8, 4), None).item()) < 1e-5
        True
    """
    if not isinstance(teacher, AutoregressiveDistribution):
        raise UsageError(f"match_conditionals expects an AutoregressiveDistribution, got {type(teacher).__name__}")
    check_teacher(teacher, "match_conditionals")
    if draws < 1:
        raise UsageError(f"match_conditionals expects at least one draw, got {draws}")
    guide = frozen(teacher)

    def objective(student: Flow, x: Tensor, context: Tensor | None = None) -> Tensor:
        check_student(student, guide, "match_conditionals")
        base = _check_layers(student, guide.order)
        z = stratified(base, draws, x.shape[:-1])
        sample, values, log_det = redrawn(student.transform, z[0], z, student.take_context(context))
        log_q = base.log_prob(z) - log_det
        log_p = guide.log_conditionals(values, sample, guide.take_context(context)).sum(-1)
        return (log_q - log_p).mean()

    return objective


def stratified(base: StandardNormal | StandardLogistic, draws: int, batch: torch.Size) -> Tensor:
    """Return latents ``(draws, ..., D)``, each of the base's distribution, whose elements are in different parts of
    equal probability, in random order: a mean over them has less noise than one over independent latents."""
    own: Tensor = base.like  # type: ignore[assignment]
    # Levels of half precision are too few, and have no quantiles.
    like = own.to(torch.promote_types(own.dtype, torch.float32))
    shape = torch.Size((draws, *batch, *base.event_shape))
    part, noise = uniform_noise(like, shape, None).argsort(0), uniform_noise(like, shape, None)
    margin = torch.finfo(like.dtype).eps
    level = ((part + noise) / draws).clamp(margin, 1 - margin)
    z = torch.special.ndtri(level) if isinstance(base, StandardNormal) else torch.logit(level)
    return z.to(own.dtype)


def redrawn(transform: Transform, z: Tensor, others: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return the event ``x`` of latents ``z``, what each ``x_t`` is where ``z_t`` alone is another, and the logarithm
    of how fast it changes, summed over the elements.

    Args:
        transform: inverse autoregressive layers and elementwise maps.
        z: latents ``(..., D)``.
        others: other latents ``(K, ..., D)``; element ``t`` of each is taken with ``z_<t`` before it.
        context: as the layers take it.
    """
    log_det = others.new_zeros(others.shape[:-1])
    for part in reversed(list(parts_in_turn(transform))):
        given = None if part.context is None else context
        z, others, log_step = _through(part, z, others, given)
        log_det = log_det + log_step
    return z, others, log_det


def _through(part: Transform, z: Tensor, others: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    if not isinstance(part, Inverse):
        return part.decode(z), *part.inverse(others)
    layer = part.transform
    assert isinstance(layer, Autoregressive)
    z, context = layer.check(z, context, layer.domain)
    ordered = z.index_select(-1, layer.order)
    parameters = layer.parameters_in_order(ordered, context)
    asked = others.index_select(-1, layer.order)
    values, log_slopes = layer.scalar.forward(asked, parameters.expand(*asked.shape, parameters.shape[-1]))
    x = layer.scalar.encode(ordered, parameters)
    back = layer.inverse_order
    return x.index_select(-1, back), values.index_select(-1, back), log_slopes.sum(-1)


def _check_layers(student: Flow, order: Tensor) -> StandardNormal | StandardLogistic:
    if not isinstance(student.base, StandardNormal | StandardLogistic):
        raise UsageError(
            f"match_conditionals expects a student on a standard normal or logistic base, got "
            f"{type(student.base).__name__}"
        )
    for part in parts_in_turn(student.transform):
        layer = part.transform if isinstance(part, Inverse) else None
        if isinstance(part, Standardise | Elementwise):
            continue
        if not isinstance(layer, Autoregressive) or not torch.equal(layer.order, order):
            raise UsageError(
                "match_conditionals expects a student of Inverse(Autoregressive(...)) in the teacher's order and of "
                f"elementwise maps, got {type(layer or part).__name__}"
            )
    return student.base
