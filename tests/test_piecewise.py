"""Piecewise invertible maps against their textbook form, and mixtures against Bayes' rule."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward import distributions, transforms
from pushforward.distributions import Assigned, DiagonalNormal, Mixture, StandardLogistic
from pushforward.distributions.mixtures.clusters import clusters
from pushforward.networks import MLP
from pushforward.testing import randomise
from pushforward.transforms import Chain, Inverse, Piecewise, Standardise, regions
from pushforward.transforms.surjections.zigzag import Zigzag

SMALL = partial(MLP, hidden=(8,))


def parted(*pieces: int, features: int = 2) -> Chain:
    """Each of the first dimensions parted, at random parameters, in double precision."""
    parts = [Piecewise(features, count, index, SMALL) for index, count in enumerate(pieces)]
    return randomise(Chain(parts), 1.0, torch.Generator().manual_seed(0)).double()


def points(count: int, features: int = 2) -> Tensor:
    return 2 * torch.randn(count, features, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("pieces", [2, 5])
def test_a_zigzag_is_linear_between_its_edges(pieces: int) -> None:
    """In the coordinate y = sigmoid(x), as its definition says."""
    x = points(500, 1)[:, 0]
    piece = (x.sigmoid() * pieces).floor().long()
    height = x.sigmoid() * pieces - piece
    expected = torch.where(piece % 2 == 1, 1 - height, height).logit()
    zigzag = Zigzag(pieces)
    inputs = x.clone().requires_grad_()
    z, found = zigzag.fold(inputs)
    assert torch.equal(found, piece)
    torch.testing.assert_close(z, expected)
    slope = torch.autograd.grad(z.sum(), inputs)[0]
    torch.testing.assert_close(zigzag.log_slope(x, piece), slope.abs().log())
    origins = zigzag.unfold(z.detach())
    for index in range(pieces):
        again, at = zigzag.fold(origins[:, index])
        assert bool((at == index).all())
        torch.testing.assert_close(again, z.detach())


def test_a_zigzag_can_be_mapped_over_events() -> None:
    part = parted(3)[0]
    x = points(4)
    jacobian = torch.func.vmap(torch.func.jacrev(part.encode))(x)
    torch.testing.assert_close(jacobian[:, 0, 0].abs().log(), part.zigzag.log_slope(x[:, 0], part.region(x)))  # type: ignore[union-attr,operator]


def test_what_lies_far_out_keeps_its_digits() -> None:
    """Where sigmoid(x) is 1 in single precision."""
    zigzag = Zigzag(3)
    x = torch.tensor([-1e6, -100.0, -30.0, 30.0, 100.0, 1e6])
    z, piece = zigzag.fold(x)
    assert piece.tolist() == [0, 0, 0, 2, 2, 2]
    torch.testing.assert_close(zigzag.unfold(z).gather(-1, piece[:, None])[:, 0], x, rtol=1e-6, atol=0)
    torch.testing.assert_close(zigzag.log_slope(x, piece), torch.zeros(6))


@pytest.mark.parametrize("dtype, step, tolerance", [(torch.float64, 1e-10, 1e-6), (torch.float32, 3e-7, 1e-3)])
def test_the_density_has_no_jump_at_an_edge(dtype: torch.dtype, step: float, tolerance: float) -> None:
    """Of several piecewise parts and couplings behind them, at random parameters."""
    coupling = transforms.Coupling(transforms.masks.halves(2), pf.scalar.Affine(), SMALL)
    chain = randomise(Chain([*parted(4, 3), coupling]), 0.5, torch.Generator().manual_seed(2)).to(dtype)
    flow = pf.Flow(chain, StandardLogistic((2,))).to(dtype)
    other = torch.linspace(-2, 2, 9, dtype=dtype)
    for part, dimension in ((chain[0], 0), (chain[1], 1)):
        assert isinstance(part, Piecewise)
        for edge in part.zigzag.edges(other):
            sides = []
            for sign in (-1, 1):
                x = torch.stack([other, other], -1)
                x[:, dimension] = edge + sign * step
                sides.append(x)
            assert not torch.equal(*(regions(chain, x) for x in sides))
            first, second = (flow.log_prob(x).detach() for x in sides)
            torch.testing.assert_close(first, second, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-9), (torch.float32, 1e-3)])
@pytest.mark.parametrize("scale", [0.3, 3.0])
def test_the_density_has_a_limit_where_regions_meet(scale: float, dtype: torch.dtype, tolerance: float) -> None:
    """Of the whole model, between neighbouring numbers, which lie at different distances from the border: found by
    halving segments from one region to another, at any parameters."""
    generator = torch.Generator().manual_seed(0)
    flow = randomise(pf.models.rad(features=2, layers=3, hidden=16, pieces=3), scale, generator).to(dtype)
    start, end = (2 * torch.randn(300, 2, generator=generator).to(dtype) for _ in range(2))
    home = regions(flow.transform, start)
    crosses = home != regions(flow.transform, end)
    start, end, home = start[crosses], end[crosses], home[crosses]
    for _ in range(60):
        middle = 0.5 * (start + end)
        same = (regions(flow.transform, middle) == home)[:, None]
        start, end = torch.where(same, middle, start), torch.where(same, end, middle)
    assert len(start) > 100 and (start - end).abs().max() < 1e-5
    with torch.no_grad():
        torch.testing.assert_close(flow.log_prob(start), flow.log_prob(end), rtol=0, atol=tolerance)


def test_regions_of_a_conditional_flow_are_counted_at_any_contexts() -> None:
    flow = pf.models.rad(features=2, layers=1, hidden=8, context=3)
    x, context = torch.randn(5, 2), torch.randn(3)
    plain = pf.models.rad(features=2, layers=1, hidden=8)
    assert torch.equal(regions(flow.transform, x, context), regions(plain.transform, x))
    assert regions(flow.transform, x[0], torch.randn(7, 3)).shape == (7,)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_events_on_an_edge_are_finite(dtype: torch.dtype) -> None:
    flow = pf.Flow(parted(4, 2), StandardLogistic((2,))).to(dtype)
    edges = Zigzag(4).edges(torch.zeros((), dtype=dtype))
    x = torch.stack([edges, torch.zeros_like(edges)], -1).requires_grad_()
    value = flow.log_prob(x)
    value.sum().backward()
    assert bool(value.isfinite().all()) and x.grad is not None and bool(x.grad.isfinite().all())
    assert all(bool(each.grad.isfinite().all()) for each in flow.parameters() if each.grad is not None)


def test_the_branches_of_the_inverse_sum_to_the_base() -> None:
    """``sum_k p(x_k) |dx_k/dz| = p(z)`` over all origins of a latent: no mass is lost or counted twice."""
    base = StandardLogistic((2,)).double()
    part = parted(5)[0]
    flow, z = pf.Flow(part, base).double(), points(200)
    assert isinstance(part, Piecewise)
    origins = part.origins(z)
    again, log_det = part(origins)
    torch.testing.assert_close(again, z[:, None].expand_as(again))
    region = part.region(origins)
    assert torch.equal(region, torch.arange(5).expand(200, 5))
    log_gate = part.log_gate(z)
    log_slope = log_det - log_gate
    torch.testing.assert_close(torch.logsumexp(flow.log_prob(origins) - log_slope, -1), base.log_prob(z))
    torch.testing.assert_close(log_gate.exp().sum(-1), torch.ones(200).double())


def test_the_branches_of_the_model_sum_to_what_follows_them() -> None:
    """As above, of all 16 origins by the model's own log-density, with derivatives by autograd."""
    torch.manual_seed(0)
    flow = randomise(pf.models.rad(features=2, layers=2, hidden=8, pieces=4), 0.2).double()
    before, folds, after = flow.transform[:3], flow.transform[3:5], flow.transform[5:]
    first, second = folds
    assert isinstance(first, Piecewise) and isinstance(second, Piecewise)
    z = points(30)
    x = before.decode(first.origins(second.origins(z))).detach().requires_grad_()
    latents = Chain([*before, *folds]).encode(x)
    torch.testing.assert_close(latents, z[:, None, None].expand_as(latents))
    rows = [torch.autograd.grad(latents[..., i].sum(), x, retain_graph=True)[0] for i in range(2)]
    log_volume = torch.linalg.slogdet(torch.stack(rows, -2)).logabsdet
    total = torch.logsumexp((flow.log_prob(x) - log_volume).flatten(1), -1)
    torch.testing.assert_close(total, pf.Flow(after, flow.base).log_prob(z))


