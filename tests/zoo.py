"""A zoo: sound parts, and wrong ones that each break one law. Each wrong part differs from a sound one in its fault."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, MutableSequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pushforward import register
from pushforward.accuracy import Accuracy, Draws
from pushforward.networks import MLP
from pushforward.numerics import bounded, rand, randn
from pushforward.scalar import Affine
from pushforward.spaces import Integers, Interval, Reals
from pushforward.transforms import Autoregressive, Bijection, Coupling, Transform, masks

Maybe = Tensor | None
Generator = torch.Generator | None
Both = tuple[Tensor, Tensor]


@register
class Stretch(Bijection):
    """``z = x exp(s) + b`` for each of three numbers."""

    def __init__(self, features: int = 3) -> None:
        super().__init__()
        self.domain = self.codomain = Reals((features,))
        self.raw = nn.Parameter(torch.zeros(features))
        self.shift = nn.Parameter(torch.zeros(features))

    def log_scale(self) -> Tensor:
        return bounded(self.raw, 3.0)

    def log_det(self, x: Tensor, generator: Generator) -> Tensor:
        return self.log_scale().sum().expand(x.shape[:-1])

    def forward(self, x: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        self.check(x, context, self.domain)
        return x * self.log_scale().exp() + self.shift, self.log_det(x, generator)

    def inverse(self, z: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        self.check(z, context, self.codomain)
        return (z - self.shift) * (-self.log_scale()).exp(), -self.log_det(z, generator)


@register
class Conditioned(Bijection):
    """``z = x exp(s) + b`` with ``s, b`` of a context of two numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.domain = self.codomain = Reals((3,))
        self.context = Reals((2,))
        self.network = MLP(2, 6, hidden=(8,))

    def emitted(self, context: Tensor) -> Both:
        raw, shift = self.network(context).chunk(2, -1)
        return bounded(raw, 3.0), shift

    def forward(self, x: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        x, context = self.check(x, context, self.domain)
        log_scale, shift = self.emitted(context)
        return x * log_scale.exp() + shift, log_scale.sum(-1).expand(x.shape[:-1])

    def inverse(self, z: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        z, context = self.check(z, context, self.codomain)
        log_scale, shift = self.emitted(context)
        return (z - shift) * (-log_scale).exp(), -log_scale.sum(-1).expand(z.shape[:-1])


@register
class Pair(Bijection):
    """A coupling of two numbers: ``z = (x_1, x_2 exp(s(x_1)) + b(x_1))``."""

    sees = slice(0, 1)

    def __init__(self) -> None:
        super().__init__()
        self.domain = self.codomain = Reals((2,))
        self.network = MLP(self.sees.stop, 2, hidden=(8,))

    def emitted(self, x: Tensor) -> Both:
        raw, shift = self.network(x[..., self.sees]).chunk(2, -1)
        return bounded(raw, 3.0), shift

    def forward(self, x: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        self.check(x, context, self.domain)
        log_scale, shift = self.emitted(x)
        return torch.cat([x[..., :1], x[..., 1:] * log_scale.exp() + shift], -1), log_scale.sum(-1)

    def inverse(self, z: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        self.check(z, context, self.codomain)
        log_scale, shift = self.emitted(z)
        return torch.cat([z[..., :1], (z[..., 1:] - shift) * (-log_scale).exp()], -1), -log_scale.sum(-1)


@register
class Squash(Bijection):
    """``z = sigmoid(x)``, from the reals to (0, 1)."""

    top = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.domain, self.codomain = Reals((2,)), Interval(0.0, 1.0, (2,))

    def slope(self, x: Tensor) -> Tensor:
        return (-nn.functional.softplus(x) - nn.functional.softplus(-x)).sum(-1)

    def forward(self, x: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        self.check(x, context, self.domain)
        return self.top * torch.sigmoid(x), self.slope(x)

    def inverse(self, z: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        self.check(z, context, self.codomain)
        tiny = torch.finfo(z.dtype).tiny
        inside = (z / self.top).clamp(tiny, 1 - torch.finfo(z.dtype).eps)
        x = inside.log() - torch.log1p(-inside)
        return x, -self.slope(x)


@register
class Cells(Transform):
    """Dequantization of the integers 0, 1, 2: ``z = (x + u) / 3``."""

    accuracy = Accuracy.LOWER_BOUND
    draws = Draws.FORWARD

    def __init__(self) -> None:
        super().__init__()
        self.domain, self.codomain = Integers(0, 2, (2,)), Interval(0.0, 1.0, (2,))

    def log_det(self, x: Tensor) -> Tensor:
        return x.new_full(x.shape[:-1], -2 * torch.log(torch.tensor(3.0, dtype=torch.float64)).item())

    def noise(self, x: Tensor, generator: Generator) -> Tensor:
        return 0.01 + 0.98 * rand(x, x.shape, generator)

    def forward(self, x: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        self.check(x, context, self.domain)
        return (x + self.noise(x, generator)) / 3, self.log_det(x)

    def inverse(self, z: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        self.check(z, context, self.codomain)
        return (3 * z).floor().clamp(0, 2), -self.log_det(z)


@register
class Estimated(Stretch):
    """A stretch whose log-determinant is estimated."""

    accuracy = Accuracy.ESTIMATE
    draws = Draws.BOTH
    bias = 0.0

    def log_det(self, x: Tensor, generator: Generator) -> Tensor:
        return super().log_det(x, generator) + self.bias + 0.1 * randn(x, x.shape[:-1], generator)


@register
class Shuffled(Bijection):
    """Numbers in a random order."""

    order: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.domain = self.codomain = Reals((5,))
        self.keep(torch.randperm(5))

    def keep(self, order: Tensor) -> None:
        self.register_buffer("order", order)

    def forward(self, x: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        self.check(x, context, self.domain)
        return x[..., self.order], torch.zeros_like(x[..., 0])

    def inverse(self, z: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        self.check(z, context, self.codomain)
        return z[..., self.order.argsort()], torch.zeros_like(z[..., 0])


@register
class Multiples(Bijection):
    """``z = x`` times each of some factors."""

    def __init__(self, factors: MutableSequence[float]) -> None:
        super().__init__()
        self.domain = self.codomain = Reals((2,))
        self.factor = self.product(factors)

    def product(self, factors: MutableSequence[float]) -> float:
        found = 1.0
        for factor in factors:
            found *= factor
        return found

    def forward(self, x: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        self.check(x, context, self.domain)
        return x * self.factor, x.new_full(x.shape[:-1], 2.0).mul(torch.log(torch.tensor(self.factor).to(x)))

    def inverse(self, z: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        self.check(z, context, self.codomain)
        return z / self.factor, z.new_full(z.shape[:-1], -2.0).mul(torch.log(torch.tensor(self.factor).to(z)))


# What can be wrong with a log-determinant and an inverse.


class ForgottenLogDet(Stretch):
    def log_det(self, x: Tensor, generator: Generator) -> Tensor:
        return torch.zeros_like(x[..., 0])


class DoubledLogDet(Stretch):
    def log_det(self, x: Tensor, generator: Generator) -> Tensor:
        return 2 * super().log_det(x, generator)


class WrongSign(Stretch):
    def log_det(self, x: Tensor, generator: Generator) -> Tensor:
        return -super().log_det(x, generator)


class NotSummed(Stretch):
    def log_det(self, x: Tensor, generator: Generator) -> Tensor:
        return self.log_scale().expand_as(x)


class InverseOfAnother(Stretch):
    def inverse(self, z: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        self.check(z, context, self.codomain)
        return z * (-self.log_scale()).exp() - self.shift, -self.log_det(z, None)


class InverseAdds(Stretch):
    def inverse(self, z: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        self.check(z, context, self.codomain)
        return (z + self.shift) * (-self.log_scale()).exp(), -self.log_det(z, None)


class InverseLogDetKeepsItsSign(Stretch):
    def inverse(self, z: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        return super().inverse(z, context)[0], self.log_det(z, None)


class LeakingMask(Pair):
    sees = slice(0, 2)


@register
class Dense(nn.Module):
    """A network that is not causal: each output sees all inputs."""

    later = True

    def __init__(self, inputs: int, outputs: int, context: int = 0) -> None:
        super().__init__()
        self.inputs = inputs
        self.weight = nn.Parameter(torch.zeros(outputs, inputs))
        allowed = torch.ones(inputs, inputs) if self.later else torch.tril(torch.ones(inputs, inputs))
        self.register_buffer("allowed", allowed.repeat(outputs // inputs, 1))

    def forward(self, x: Tensor, context: Maybe = None) -> Tensor:
        return x @ (self.weight * self.allowed).t()  # type: ignore[operator]


@register
class SeesItself(Dense):
    later = False


# What can be wrong with randomness, and with what is said about it.


class SecretlyRandom(Stretch):
    def forward(self, x: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        z, log_det = super().forward(x, context)
        return z + 1e-6 * randn(z, z.shape, generator), log_det


class SaysThatItDraws(Stretch):
    draws = Draws.FORWARD
    accuracy = Accuracy.ESTIMATE


class DrawsFromTheGlobalSeed(Cells):
    def noise(self, x: Tensor, generator: Generator) -> Tensor:
        return super().noise(x, None)


class BoundCalledExact(Cells):
    accuracy = Accuracy.EXACT


class BoundAboveTheTruth(Cells):
    def log_det(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x[..., 0])


class EstimateCalledExact(Estimated):
    accuracy = Accuracy.EXACT


class BiasedEstimate(Estimated):
    bias = 0.05


# What can be wrong with spaces and numbers.


class LeavesTheCodomain(Squash):
    top = 1.5


class ClaimsToReachAll(Squash):
    def __init__(self) -> None:
        super().__init__()
        self.codomain = Reals((2,))

    def inverse(self, z: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        x = z.log() - torch.log1p(-z)
        return self.check(x, context, self.codomain)[0], -self.slope(x)


class DomainMisdeclared(Bijection):
    """``z = log x`` on all reals."""

    def __init__(self) -> None:
        super().__init__()
        self.domain = self.codomain = Reals((2,))

    def forward(self, x: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        z = self.check(x, context, self.domain)[0].log()
        return z, -z.sum(-1)

    def inverse(self, z: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        return self.check(z, context, self.codomain)[0].exp(), z.sum(-1)


class ShapeMisdeclared(Shuffled):
    def forward_shape(self, shape: Any) -> torch.Size:
        return torch.Size([4])


class CutToFloat32(Stretch):
    def forward(self, x: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        z, log_det = super().forward(x, context)
        return z.float().to(x.dtype), log_det


class LogDetInFloat32(Stretch):
    def log_det(self, x: Tensor, generator: Generator) -> Tensor:
        return super().log_det(x, generator).float()


class NotANumberAtZero(Bijection):
    """``z = x + x |x|``, with a root that has no gradient at zero."""

    def __init__(self) -> None:
        super().__init__()
        self.domain = self.codomain = Reals((2,))

    def forward(self, x: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        size = self.check(x, context, self.domain)[0].square().sqrt()
        return x + x * size, torch.log1p(2 * size).sum(-1)

    def inverse(self, z: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        size = 2 * self.check(z, context, self.codomain)[0].abs() / (1 + torch.sqrt(1 + 4 * z.abs()))
        return z.sign() * size, -torch.log1p(2 * size).sum(-1)


class Overflows(Stretch):
    def log_scale(self) -> Tensor:
        return self.raw


class DetachedGradient(Stretch):
    def log_scale(self) -> Tensor:
        return super().log_scale().detach()


# What can be wrong with batches and contexts.


class EmptyBatchForgotten(Stretch):
    def forward(self, x: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        z, log_det = super().forward(x, context)
        return z.reshape(*x.shape[:-1], -1), log_det


class ShapesUnchecked(Squash):
    def forward(self, x: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        return torch.sigmoid(x), self.slope(x) if x.dim() else x


class BatchStatistics(Stretch):
    def forward(self, x: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        z, log_det = super().forward(x, context)
        return z + z.mean().detach() if x.dim() > 1 else z, log_det


class ContextOfTheNeighbour(Conditioned):
    def emitted(self, context: Tensor) -> Both:
        return super().emitted(context.roll(1, 0) if context.dim() > 1 else context)


class ContextIgnored(Conditioned):
    def emitted(self, context: Tensor) -> Both:
        return super().emitted(torch.zeros_like(context))


class ContextUnchecked(Stretch):
    def forward(self, x: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        return super().forward(x)


class ContextCheckedTooLate(Conditioned):
    def forward(self, x: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        return super().forward(x * 1.0, context)


class EncodeDiffers(Stretch):
    def encode(self, x: Tensor, context: Maybe = None, generator: Generator = None) -> Tensor:
        return self.check(x, context, self.domain)[0] * self.log_scale().exp()


class DecodeDiffers(Stretch):
    def decode(self, z: Tensor, context: Maybe = None, generator: Generator = None) -> Tensor:
        return self.check(z, context, self.codomain)[0] * (-self.log_scale()).exp()


# What can be wrong with parameters, state and arguments.


class ParametersIgnored(Pair):
    def emitted(self, x: Tensor) -> Both:
        return tuple(0 * each for each in super().emitted(x))  # type: ignore[return-value]


class NetworkBypassed(Pair):
    def emitted(self, x: Tensor) -> Both:
        raw, shift = self.network.forward(x[..., self.sees]).chunk(2, -1)
        return bounded(raw, 3.0), shift


class StateNotSaved(Shuffled):
    def keep(self, order: Tensor) -> None:
        self.order = order


class NotPicklable(Stretch):
    def __init__(self) -> None:
        super().__init__()
        self.squash = lambda raw: bounded(raw, 3.0)

    def log_scale(self) -> Tensor:
        return self.squash(self.raw)


class ArgumentsUsedUp(Multiples):
    def product(self, factors: MutableSequence[float]) -> float:
        found = 1.0
        while factors:
            found *= factors.pop()
        return found


class GraphBreaks(Stretch):
    def forward(self, x: Tensor, context: Maybe = None, generator: Generator = None) -> Both:
        z, log_det = super().forward(x, context)
        return z if x.sum().item() < 1e9 else z.clone(), log_det


@dataclass
class Animal:
    """A wrong part, the law that names its fault, and a sound part beside it."""

    law: str
    wrong: Callable[[], Transform]
    sound: Callable[[], Transform]
    x: Tensor
    context: Tensor | None = None


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(4))


THREE, TWO, FIVE, CONTEXT = normal(6, 3), normal(6, 2), normal(6, 5), normal(6, 2)
LEVELS = torch.randint(3, (8, 2), generator=torch.Generator().manual_seed(0)).float()
SMALL = partial(MLP, hidden=(8,))


def autoregressive(network: Any) -> Callable[[], Transform]:
    def make() -> Transform:
        layer = Autoregressive(3, Affine())
        # Afterwards: one that is not causal is refused when the layer is made.
        layer.network = network(3, 6)
        return layer

    return make


def lambda_coupling() -> Transform:
    return Coupling(masks.halves(2), Affine(), lambda inputs, outputs, context: MLP(inputs, outputs, context))


def coupling() -> Transform:
    return Coupling(masks.halves(2), Affine(), SMALL)


def arguments_used_up() -> Transform:
    return ArgumentsUsedUp(deque([2.0, 3.0]))


def sound_autoregressive() -> Transform:
    return Autoregressive(3, Affine())


ZOO: dict[str, Animal] = {
    "forgotten log_det": Animal("log_det", ForgottenLogDet, Stretch, THREE),
    "doubled log_det": Animal("log_det", DoubledLogDet, Stretch, THREE),
    "wrong sign": Animal("log_det", WrongSign, Stretch, THREE),
    "log_det not summed": Animal("shapes", NotSummed, Stretch, THREE),
    "inverse of another": Animal("inverse", InverseOfAnother, Stretch, THREE),
    "inverse adds": Animal("inverse", InverseAdds, Stretch, THREE),
    "inverse's log_det keeps its sign": Animal("inverse", InverseLogDetKeepsItsSign, Stretch, THREE),
    "leaking mask": Animal("log_det", LeakingMask, Pair, TWO),
    "wrong order": Animal("inverse", autoregressive(Dense), sound_autoregressive, THREE),
    "a dimension that sees itself": Animal("log_det", autoregressive(SeesItself), sound_autoregressive, THREE),
    "secretly random": Animal("draws", SecretlyRandom, Stretch, THREE),
    "says that it draws": Animal("draws", SaysThatItDraws, Stretch, THREE),
    "draws from the global seed": Animal("draws", DrawsFromTheGlobalSeed, Cells, LEVELS),
    "bound called exact": Animal("accuracy", BoundCalledExact, Cells, LEVELS),
    "bound above the truth": Animal("bound", BoundAboveTheTruth, Cells, LEVELS),
    "estimate called exact": Animal("accuracy", EstimateCalledExact, Estimated, THREE),
    "biased estimate": Animal("log_det", BiasedEstimate, Estimated, THREE),
    "leaves the codomain": Animal("spaces", LeavesTheCodomain, Squash, TWO),
    "claims to reach all": Animal("spaces", ClaimsToReachAll, Squash, TWO),
    "mass missing": Animal("mass", ClaimsToReachAll, Squash, TWO),
    "domain misdeclared": Animal("spaces", DomainMisdeclared, Squash, TWO.abs()),
    "shape misdeclared": Animal("shapes", ShapeMisdeclared, Shuffled, FIVE),
    "cut to float32": Animal("dtypes", CutToFloat32, Stretch, THREE),
    "log_det in float32": Animal("dtypes", LogDetInFloat32, Stretch, THREE),
    "not a number at zero": Animal("extremes", NotANumberAtZero, Stretch, TWO),
    "overflows": Animal("extremes", Overflows, Stretch, THREE),
    "detached gradient": Animal("gradients", DetachedGradient, Stretch, THREE),
    "empty batch forgotten": Animal("shapes", EmptyBatchForgotten, Stretch, THREE),
    "shapes unchecked": Animal("shapes", ShapesUnchecked, Squash, TWO),
    "batch statistics": Animal("independence", BatchStatistics, Stretch, THREE),
    "context of the neighbour": Animal("independence", ContextOfTheNeighbour, Conditioned, THREE, CONTEXT),
    "context ignored": Animal("context_matters", ContextIgnored, Conditioned, THREE, CONTEXT),
    "context unchecked": Animal("context", ContextUnchecked, Stretch, THREE),
    "context checked too late": Animal("context", ContextCheckedTooLate, Conditioned, THREE, CONTEXT),
    "encode differs": Animal("values", EncodeDiffers, Stretch, THREE),
    "decode differs": Animal("values", DecodeDiffers, Stretch, THREE),
    "parameters ignored": Animal("extremes", ParametersIgnored, Pair, TWO),
    "network bypassed": Animal("extremes", NetworkBypassed, Pair, TWO),
    "state not saved": Animal("state", StateNotSaved, Shuffled, FIVE),
    "not picklable": Animal("pickle", NotPicklable, Stretch, THREE),
    "arguments used up": Animal(
        "memory", lambda: ArgumentsUsedUp(deque([2.0, 3.0])), lambda: Multiples([2.0, 3.0]), TWO
    ),
    "nameless network": Animal("saving", lambda_coupling, coupling, TWO),
    "graph breaks": Animal("graph", GraphBreaks, Stretch, THREE),
}
