"""Distributions of ``torch.distributions`` as bases."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import constraints, transform_to

from pushforward.distributions.base import Distribution
from pushforward.errors import UsageError
from pushforward.spaces import Integers, Interval, Reals, Space

Torch = torch.distributions.Distribution


class FromTorch(Distribution):
    r"""A ``torch.distributions`` object as a base; :class:`Flow` puts it around such an object by itself.

    What is the object's batch becomes part of the event, so ``Normal(torch.zeros(2), 1.0)`` is a distribution of
    vectors of two. Where a parameter is an ``nn.Parameter`` it is where training starts from, within its constraint;
    other tensors stay as they are, and move and are saved with the flow.

    Args:
        distribution: the object.

    Raises:
        UsageError: if it is something else, or one whose support is no space that is known.

    Example:
        >>> base = FromTorch(torch.distributions.Laplace(torch.zeros(2), 1.0))
        >>> base.log_prob(torch.zeros(5, 2)).shape, base.sample(3).shape
        (torch.Size([5]), torch.Size([3, 2]))
    """

    def __init__(self, distribution: Torch) -> None:
        super().__init__()
        if not isinstance(distribution, Torch):
            raise UsageError(f"FromTorch expects a torch.distributions object, got {type(distribution).__name__}")
        inner = _unwrapped(distribution)
        self._kind, self._constraints = type(inner), dict(inner.arg_constraints)
        self._names = [name for name in inner.arg_constraints if isinstance(inner.__dict__.get(name), Tensor)]
        self._options = {name: inner.__dict__[name] for name in inner.arg_constraints if name in inner.__dict__}
        for name in self._names:
            value = self._options.pop(name)
            # A name of their own: some parameters are called like attributes of modules.
            if isinstance(value, nn.Parameter):
                # Learned without bounds: a step must not lead to a negative scale.
                raw = transform_to(inner.arg_constraints[name]).inv(value.detach())
                self.register_parameter(f"raw_{name}", nn.Parameter(raw.clone()))
            else:
                self.register_buffer(f"value_{name}", value.detach().clone())
        self.support = _space(distribution)
        self.reparametrised = distribution.has_rsample

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        log_prob = self._made().log_prob(x)
        extra = log_prob.dim() - (x.dim() - len(self.event_shape))
        return log_prob.flatten(-extra).sum(-1) if extra else log_prob

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        if temperature != 1:
            raise UsageError(f"{self._kind.__name__} of torch.distributions has no temperature, got {temperature}")
        made = self._made()
        draw = made.rsample if self.reparametrised and torch.is_grad_enabled() else made.sample
        if generator is None:
            return draw(batch)
        # torch.distributions follow the global seed alone.
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return draw(batch)

    def _value(self, name: str) -> Tensor:
        if hasattr(self, f"value_{name}"):
            return getattr(self, f"value_{name}")  # type: ignore[no-any-return]
        return transform_to(self._constraints[name])(getattr(self, f"raw_{name}"))  # type: ignore[no-any-return]

    def _made(self) -> Torch:
        values: dict[str, Any] = {name: self._value(name) for name in self._names}
        return self._kind(**values, **self._options, validate_args=False)


def as_base(base: Any) -> Distribution:
    """Return a distribution, or one around a ``torch.distributions`` object.

    Raises:
        UsageError: if it is something else, a class in place of an object above all.
    """
    if isinstance(base, Distribution):
        return base
    if isinstance(base, type):
        raise UsageError(f"a base expects a distribution, got the class {base.__name__}: write {base.__name__}(...)")
    if not isinstance(base, Torch):
        raise UsageError(f"a base expects a distribution of pushforward or torch, got {type(base).__name__}")
    return FromTorch(base)


def _unwrapped(distribution: Torch) -> Torch:
    while isinstance(distribution, torch.distributions.Independent):
        distribution = distribution.base_dist
    if not distribution.arg_constraints:
        raise UsageError(
            f"a base expects a distribution that is made from its parameters, got {type(distribution).__name__}: write "
            f"the transforms of a TransformedDistribution into the flow"
        )
    return distribution


def _space(distribution: Torch) -> Space:
    constraint: Any = distribution.support
    while hasattr(constraint, "base_constraint"):
        constraint = constraint.base_constraint
    shape = distribution.batch_shape + distribution.event_shape
    if constraint is constraints.real or constraint is constraints.real_vector:
        return Reals(shape)
    if constraint is constraints.boolean:
        return Integers(0, 1, shape)
    low, high = getattr(constraint, "lower_bound", None), getattr(constraint, "upper_bound", None)
    if getattr(constraint, "is_discrete", False):
        return Integers(_integer(low), _integer(high), shape)
    if low is None and high is None:
        raise UsageError(
            f"a base expects a distribution on numbers of the reals or an interval, got {type(distribution).__name__} "
            f"on {constraint}"
        )
    return Interval(_number(low, -torch.inf), _number(high, torch.inf), shape)


def _number(bound: Any, otherwise: float) -> float:
    if bound is None:
        return otherwise
    values = torch.as_tensor(bound)
    if bool((values != values.flatten()[0]).any()):
        raise UsageError("a base expects the same bounds in all dimensions, got several: use one base for each")
    return float(values.flatten()[0])


def _integer(bound: Any) -> int | None:
    return None if bound is None else round(_number(bound, 0.0))