def test_regions_are_drawn_as_often_as_the_gate_says() -> None:
    part = parted(3)[0]
    assert isinstance(part, Piecewise)
    z = points(1).expand(20_000, 2)
    drawn = part.decode(z, generator=torch.Generator().manual_seed(0))
    found = torch.bincount(part.region(drawn), minlength=3) / len(z)
    torch.testing.assert_close(found.double(), part.log_gate(z[0]).exp(), rtol=0, atol=0.015)


def test_a_new_part_knows_no_region_better_than_another() -> None:
    part = Piecewise(1, 2)
    torch.testing.assert_close(part.log_gate(torch.tensor([3.0])).exp(), torch.tensor([0.5, 0.5]))
    x = torch.tensor([[0.7], [-0.7]])
    z, log_det = part(x)
    torch.testing.assert_close(z[0], z[1])
    torch.testing.assert_close(log_det[0], log_det[1])


def test_turned_round_it_is_a_bound() -> None:
    """Latents that are folded onto the data: which branch an event came from is not known."""
    turned = Inverse(Piecewise(2, 3))
    assert turned.accuracy is pf.accuracy.Accuracy.LOWER_BOUND
    flow, x = pf.Flow(turned, StandardLogistic((2,))), torch.randn(5000, 2)
    with torch.no_grad():
        mean = flow.log_prob(x.new_zeros(5000, 2), generator=torch.Generator().manual_seed(0)).exp().mean()
        # p(x) is the sum over the origins, of which one is drawn: weighted by its probability the mean is exact.
        origins = Zigzag(3).unfold(torch.zeros(()))
        slope = Zigzag(3).log_slope(origins, torch.arange(3))
        base = StandardLogistic((1,)).log_prob(origins[:, None])
        exact = torch.logsumexp(base - slope, 0) + StandardLogistic((1,)).log_prob(torch.zeros(1))
        torch.testing.assert_close(mean.log(), exact, atol=0.03, rtol=0)
    with pytest.raises(pf.errors.UsageError, match="no gradient passes"):
        flow.log_prob(x)


