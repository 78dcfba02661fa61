"""Flows on spheres along gradients: every point follows the great circle that a scalar field's gradient points
along."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from pushforward.errors import ConvergenceError
from pushforward.kernels.iteration import State, count_true, derivatives_wanted, iterate, separate
from pushforward.networks.context import Context, vector_context
from pushforward.networks.factory import NetworkFactory
from pushforward.networks.mlp import MLP
from pushforward.numerics import at_least_single, unit
from pushforward.scalar.arguments import check_counts
from pushforward.spaces import Sphere
from pushforward.transforms.base import Bijection
from pushforward.transforms.manifolds.fields import MAX_WEIGHT, ExponentialField, ScalarField
from pushforward.transforms.manifolds.geodesics import exponential, logarithm, projection, tangent, turn
from pushforward.transforms.manifolds.potentials import GradientField, Potential
from pushforward.transforms.residual.parameters import GlobalParameters

CLOSE = 1000.0
"""How many roundings of 1 an inverse may miss by."""

STEPS = 100
"""The most Newton steps of an inverse."""

FULL_STEP = 1.0
"""The longest Newton step, an angle: what is linear is so only nearby."""


class GradientMap(Bijection):
    """A map of a sphere, ``z = exp_x(grad phi(x))``, of a field ``phi`` that a parameter vector decides."""

    tolerance = 1e-9
    domain: Sphere
    parameters_of: GlobalParameters

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x, context = self.check(x, context, self.domain)
        v, hessian = self.potential(self.parameters_of(context)).gradient_and_hessian(x)
        # Of length 1 to the last digit, so that rounding does not add up from map to map.
        return unit(exponential(x, v)), log_volume(x, v, hessian)

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        x, context = self.check(x, context, self.domain)
        return unit(exponential(x, self.potential(self.parameters_of(context)).gradient(x)))

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        z, context = self.check(z, context, self.domain)
        potential = self.potential(self.parameters_of(context))
        x = _solve(z, potential)
        return x, -log_volume(x, *potential.gradient_and_hessian(x))

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        z, context = self.check(z, context, self.domain)
        return _solve(z, self.potential(self.parameters_of(context)))

    @abstractmethod
    def potential(self, parameters: Tensor) -> GradientField:
        """The field of parameters ``(..., P)``."""


class ExponentialMap(GradientMap):
    r"""An exponential-map flow on ``S^n``: ``z = exp_x(grad phi(x))`` with a scalar field ``phi(x) = sum_i w_i f(x .
    mu_i; s_i)`` of learned centers (Sei 2013; Rezende et al. 2020, arXiv:2002.02428, section 2.3.2).

    With ``v = grad phi`` and the angle ``t = |v|`` that a point moves by, between orthonormal frames of the tangent
    spaces

    ``log_det = (n - 1) log(sin t / t) + log det(t cot t P + (1 - t cot t) v v^T / t^2 + Hess phi)``,

    ``P`` the projection across the great circle and along it; the matrix is positive definite for every ``w`` whose sum
    is below 1, which is how the map is a bijection. The inverse is found by Newton's method along great circles, with
    steps that are shortened until they help; gradients through it are by implicit differentiation.

    Args:
        n: the dimension of the sphere.
        field: the family ``f`` of the fields: :class:`ExponentialField` (radial bumps), :class:`ConformalField`
            (Moebius maps), or :class:`EvenField` of one of them.
        centers: how many.
        network: with a context, a network factory, called as ``network(context, centers * (n + 3), 0)``.
        context: a number of features or a space of vectors, which decides centers, strengths and weights; 0 learns them
            freely.

    Raises:
        ShapeError: if the input does not end in ``n + 1``, or the context is missing or misshapen.
        ConvergenceError: if the inverse of an event is not found, as for one that is not finite. In compiled code,
            which cannot raise, it is NaN.

    Example:
        >>> layer = ExponentialMap(2, centers=4)
        >>> x = nn.functional.normalize(torch.randn(8, 3), dim=-1)
        >>> z, log_det = layer(x)
        >>> torch.allclose(layer.inverse(z)[0], x, atol=1e-5)
        True
    """

    def __init__(
        self,
        n: int = 2,
        field: ScalarField | None = None,
        centers: int = 16,
        network: NetworkFactory | nn.Module = MLP,
        context: Context = 0,
    ) -> None:
        super().__init__()
        check_counts("ExponentialMap", centers=centers)
        self.domain = self.codomain = Sphere(n)
        self.context = vector_context(context, "ExponentialMap")
        self.field = ExponentialField() if field is None else field
        start = torch.cat([torch.randn(centers * (n + 1)), 0.1 * torch.randn(2 * centers)])
        self.parameters_of = GlobalParameters(start, network, self.context, "ExponentialMap")

    def potential(self, parameters: Tensor) -> Potential:
        numbers = self.event_shape[0]
        each = parameters.unflatten(-1, (numbers + 2, -1))
        directions, strengths, logits = each.split([numbers, 1, 1], -2)
        rest = torch.zeros_like(logits[..., 0, :1])
        shares = torch.softmax(torch.cat([logits[..., 0, :], rest], -1), -1)[..., :-1]
        return Potential(self.field, unit(directions.mT), strengths[..., 0, :], MAX_WEIGHT * shares)


def log_volume(x: Tensor, v: Tensor, hessian: Tensor) -> Tensor:
    """The log-determinant of ``exp_x(v)`` between orthonormal frames, of a gradient and its Hessian at ``x``."""
    sine = turn(v.square().sum(-1)).sine
    log_det = torch.linalg.slogdet(at_least_single(_curvature(x, v) + hessian)).logabsdet.to(x.dtype)
    return (x.shape[-1] - 2) * torch.log(sine) + log_det


def _curvature(x: Tensor, v: Tensor) -> Tensor:
    """The Hessian at ``x`` of half the squared distance to ``exp_x(v)``, made invertible by ``x x^T``."""
    squared = v.square().sum(-1)[..., None, None]
    turned = turn(squared)
    cotangent = turned.cosine / turned.sine
    along = (turned.versine - turned.lag) / turned.sine
    outer = x[..., :, None] * x[..., None, :]
    return outer + cotangent * projection(x) + along * v[..., :, None] * v[..., None, :]


def _solve(z: Tensor, potential: GradientField) -> Tensor:
    """The points that the map takes to ``z``, differentiable by ``z`` and by what the field depends on."""
    x = _find(z, potential).detach()
    if not derivatives_wanted():
        return x
    # Newton steps whose values are zero and whose derivatives are not; two give second derivatives too.
    return _follow(_follow(x, z, potential), z, potential)


def _follow(x: Tensor, z: Tensor, potential: GradientField) -> Tensor:
    miss, matrix = _residual(x, z, potential)
    return exponential(x, _solved(matrix, miss - miss.detach()))


def _residual(x: Tensor, z: Tensor, potential: GradientField) -> tuple[Tensor, Tensor]:
    """How far the gradient at ``x`` is from what leads to ``z``, and minus the derivative of that."""
    gradient, hessian = potential.gradient_and_hessian(x)
    wanted = logarithm(x, z)
    return tangent(x, wanted - gradient), _curvature(x, wanted) + hessian


@torch.no_grad()
def _find(z: Tensor, potential: GradientField) -> Tensor:
    r"""Newton's method from ``x = z``, along great circles.

    It minimises ``d(x, z)^2 / 2 + phi(x)``, which is convex from ``z`` to the root; a step that leads further away is
    halved. An element that is done stays as it is, so that its root does not depend on the batch that it came in.
    Half precision is too coarse to tell whether a step helps.
    """
    dtype, z = z.dtype, at_least_single(z)
    potential = potential.mapped(lambda parameters: separate(at_least_single(parameters)))
    z = z / torch.linalg.vector_norm(z, dim=-1, keepdim=True)
    least = torch.finfo(z.dtype).eps

    def step(remaining: Tensor, x: Tensor, miss: Tensor, share: Tensor, going: Tensor) -> State:
        residual, matrix = _residual(x, z, potential)
        newton = torch.linalg.solve(matrix, residual)
        length = torch.linalg.vector_norm(newton, dim=-1)
        moved = exponential(x, newton * (share * (FULL_STEP / length.clamp_min(FULL_STEP)))[..., None])
        moved = moved / torch.linalg.vector_norm(moved, dim=-1, keepdim=True)
        there = _miss(moved, z, potential)
        better = going & (there < miss)
        # Rounding ends it: what is this small and is not halved any more will not be.
        done = (torch.minimum(there, miss) <= 2 * least) | ((miss <= CLOSE * least) & ~(there < 0.5 * miss))
        x = torch.where(better[..., None], moved, x)
        share = torch.where(better, (2.0 * share).clamp_max(1.0), 0.5 * share)
        return x, torch.where(better, there, miss), share, going & ~done

    start = _miss(z, z, potential)
    state = z, start, torch.ones_like(start), start > 2 * least
    x, miss, _, _ = iterate(step, lambda x, miss, share, going: going, state, STEPS)
    found = miss <= CLOSE * least
    failures = count_true(~found)
    if failures:
        raise ConvergenceError(
            f"The inverse of an exponential map expected points of the sphere and finite parameters, and did not find "
            f"{failures} of {found.numel()}: look for NaN or infinite numbers in the inputs and the parameters"
        )
    return torch.where(found[..., None], x, torch.nan).to(dtype)


def _solved(matrix: Tensor, right: Tensor) -> Tensor:
    return torch.linalg.solve(at_least_single(matrix), at_least_single(right)).to(right.dtype)


def _miss(x: Tensor, z: Tensor, potential: GradientField) -> Tensor:
    return torch.linalg.vector_norm(tangent(x, logarithm(x, z) - potential.gradient(x)), dim=-1)
