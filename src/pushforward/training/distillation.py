"""Distillation of an autoregressive flow into an inverse autoregressive one: slow to sample becomes fast to sample."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import Tensor

from pushforward.distributions.base import Distribution
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.training.objectives import Objective
from pushforward.transforms import Chain, Transform

Teacher = TypeVar("Teacher", bound=Distribution)


def match_activations(teacher: Flow) -> Objective:
    r"""An objective that makes the student's layers retrace the activations of the teacher's.

    The teacher maps a batch of data through its layers, ``h_0 = x, ..., h_K = z``; the student's layer ``k`` is to map
    ``h_k`` back to ``h_{k-1}``: ``loss = mean sum_k |g_k(h_k) - h_{k-1}|^2 / D``. A forward pass of the teacher and an
    inverse pass of an inverse autoregressive student are both parallel, so nothing is computed in sequence. The data
    may be the teacher's own samples or what it was trained on.

    Args:
        teacher: a trained flow; it is not changed.

    Raises:
        UsageError: unless both flows are chains of the same number of layers.

    Source: Abbeel, Yan, Frans, Wu (2024), CS294-158, lecture 3; van den Oord et al. (2017), Parallel WaveNet,
    arXiv:1711.10433.

    Example:
        >>> import torch
        >>> import pushforward as pf
        >>> teacher, student = pf.build("maf", layers=2), pf.build("iaf", layers=2)
        >>> match_activations(teacher)(student, torch.randn(8, 2), None).item()
        0.0
    """

    guide = frozen(teacher)

    def objective(student: Flow, x: Tensor, context: Tensor | None = None) -> Tensor:
        teachers, students = _layers(guide), _layers(student)
        if len(teachers) != len(students):
            raise UsageError(
                f"match_activations expects flows with the same number of layers, got {len(teachers)} in the teacher "
                f"and {len(students)} in the student"
            )
        loss = x.new_zeros(())
        for known, layer in zip(teachers, students):
            z = known(x, context)[0]
            loss = loss + (layer.inverse(z, context)[0] - x).square().mean()
            x = z
        return loss

    return objective


def match_density(teacher: Distribution) -> Objective:
    r"""An objective that brings the student's density to the teacher's: ``KL(student || teacher)`` on the student's own
    samples, probability density distillation.

    ``loss = mean [log q(x) - log p_teacher(x)]`` with ``x = g(z)``; the student's own density comes with its sample,
    ``log q(g(z)) = log p_base(z) - log |det dg/dz|``, so neither flow computes in sequence. The batch gives the number
    of samples and their contexts; its events are not used.

    Args:
        teacher: a trained flow or another density; it is not changed.

    Raises:
        UsageError: for a teacher of whole numbers, which no gradient passes through; at a call, unless the student is a
            flow of the teacher's events.

    Source: van den Oord et al. (2017), Parallel WaveNet, arXiv:1711.10433.

    Example:
        >>> import torch
        >>> import pushforward as pf
        >>> teacher, student = pf.build("maf", layers=2), pf.build("iaf", layers=2)
        >>> abs(match_density(teacher)(student, torch.randn(8, 2), None).item()) < 1e-5
        True
    """

    check_teacher(teacher, "match_density")
    guide = frozen(teacher)

    def objective(student: Flow, x: Tensor, context: Tensor | None = None) -> Tensor:
        check_student(student, guide, "match_density")
        batch = x.shape[: x.dim() - len(student.event_shape)]
        z = student.base.sample(batch, None)
        sample, log_det = student.transform.inverse(z, student.take_context(context))
        return (student.base.log_prob(z) - log_det - guide.log_prob(sample, context)).mean()

    return objective


def _layers(flow: Flow) -> list[Transform]:
    return list(flow.transform) if isinstance(flow.transform, Chain) else [flow.transform]


def check_teacher(teacher: Distribution, owner: str) -> None:
    """Raise :class:`UsageError` for a density of whole numbers."""
    if teacher.support.discrete:
        raise UsageError(f"{owner} expects a teacher of real numbers, and {type(teacher).__name__} is of integers")


def check_student(student: Flow, teacher: Distribution, owner: str) -> None:
    """Raise :class:`UsageError` unless the student is a flow of the teacher's events."""
    if not isinstance(student, Flow) or student.event_shape != teacher.event_shape:
        of = f" of events {tuple(student.event_shape)}" if isinstance(student, Distribution) else ""
        raise UsageError(
            f"{owner} expects a student that is a flow of the teacher's events {tuple(teacher.event_shape)}, got "
            f"{type(student).__name__}{of}"
        )


def frozen(teacher: Teacher) -> Teacher:
    """A copy that no gradient reaches and no later training changes."""
    return copy.deepcopy(teacher).eval().requires_grad_(False)