def test_no_gradient_passes_through_a_choice() -> None:
    flow = pf.models.rad(features=2, layers=1, hidden=8)
    assert not flow.reparametrised
    with pytest.raises(pf.errors.UsageError, match="sample"):
        flow.rsample(3)


def test_regions_of_a_chain_are_counted() -> None:
    x = torch.tensor([[-2.0, 0.0], [-0.1, 0.0], [0.1, 0.0], [2.0, 0.0]])
    assert regions(Piecewise(2, 4), x).tolist() == [0, 1, 2, 3]
    with pytest.raises(pf.errors.UsageError, match="Piecewise"):
        regions(Standardise(2), x)


def two_squares(count: int) -> tuple[Tensor, Tensor]:
    """Uniform on two squares of side 2 with a gap of 2, and which one it is."""
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(count, 2, generator=generator) - 1
    side = torch.randint(2, (count,), generator=generator)
    return x + torch.tensor([2.0, 0.0]) * (2 * side[:, None] - 1), side


def trained(base: distributions.Distribution, data: Tensor | tuple[Tensor, Tensor]) -> pf.Flow:
    flow = pf.Flow(Standardise(2), base)
    pf.fit(flow, data, max_steps=150, learning_rate=1e-2, compile=False, progress=False, seed=0)
    return flow


def pair() -> Mixture:
    torch.manual_seed(0)
    return Mixture([pf.models.nsf_coupling(features=2, layers=2, hidden=16, bound=3.0) for _ in range(2)])


def test_a_mixture_of_flows_leaves_the_gap_between_two_squares_empty() -> None:
    x, side = two_squares(4000)
    mixture = pair()
    flow = trained(mixture, x)
    drawn = flow.sample(4000, generator=torch.Generator().manual_seed(0))
    assert (drawn[:, 0].abs() < 0.8).float().mean() < 0.01
    assert abs((drawn[:, 0] > 0).float().mean() - 0.5) < 0.05
    found = mixture.responsibilities(flow.encode(x)).argmax(-1)
    assert (found == side).float().mean() > 0.99 or (found != side).float().mean() > 0.99
    assert -flow.log_prob(x).mean() < math.log(8.0) + 0.35


def test_given_assignments_train_each_component_on_its_own_events() -> None:
    x, side = two_squares(4000)
    side, mixture = torch.where(side == 1, 0, 1), pair()
    shown = x[side == 1].mean(0)
    conditional = trained(Assigned(mixture), (x, side))
    flow = pf.Flow(conditional.transform, mixture)
    torch.testing.assert_close(mixture.log_weights.exp()[1], (side == 1).float().mean(), atol=0.03, rtol=0)
    assert (mixture.responsibilities(flow.encode(x)).argmax(-1) == side).float().mean() > 0.99
    drawn = conditional.sample(1000, torch.tensor(1.0), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn.mean(0), shown, atol=0.15, rtol=0)


def test_a_mixture_is_that_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    members = [randomise(DiagonalNormal((2,)), 1.0, generator) for _ in range(3)]
    mixture = Mixture(members)
    with torch.no_grad():
        mixture.raw_weights.copy_(torch.tensor([0.0, 1.0, -1.0]))
    x = points(50).float()
    joint = torch.stack([each.log_prob(x) for each in members], -1) + mixture.log_weights
    torch.testing.assert_close(mixture.log_prob(x), torch.logsumexp(joint, -1))
    torch.testing.assert_close(mixture.responsibilities(x), (joint - mixture.log_prob(x)[:, None]).exp())
    conditional = Assigned(mixture)
    group = torch.arange(50) % 3
    expected = torch.stack([members[int(k)].log_prob(each) for k, each in zip(group, x, strict=True)])
    torch.testing.assert_close(conditional.log_prob(x, group), expected)


