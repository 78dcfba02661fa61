"""The recipes for vectors: laws of a density, contexts, and sampling in one pass; the mathematics of their layers."""

from __future__ import annotations

import pytest
import torch

import pushforward as pf
from pushforward import testing, training, transforms
from pushforward.accuracy import Accuracy

SMALL = {"layers": 2, "hidden": (16, 16)}
REAL_LINE = ["maf", "iaf", "nsf", "nsf-coupling", "naf", "umnn", "planar", "radial", "sylvester", "gaussianization"]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("name", REAL_LINE)
@pytest.mark.parametrize("context", [0, 2])
def test_encode_decode_and_sample(name: str, context: int) -> None:
    flow = testing.randomise(pf.build(name, features=5, context=context, **SMALL))
    c = torch.randn(7, context) if context else None
    x = flow.sample((7,)) if c is None else flow.sample((), c)
    assert x.shape == (7, 5)
    torch.testing.assert_close(flow.decode(flow.encode(x, c), c), x, rtol=1e-3, atol=1e-4)
    assert flow.accuracy is Accuracy.EXACT and flow.log_prob(x, c).shape == (7,)


@pytest.mark.parametrize("name", ["cdf-1d", "cdf-2d"])
@pytest.mark.parametrize("context", [0, 2])
def test_cdf_flows_have_a_uniform_base(name: str, context: int) -> None:
    flow = testing.randomise(pf.build(name, context=context, hidden=16))
    c = torch.randn(9, context) if context else None
    x = torch.randn(9, *flow.event_shape)
    z = flow.encode(x, c)
    assert ((z > 0) & (z < 1)).all()
    torch.testing.assert_close(flow.decode(z, c), x, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name, dims, points", [("cdf-1d", 1, 4000), ("cdf-2d", 2, 200)])
def test_cdf_flow_is_a_density(name: str, dims: int, points: int) -> None:
    for layers in (1, 2):
        flow = testing.randomise(pf.build(name, layers=layers, hidden=16)).double()
        testing.check_normalised(flow.log_prob, -20.0, 20.0, dims, points)


def test_cdf_1d_is_the_mixture_of_gaussians_that_it_parametrises() -> None:
    flow = testing.randomise(pf.build("cdf-1d", components=3)).double()
    _, layer = flow.transform
    log_weights, means, log_scales = layer.scalar._mixture.constrain(layer.parameters_per_element[0])
    mixture = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(logits=log_weights), torch.distributions.Normal(means, log_scales.exp())
    )
    x = torch.linspace(-5, 5, 21).double()
    torch.testing.assert_close(flow.log_prob(x[:, None]), mixture.log_prob(x))
    with pytest.raises(pf.errors.UsageError, match="features=1"):
        pf.build("cdf-1d", features=2)


def jacobian(function, x: torch.Tensor) -> torch.Tensor:  # type: ignore[no-untyped-def]
    return torch.autograd.functional.jacobian(lambda value: function(value)[0], x)


