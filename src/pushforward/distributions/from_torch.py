"""Distributions of ``torch.distributions`` as bases."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import transform_to

from pushforward.distributions.base import Distribution
from pushforward.distributions.torch_parameters import parameters_of
from pushforward.distributions.torch_support import space_of
from pushforward.errors import UsageError

Torch = torch.distributions.Distribution


class FromTorch(Distribution):
    r"""A ``torch.distributions`` object as a base, ``log p(x) = sum_i log p_i(x_i)`` over its batch; :class:`Flow` puts
    it around such an object by itself.

    What is the object's batch becomes part of the event, so ``Normal(torch.zeros(2), 1.0)`` is a distribution of
    vectors of two. Where a parameter requires gradients (an ``nn.Parameter``, or what torch made of one) its value is
    where training starts from, within its constraint; other tensors stay as they are, and move and are saved with the
    flow.

    Args:
        distribution: the object.

    Raises:
        UsageError: if it is something else, one whose support is no space that is known, or one whose support would
            move as it learns.

    Source: Dillon et al. (2017), TensorFlow Distributions, arXiv:1711.10604, whose design such objects follow.

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
        self.support = space_of(distribution)
        given = parameters_of(inner)
        self._names = [name for name, value in given.items() if isinstance(value, Tensor)]
        self._options = {name: value for name, value in given.items() if not isinstance(value, Tensor)}
        for name in self._names:
            value = given[name].detach().clone()
            # A name of their own: some parameters are called like attributes of modules.
            if given[name].requires_grad:
                self.register_parameter(f"raw_{name}", nn.Parameter(self._unbounded(name, value)))
            else:
                self.register_buffer(f"value_{name}", value)
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

    def _unbounded(self, name: str, value: Tensor) -> Tensor:
        """Where a parameter that is learned starts from, as a number without bounds: a step must not lead to a negative
        scale."""
        try:
            raw = transform_to(self._constraints[name]).inv(value)
        except (KeyError, NotImplementedError):
            raise UsageError(
                f"{self._kind.__name__} of torch.distributions cannot learn its {name}: give it as a tensor that does "
                f"not require gradients"
            ) from None
        if not bool(torch.isfinite(raw).all()):
            raise UsageError(
                f"{self._kind.__name__} cannot learn its {name} from the edge of {self._constraints[name]}: start it "
                f"inside"
            )
        return raw.clone()

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
