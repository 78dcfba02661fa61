"""Maps of spheres along the gradient of a soft maximum."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.errors import ConvergenceError, UsageError
from pushforward.testing import randomise
from pushforward.testing.spheres import points_on_sphere
from pushforward.transforms import ConvexPotentialMap
from pushforward.transforms.manifolds.exponential_map import log_volume
from pushforward.transforms.manifolds.fields import MAX_WEIGHT
from pushforward.transforms.manifolds.geodesics import distance, exponential
from pushforward.transforms.manifolds.potentials import SoftMaximum

DOUBLE = torch.float64


def points(count: int, n: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(count, n + 1, dtype=DOUBLE, generator=generator), dim=-1)


def soft_maximum(n: int, sharpness: float, seed: int = 0) -> SoftMaximum:
    generator = torch.Generator().manual_seed(seed)
    offsets = torch.randn(5, dtype=DOUBLE, generator=generator)
    return SoftMaximum(0.9 * points(5, n, seed), offsets, torch.tensor([sharpness], dtype=DOUBLE))


@pytest.mark.parametrize("n", [1, 2, 4])
@pytest.mark.parametrize("sharpness", [0.3, 20.0])
def test_the_derivatives_are_those_of_the_soft_maximum(n: int, sharpness: float) -> None:
    potential = soft_maximum(n, sharpness)

    def value(x: Tensor) -> Tensor:
        # The same at all lengths, so that its derivatives at length 1 are tangent to the sphere.
        heights = potential.centers @ (x / torch.linalg.vector_norm(x))
        return torch.logsumexp(potential.sharpness * heights + potential.offsets, -1) / sharpness

    for x in points(5, n, seed=1):
        gradient, hessian = potential.gradient_and_hessian(x)
        expected = torch.autograd.functional.jacobian(value, x)
        across = torch.eye(n + 1, dtype=DOUBLE) - torch.outer(x, x)
        assert torch.allclose(gradient, expected) and torch.allclose(potential.gradient(x), expected)
        assert torch.allclose(hessian, across @ torch.autograd.functional.hessian(value, x) @ across, atol=1e-9)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_one_center_moves_all_points_along_the_circles_through_it(n: int) -> None:
    x, center = points(40, n), points(1, n, seed=1)
    v, hessian = SoftMaximum(0.7 * center, torch.zeros(1, dtype=DOUBLE), torch.ones(1)).gradient_and_hessian(x)
    before = distance(x, center)
    after = before - 0.7 * torch.sin(before)
    assert torch.allclose(distance(exponential(x, v), center), after)
    stretched = torch.log(1.0 - 0.7 * torch.cos(before)) + (n - 1) * torch.log(torch.sin(after) / torch.sin(before))
    assert torch.allclose(log_volume(x, v, hessian), stretched)


@pytest.mark.parametrize("scale", [0.5, 5.0, 500.0])
def test_every_map_is_a_bijection_and_shrinks_no_length_to_nothing(scale: float) -> None:
    for seed in range(3):
        layer = randomise(ConvexPotentialMap(2, 8), scale, torch.Generator().manual_seed(seed)).double()
        x = points(500, 2, seed)
        z, log_det = layer(x)
        directions = torch.func.vmap(torch.func.jacrev(layer.encode))(x)
        across = directions @ (torch.eye(3, dtype=DOUBLE) - x[..., :, None] * x[..., None, :])
        lengths = torch.linalg.svdvals(across)[..., :2]
        assert torch.allclose(lengths.log().sum(-1), log_det, atol=1e-6)
        assert lengths.prod(-1).min() > (1.0 - MAX_WEIGHT) ** 2 * math.sin(MAX_WEIGHT) / MAX_WEIGHT
        assert torch.allclose(layer.decode(z), x, atol=1e-9)


@pytest.mark.parametrize("scale", [0.5, 5.0, 500.0])
def test_every_inverse_is_found_in_single_precision(scale: float) -> None:
    layer = randomise(ConvexPotentialMap(2, 8), scale, torch.Generator().manual_seed(0))
    z = points(500, 2).float()
    x, log_det = layer.inverse(z)
    again, forward_log_det = layer(x)
    assert torch.allclose(again, z, atol=3e-5)
    assert torch.allclose(log_det, -forward_log_det)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_inverses_are_as_good_as_half_precision_is(dtype: torch.dtype) -> None:
    layer = randomise(ConvexPotentialMap(2, 8), 0.5, torch.Generator().manual_seed(0)).to(dtype)
    exact = copy.deepcopy(layer).float()
    z = points(400, 2).to(dtype)
    found = torch.nn.functional.normalize(layer.decode(z).float(), dim=-1)
    assert distance(found, exact.decode(z.float())).max() < 4 * torch.finfo(dtype).eps


def test_the_density_has_mass_one_where_cells_are_sharp() -> None:
    layer = randomise(ConvexPotentialMap(2, 6, 30.0), 0.5, torch.Generator().manual_seed(0))
    flow = pf.Flow([layer], pf.distributions.UniformSphere(2)).double()
    x, weights = points_on_sphere(2, 200)
    with torch.no_grad():
        assert (weights @ flow.log_prob(x).exp()).item() == pytest.approx(1.0, abs=1e-4)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 1 centers"):
        ConvexPotentialMap(2, 0)
    with pytest.raises(UsageError, match="positive, finite sharpness"):
        ConvexPotentialMap(2, 4, 0.0)
    with pytest.raises(ConvergenceError):
        ConvexPotentialMap(2, 4).inverse(torch.tensor([[0.0, 0.0, torch.nan]]))
