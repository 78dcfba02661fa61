"""How each part of a continuous flow is coded: one registry of transforms, one of bases.

A part of one's own codes once its way is registered:

>>> from pushforward.codec.bitsback.layers import ElementwiseLayer
>>> from pushforward.spaces import Reals
>>> class Cube(Transform):
...     \"\"\"A transform that maps each element by itself.\"\"\"
...     domain = codomain = Reals((3,))
>>> @code_transform.register
... def _(part: Cube, shape: torch.Size) -> list[Layer]:
...     return [ElementwiseLayer(part)]
>>> len(code_transform(Cube(), torch.Size([3])))
1
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

import torch
from torch import Tensor

from pushforward.codec.bitsback.layers import (
    AutoregressiveLayer,
    CouplingLayer,
    ElementwiseLayer,
    Layer,
    LiftingLayer,
    ReorderingLayer,
    ReversedLayer,
    ScalingLayer,
    ShiftLayer,
)
from pushforward.codec.bitsback.priors import FlowPrior, LocationScalePrior, Prior, SplitPrior
from pushforward.codec.registry import no_way_through
from pushforward.distributions.base import Distribution
from pushforward.distributions.continuous.learned_normal import DiagonalNormal, bounded_log_scale
from pushforward.distributions.continuous.logistic import StandardLogistic
from pushforward.distributions.continuous.normal import ConditionalNormal, StandardNormal
from pushforward.flows.factor_out import FactorOut
from pushforward.flows.flow import Flow
from pushforward.transforms.autoregressive.autoregressive import Autoregressive
from pushforward.transforms.base import Transform
from pushforward.transforms.chain import Chain
from pushforward.transforms.coupling.coupling import Coupling
from pushforward.transforms.elementwise import ConditionalElementwise, Elementwise
from pushforward.transforms.inverse import Inverse
from pushforward.transforms.linear.convolution import InvertibleConvolution, InvertibleConvolutionLU
from pushforward.transforms.linear.normalisation import ActNorm, BatchNorm
from pushforward.transforms.linear.permutation import Permutation
from pushforward.transforms.linear.standardisation import Standardise
from pushforward.transforms.logit import Logit
from pushforward.transforms.reshape.interlace import Interlace
from pushforward.transforms.reshape.squeeze import Squeeze


@singledispatch
def code_transform(part: Transform, shape: torch.Size) -> list[Layer]:
    """Return the layers that code a transform of events of ``shape``, in order.

    A way to code another class is added by ``@code_transform.register``.

    Raises:
        UsageError: if none is registered for the part's class.
    """
    raise no_way_through(part, "bitsback.coding.code_transform")


@singledispatch
def code_base(base: Distribution) -> Prior:
    """Return the prior that codes the latents of a base.

    A way to code another class is added by ``@code_base.register``.

    Raises:
        UsageError: if none is registered for the base's class.
    """
    raise no_way_through(base, "bitsback.coding.code_base")


@code_transform.register
def _(part: Chain, shape: torch.Size) -> list[Layer]:
    layers: list[Layer] = []
    for inner in part:
        layers += code_transform(inner, shape)
        shape = inner.forward_shape(shape)
    return merged(layers)


def merged(layers: Sequence[Layer]) -> list[Layer]:
    """As few layers that take bits as do the same: scalings go behind mixings of channels, and become one."""
    found: list[Layer] = []
    for layer in layers:
        found[-1:] = _joined(found[-1], layer) if found else [layer]
    return found


def _joined(first: Layer, second: Layer) -> list[Layer]:
    """Two layers that follow each other, as one or in the other order."""
    if isinstance(first, ElementwiseLayer) and isinstance(second, ElementwiseLayer):
        return [ElementwiseLayer(*first.parts, *second.parts)]
    if isinstance(first, ScalingLayer) and isinstance(second, ScalingLayer):
        return [first.then(second)]
    if isinstance(first, ScalingLayer) and isinstance(second, LiftingLayer):
        return [second.before(first), first]
    return [first, second]


@code_transform.register
def _(part: Inverse, shape: torch.Size) -> list[Layer]:
    turned = code_transform(part.transform, part.forward_shape(shape))
    return [ReversedLayer(layer) for layer in reversed(turned)]


@code_transform.register(Permutation)
@code_transform.register(Squeeze)
@code_transform.register(Interlace)
def _(part: Transform, shape: torch.Size) -> list[Layer]:
    return [ReorderingLayer(part, shape)]


@code_transform.register
def _(part: ActNorm, shape: torch.Size) -> list[Layer]:
    return [ShiftLayer(part.mean.detach()), ScalingLayer(part._bounded().detach().exp())]


@code_transform.register(Logit)
@code_transform.register(BatchNorm)
@code_transform.register(Standardise)
@code_transform.register(Elementwise)
@code_transform.register(ConditionalElementwise)
def _(part: Transform, shape: torch.Size) -> list[Layer]:
    return [ElementwiseLayer(part)]


@code_transform.register
def _(part: Coupling, shape: torch.Size) -> list[Layer]:
    return [CouplingLayer(part)]


@code_transform.register
def _(part: Autoregressive, shape: torch.Size) -> list[Layer]:
    return [AutoregressiveLayer(part)]


@code_transform.register
def _(part: InvertibleConvolution, shape: torch.Size) -> list[Layer]:
    permutation, lower, upper = torch.linalg.lu(part.weight.detach())
    return _triangular(permutation, lower, upper, shape)


@code_transform.register
def _(part: InvertibleConvolutionLU, shape: torch.Size) -> list[Layer]:
    lower, upper, _ = part._factors()
    return _triangular(part.permutation, lower.detach(), upper.detach(), shape)


def _triangular(permutation: Tensor, lower: Tensor, upper: Tensor, shape: torch.Size) -> list[Layer]:
    """``W = P L U``, the last factor first, and ``U = D U'`` with a unit diagonal in ``U'``."""
    order, diagonal = Permutation(torch.argmax(permutation, dim=1), event_dims=3), upper.diagonal()
    unit = upper / diagonal[:, None]
    return [
        LiftingLayer(unit),
        ScalingLayer(diagonal[:, None, None]),
        LiftingLayer(lower),
        ReorderingLayer(order, shape),
    ]


@code_base.register
def _(base: Flow) -> Prior:
    return FlowPrior(base, code_transform(base.transform, base.event_shape), code_base(base.base))


@code_base.register
def _(base: FactorOut) -> Prior:
    return SplitPrior(base, code_base(base.split), code_base(base.rest))


@code_base.register
def _(base: StandardNormal) -> Prior:
    return _standard("normal")


@code_base.register
def _(base: StandardLogistic) -> Prior:
    return _standard("logistic")


def _standard(family: str) -> Prior:
    zero = torch.zeros((), dtype=torch.float64)
    return LocationScalePrior(lambda context: (zero, zero), family)


@code_base.register
def _(base: DiagonalNormal) -> Prior:
    return LocationScalePrior(lambda context: (base.mean, bounded_log_scale(base.raw_log_scale)), "normal")


@code_base.register
def _(base: ConditionalNormal) -> Prior:
    return LocationScalePrior(base._mean_and_log_scale, "normal")