def test_clusters_are_found() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[0.0, 0.0], [1000.0, 0.0], [0.0, 0.5]])
    group = torch.randint(3, (300,), generator=generator)
    x = centres[group] + torch.tensor([10.0, 0.01]) * torch.randn(300, 2, generator=generator)
    found = clusters(x, 3)
    pairs = set(zip(group.tolist(), found.tolist(), strict=True))
    assert len(pairs) == 3 and torch.equal(found, clusters(x, 3))
    assert clusters(torch.ones(5, 2), 3).shape == (5,)


def test_a_mixture_starts_from_the_data_once() -> None:
    members = [pf.Flow([Standardise(1)], distributions.StandardNormal((1,))) for _ in range(2)]
    mixture = Mixture(members)
    x = torch.cat([torch.randn(300, 1) - 100, torch.randn(100, 1) + 100])
    mixture.initialise(x)
    locations = [each.transform[0].location.item() for each in members]
    assert sorted(round(each / 100) for each in locations) == [-1, 1]
    torch.testing.assert_close(mixture.log_weights.exp().sort().values, torch.tensor([0.25, 0.75]), atol=1e-4, rtol=0)
    mixture.initialise(-10 * x)
    assert locations == [each.transform[0].location.item() for each in members]


def test_a_mixture_on_a_sphere_finds_its_parts() -> None:
    """Components that begin alike and have nothing that depends on data get the same gradients, unless begun apart."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.eye(3) * torch.tensor([1.0, -1.0, 1.0])
    group = torch.randint(3, (1500,), generator=generator)
    x = centres[group] + 0.1 * torch.randn(1500, 3, generator=generator)
    x = x / x.norm(dim=-1, keepdim=True)
    mixture = Mixture([distributions.VonMisesFisher(2) for _ in range(3)])
    pf.fit(mixture, x, max_steps=100, learning_rate=0.1, compile=False, progress=False, seed=0)
    nearest = torch.stack([each.direction() for each in mixture.members]) @ centres  # type: ignore[operator]
    assert sorted(nearest.argmax(-1).tolist()) == [0, 1, 2] and nearest.amax(-1).min() > 0.999
    assert (nearest.argmax(-1)[mixture.responsibilities(x).argmax(-1)] == group).float().mean() > 0.99
    assert pf.evaluate(mixture, x).log_prob == pytest.approx(mixture.log_prob(x).mean().item(), abs=1e-5)
    # The density of the truth, but for the curvature of the sphere: log 3 and the entropy of a normal of the plane.
    assert abs(-mixture.log_prob(x).mean() - (math.log(3.0) + 1 + math.log(2 * math.pi * 0.01))) < 0.05


def test_a_group_of_angles_may_lie_on_the_seam() -> None:
    generator = torch.Generator().manual_seed(0)
    group = torch.randint(2, (1000,), generator=generator)
    x = torch.tensor([3.1, 0.0])[group] + 0.3 * torch.randn(1000, generator=generator)
    x = (torch.remainder(x + math.pi, 2 * math.pi) - math.pi)[:, None]
    mixture = Mixture([distributions.LearnedVonMises((1,)) for _ in range(2)])
    mixture.initialise(x)
    found = mixture.responsibilities(x).argmax(-1)
    assert max((found == group).float().mean(), (found != group).float().mean()) > 0.98


@pytest.mark.parametrize("x", [torch.zeros(0, 1), torch.tensor([[math.nan], [0.0]])])
def test_a_mixture_begins_with_numbers(x: Tensor) -> None:
    with pytest.raises(pf.errors.DataError, match="at least one event"):
        Mixture([DiagonalNormal((1,)) for _ in range(2)]).initialise(x)


@pytest.mark.parametrize(
    "make, message",
    [
        (partial(Piecewise, 2, 2, 2), "dimension from 0 to 1"),
        (partial(Piecewise, 2, 1), "pieces"),
        (partial(pf.networks.Clipped, 2, 1, bound=0.0), "positive bound"),
        (partial(Mixture, []), "at least one component"),
        (partial(Mixture, [DiagonalNormal((1,)), DiagonalNormal((2,))]), "over one space"),
        (partial(pf.models.rad, features=1), "at least 2 features"),
        (partial(pf.models.rad, pieces=1), "pieces"),
    ],
)
def test_what_does_not_fit_is_told(make: partial[object], message: str) -> None:
    with pytest.raises(pf.errors.UsageError, match=message):
        make()
