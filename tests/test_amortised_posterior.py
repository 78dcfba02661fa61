"""What an estimator learned as one distribution, and priors that are known by draws and bounds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, Uniform

import pushforward as pf
from pushforward import diagnostics
from pushforward.errors import DataError, ShapeError, UsageError
from pushforward.inference import NPE, PriorDraws, SetSummary

BOX = Uniform(torch.zeros(2), torch.ones(2))


def fitted(x: Tensor, theta: Tensor, **options: object) -> NPE:
    estimator = NPE(BOX, hidden=16, layers=2, **options).append_simulations(theta, x)
    return estimator.fit(members=2, max_steps=20, seed=0, progress=False)


@pytest.mark.filterwarnings("ignore:the fit has not converged")
@pytest.mark.parametrize("embedding", [None, SetSummary])
def test_one_distribution_is_the_posterior_of_every_observation(
    tmp_path: Path, embedding: type[SetSummary] | None
) -> None:
    torch.manual_seed(0)
    theta = BOX.sample((200,))
    x = theta[:, None] + 0.2 * torch.randn(200, 3, 2)
    x[::4, 2] = torch.nan
    estimator = fitted(x, theta, embedding=embedding)
    posterior = estimator.amortised()
    expected = estimator.posterior(x[:5]).log_prob(theta[:5])
    assert torch.allclose(posterior.log_prob(theta[:5], x[:5]), expected, atol=1e-5)
    assert bool(torch.isinf(posterior.log_prob(torch.tensor([2.0, 0.5]), x[0])))
    pf.save(posterior, tmp_path / "posterior.safetensors")
    again = pf.load(tmp_path / "posterior.safetensors")
    assert again.log_prob(theta[:5], x[:5]).equal(posterior.log_prob(theta[:5], x[:5]))
    draws = again.sample(4000, x[:2])
    assert draws.shape == (4000, 2, 2) and bool(((draws > 0) & (draws < 1)).all())
    moments = estimator.posterior(x[:2]).sample((4000,)).mean(0)
    assert torch.allclose(draws.mean(0), moments, atol=0.04)
    assert diagnostics.expected_coverage(again, theta[:20], x[:20], draws=20).draws == 20


@pytest.mark.filterwarnings("ignore:the fit has not converged")
def test_draws_are_of_all_members_alike() -> None:
    torch.manual_seed(0)
    theta = BOX.sample((200,))
    posterior = fitted(theta + 0.3 * torch.randn(200, 2), theta).amortised()
    x, points = torch.tensor([0.4, 0.6]), torch.rand(20_000, 2)
    # The mean of theta by quadrature of the mean of the members' densities over the unit square.
    weights = torch.stack([flow.log_prob(points, posterior.observations(x)) for flow in posterior.members]).exp()
    expected = (weights.mean(0)[:, None] * points).mean(0)
    assert torch.allclose(posterior.sample(20_000, x).mean(0), expected, atol=0.02)
    first, second = (posterior.sample(5, x, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert first.equal(second)


def test_an_estimator_is_fitted_first() -> None:
    with pytest.raises(UsageError, match="fitted estimator"):
        NPE(BOX).amortised()


def test_bounds_that_are_not_given_are_those_of_the_draws() -> None:
    generator = torch.Generator().manual_seed(0)
    uniform = 2 + 3 * torch.rand(5000, 1, generator=generator)
    normal = torch.randn(5000, 1, generator=generator)
    prior = PriorDraws(torch.cat([uniform, normal, normal.exp(), uniform], 1))
    assert torch.allclose(prior.low[0], torch.tensor(2.0), atol=0.003)
    assert torch.allclose(prior.high[0], torch.tensor(5.0), atol=0.003)
    assert prior.low[1] < normal.min() and prior.high[1] > normal.max() and prior.low[2] >= 0
    given = PriorDraws(uniform, torch.tensor([-torch.inf]), torch.tensor([torch.nan]))
    assert given.low.item() == -torch.inf and given.high.equal(prior.high[:1])
    again = prior.sample((7, 3))
    assert again.shape == (7, 3, 4) and bool((again[..., 0, None] == uniform[:, 0]).any(-1).all())


def test_draws_that_are_no_prior_are_told() -> None:
    draws = Normal(0.0, 1.0).sample((10, 2))
    with pytest.raises(ShapeError, match=r"draws \(n, D\)"):
        PriorDraws(draws[0])
    with pytest.raises(DataError, match="finite"):
        PriorDraws(draws / 0)
    with pytest.raises(DataError, match="parameters that vary, got column 1 of one"):
        PriorDraws(draws * torch.tensor([1.0, 0.0]))
    with pytest.raises(DataError, match="within the bounds, got 10 others"):
        PriorDraws(draws, torch.full((2,), 9.0))
    with pytest.raises(ShapeError, match="low of shape"):
        PriorDraws(draws, torch.zeros(3))
    with pytest.raises(UsageError, match="no log_prob"):
        PriorDraws(draws).log_prob(draws)
