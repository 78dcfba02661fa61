"""The laws see what is wrong in transforms that draw: in both directions for an estimate, or in the inverse alone."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.accuracy import Accuracy, Draws
from pushforward.spaces import Interval, Reals

X = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))


@pf.register
class Stretch(pf.transforms.Transform):
    """z = exp(tanh a) x, whose log-determinant 2 tanh a is estimated as tanh a |v|^2 from a standard normal v."""

    accuracy = Accuracy.ESTIMATE
    draws = Draws.BOTH
    there, back = 1.0, -1.0

    def __init__(self) -> None:
        super().__init__()
        self.domain = self.codomain = Reals((2,))
        self.a = torch.nn.Parameter(torch.tensor(0.3))

    def forward(self, x, context=None, generator=None):
        return self.encode(x, context), self.there * self.log_det(x, generator)

    def inverse(self, z, context=None, generator=None):
        return self.decode(z, context), self.back * self.log_det(z, generator)

    def encode(self, x, context=None, generator=None):
        x, _ = self.check(x, context, self.domain)
        return x * self.a.tanh().exp()

    def decode(self, z, context=None, generator=None):
        z, _ = self.check(z, context, self.codomain)
        return z * torch.exp(-self.a.tanh())

    def log_det(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        return self.a.tanh() * torch.randn(x.shape, dtype=x.dtype, generator=generator).square().sum(-1)


@pf.register
class Signs(pf.transforms.Transform):
    """z = |x|; the inverse draws the signs, which come with probability 1/4."""

    draws = Draws.INVERSE
    bits = 2.0

    def __init__(self) -> None:
        super().__init__()
        self.domain, self.codomain = Reals((2,)), Interval(0.0, math.inf, (2,))

    def forward(self, x, context=None, generator=None):
        x, _ = self.check(x, context, self.domain)
        return x.abs(), self.log_probability(x)

    def inverse(self, z, context=None, generator=None):
        z, _ = self.check(z, context, self.codomain)
        signs = torch.rand(z.shape, dtype=z.dtype, generator=generator) - 0.5
        return z.copysign(signs), -self.log_probability(z)

    def log_probability(self, x: Tensor) -> Tensor:
        return x.new_full(x.shape[:-1], -self.bits * math.log(2))


class Doubled(Stretch):
    there, back = 2.0, -2.0


class NotTurned(Stretch):
    back = 1.0


class NotInverse(Stretch):
    def decode(self, z, context=None, generator=None):
        return self.encode(z, context)


class Forgotten(Signs):
    bits = 0.0


@pytest.mark.parametrize("make", [Stretch, Signs])
def test_a_right_one_passes(make: type[pf.transforms.Transform]) -> None:
    pf.testing.check_transform(make(), X)


@pytest.mark.parametrize(
    "make, law", [(Doubled, "log_det"), (NotTurned, "log_det"), (NotInverse, "inverse"), (Forgotten, "mass")]
)
def test_a_wrong_one_is_caught(make: type[pf.transforms.Transform], law: str) -> None:
    with pytest.raises(AssertionError, match=f"check_{law}"):
        pf.testing.check_transform(make(), X)