@pytest.mark.parametrize("make", [transforms.Planar, transforms.Radial, transforms.Sylvester])
def test_gradient_through_the_inverse_is_the_inverse_jacobian(make) -> None:  # type: ignore[no-untyped-def]
    layer = testing.randomise(make(4)).double()
    x = torch.randn(4).double()
    z = layer(x)[0].detach()
    product = jacobian(layer.inverse, z) @ jacobian(layer, x)
    torch.testing.assert_close(product, torch.eye(4).double(), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("make", [transforms.Planar, transforms.Radial, transforms.Sylvester])
def test_gradient_through_the_inverse_reaches_the_parameters(make) -> None:  # type: ignore[no-untyped-def]
    layer = testing.randomise(make(3)).double()
    z = torch.randn(6, 3).double()
    weights = torch.randn(6, 3).double()
    offset = layer.parameters_of.offset

    def loss() -> torch.Tensor:
        x, log_det = layer.inverse(z)
        return (x * weights).sum() + log_det.sum()

    (gradient,) = torch.autograd.grad(loss(), offset)
    for index in range(0, len(offset), 3):
        with torch.no_grad():
            offset[index] += 1e-5
            above = loss()
            offset[index] -= 2e-5
            below = loss()
            offset[index] += 1e-5
        torch.testing.assert_close(gradient[index], (above - below) / 2e-5, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [transforms.Planar, transforms.Radial, transforms.Sylvester])
@pytest.mark.parametrize("factor", [1.0, 10.0, 50.0])
def test_invertible_however_large_the_parameters(make, factor: float) -> None:  # type: ignore[no-untyped-def]
    for _ in range(10):
        layer = make(4).double()
        with torch.no_grad():
            layer.parameters_of.offset.normal_().mul_(factor)
        x = 3 * torch.randn(50, 4).double()
        z, log_det = layer(x)
        back, inverse_log_det = layer.inverse(z)
        scale = 1 + factor**2
        assert (back - x).abs().max() < 1e-9 * scale
        assert (inverse_log_det + log_det).abs().max() < 1e-7 * scale
        assert torch.isfinite(log_det).all()


def test_planar_constraint_holds_where_it_must_act() -> None:
    layer = transforms.Planar(2)
    with torch.no_grad():
        layer.parameters_of.offset.copy_(torch.tensor([-30.0, 5.0, 2.0, 1.0, 0.1]))
    u, w, _, strength = layer._constrained(None)
    assert strength > -1
    torch.testing.assert_close((u * w).sum(), strength, rtol=1e-5, atol=1e-5)
    # What is orthogonal to w stays as it was.
    torch.testing.assert_close(u[0] * w[1] - u[1] * w[0], torch.tensor(-30.0 * 1.0 - 5.0 * 2.0))


def test_radial_moves_along_rays_from_its_centre() -> None:
    layer = testing.randomise(transforms.Radial(3))
    center, alpha, gamma = layer._constrained(None)
    x = torch.randn(20, 3)
    z = layer(x)[0]
    r, moved = (x - center).norm(dim=-1), (z - center).norm(dim=-1)
    torch.testing.assert_close(moved, r + (gamma - alpha) * r / (alpha + r))
    torch.testing.assert_close((z - center) / moved[:, None], (x - center) / r[:, None])


@pytest.mark.parametrize("make", [transforms.Householder, transforms.MatrixExponential])
def test_orthogonal_maps_are_orthogonal(make) -> None:  # type: ignore[no-untyped-def]
    for factor in (1.0, 200.0):
        layer = make(6).double()
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.mul_(factor)
        matrix = layer(torch.eye(6).double())[0]
        torch.testing.assert_close(matrix @ matrix.t(), torch.eye(6).double(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("make", [transforms.Householder, transforms.lu, transforms.qr, transforms.Sylvester])
def test_linear_maps_in_half_precision_lead_there_and_back(make, kind: torch.dtype) -> None:  # type: ignore[no-untyped-def]
    layer = testing.randomise(make(3), 0.2).to(kind)
    x = torch.randn(40, 3).to(kind)
    z, _ = layer(x)
    assert z.dtype == kind
    assert (layer.inverse(z)[0] - x).abs().median() < 10 * torch.finfo(kind).eps


@pytest.mark.parametrize("make", [transforms.InvertibleConvolution, transforms.InvertibleConvolutionLU])
def test_convolutions_in_half_precision_lead_there_and_back(make) -> None:  # type: ignore[no-untyped-def]
    layer = make(3).bfloat16()
    x = torch.randn(4, 3, 5, 5).bfloat16()
    z, log_det = layer(x)
    assert z.dtype == log_det.dtype == torch.bfloat16
    assert (layer.inverse(z)[0] - x).abs().median() < 10 * torch.finfo(torch.bfloat16).eps


def test_lu_is_the_product_of_its_triangles() -> None:
    layer = testing.randomise(transforms.lu(5)).double()
    zero = layer(torch.zeros(5).double())[0]
    matrix = (layer(torch.eye(5).double())[0] - zero).t()
    log_det = layer(torch.zeros(5).double())[1]
    torch.testing.assert_close(torch.linalg.slogdet(matrix).logabsdet, log_det)


def correlated(rows: int) -> torch.Tensor:
    x = torch.randn(rows, 2)
    return torch.stack([x[:, 0], 0.4 * x[:, 1] + torch.sin(2 * x[:, 0])], -1)


def minimise(flow: pf.Flow, objective, steps: int) -> None:  # type: ignore[no-untyped-def]
    optimiser = torch.optim.Adam(flow.parameters(), 1e-2)
    for _ in range(steps):
        loss = objective(flow, correlated(256), None)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


@pytest.mark.parametrize("objective", [training.match_activations, training.match_density])
def test_distillation_gives_an_inverse_autoregressive_flow_of_the_teachers_density(objective) -> None:  # type: ignore[no-untyped-def]
    teacher = pf.build("maf", layers=2, hidden=32)
    minimise(teacher, training.negative_log_likelihood, 150)
    student = pf.build("iaf", layers=2, hidden=32)

    def gap() -> float:
        with torch.no_grad():
            x = student.sample(2000)
            return (student.log_prob(x) - teacher.log_prob(x)).mean().item()

    before = gap()
    weights = [parameter.clone() for parameter in teacher.parameters()]
    minimise(student, objective(teacher), 250)
    assert before > 0.2 and gap() < 0.25 * before
    assert all(torch.equal(old, new) for old, new in zip(weights, teacher.parameters()))


def test_distillation_of_unlike_flows_is_an_error() -> None:
    with pytest.raises(pf.errors.UsageError, match="same number of layers"):
        training.match_activations(pf.build("maf", layers=2))(pf.build("iaf", layers=3), torch.zeros(4, 2), None)
