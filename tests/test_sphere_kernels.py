"""Kernel densities on spheres."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import vonmises_fisher
from torch import Tensor

import pushforward as pf
from pushforward.distributions import SphereKernelDensity, VonMisesFisher
from pushforward.errors import DataError, UsageError

fit: Any = pf.fit


def two_scales(count: int, seed: int = 0) -> Tensor:
    """Half of the events within a degree of a place, half within thirty of another."""
    torch.manual_seed(seed)
    narrow, wide = VonMisesFisher(2, 3e3, (1.0, 0.0, 0.0)), VonMisesFisher(2, 4.0, (0.0, 0.0, -1.0))
    return torch.cat([narrow.sample(count // 2), wide.sample(count // 2)]).double()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_it_is_a_mixture_of_von_mises_fisher_distributions(n: int) -> None:
    torch.manual_seed(0)
    events = torch.nn.functional.normalize(torch.randn(6, n + 1, dtype=torch.float64), dim=-1)
    x = torch.nn.functional.normalize(torch.randn(2, 4, n + 1, dtype=torch.float64), dim=-1)
    apart = torch.cdist(events, events).sort(-1).values[:, 2]
    density = 1 / math.exp(pf.distributions.UniformSphere(n).log_prob(torch.eye(n + 1)[0]).neg().item())
    expected = np.full((2, 4), density)
    for widths in (torch.full((6,), 0.5), (0.7 * apart).clamp_min(0.5)):
        kernels = [
            vonmises_fisher(e.numpy(), w.item() ** -2).pdf(x.numpy()) for e, w in zip(events, widths, strict=True)
        ]
        expected += np.mean(kernels, 0)
    log_prob = SphereKernelDensity(events, widths=[0.5], multiples=[0.7], neighbour=2).log_prob(x)
    torch.testing.assert_close(log_prob, torch.from_numpy(np.log(expected / 3)))


def test_shares_of_the_widths_maximise_the_likelihood_of_each_event_by_the_others() -> None:
    events = two_scales(40)
    fitted = SphereKernelDensity(events, widths=[0.02, 0.4], multiples=[])
    fitted.initialise(events)
    # The same, one density without each event after the other.
    scores = []
    for left in range(40):
        rest = SphereKernelDensity(torch.cat([events[:left], events[left + 1 :]]), widths=[0.02, 0.4], multiples=[])
        scores.append(rest._scores(events[left : left + 1], lambda squared: squared)[0])
    log_weights = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_weights], max_iter=100, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        shares = torch.log_softmax(log_weights, -1)
        total = -torch.logsumexp(shares + torch.stack(scores), -1).sum() - shares.mean()
        total.backward()
        return total

    optimizer.step(loss)
    torch.testing.assert_close(fitted.log_weights.exp(), torch.softmax(log_weights, -1).detach(), atol=1e-3, rtol=0)
    assert fitted.log_weights[0].exp() > 0.3 and fitted.log_weights[1].exp() > 0.3


def test_new_events_are_nearly_as_likely_as_the_truth_makes_them() -> None:
    events, new = two_scales(400), two_scales(400, 1)
    density = SphereKernelDensity(events.float())
    density.initialise(events.float())
    truth = [VonMisesFisher(2, 3e3, (1.0, 0.0, 0.0)), VonMisesFisher(2, 4.0, (0.0, 0.0, -1.0))]
    entropy = torch.logsumexp(torch.stack([each.log_prob(new.float()) for each in truth]), 0).mean() - math.log(2)
    assert entropy - 0.2 < density.log_prob(new.float()).mean() < entropy


def test_events_at_one_place_are_no_denser_than_the_narrowest_width_allows() -> None:
    events = torch.eye(3).repeat(4, 1)
    density = SphereKernelDensity(events, widths=[1e-3, 0.1])
    density.initialise(events)
    log_prob = density.log_prob(torch.eye(3))
    assert (log_prob <= math.log(1e6 / (2 * math.pi) / 3) + 1e-3).all() and (log_prob > math.log(1e5 / 3)).all()


@pytest.mark.parametrize("n", [2, 3])
def test_samples_have_the_density(n: int) -> None:
    torch.manual_seed(0)
    events = torch.nn.functional.normalize(torch.randn(5, n + 1), dim=-1)
    density = SphereKernelDensity(events, widths=[0.3], multiples=[0.5], neighbour=1)
    uniform = pf.distributions.UniformSphere(n).sample(10_000)
    x = density.sample(10_000)
    # E_p[log p] two ways.
    log_prob = density.log_prob(uniform)
    expected = (log_prob * torch.exp(log_prob - pf.distributions.UniformSphere(n).log_prob(uniform))).mean()
    assert abs(density.log_prob(x).mean() - expected) < 0.1


def test_it_is_the_base_of_a_flow_and_is_saved(tmp_path: Path) -> None:
    events = two_scales(200).float()
    flow = pf.Flow([pf.transforms.Rotation(2)], SphereKernelDensity(events))
    pf.fit(flow, events, max_steps=2, progress=False, seed=0)
    assert flow.base.initialised
    pf.save(flow, tmp_path / "kernels")
    again = pf.load(tmp_path / "kernels")
    assert torch.equal(again.log_prob(events), flow.log_prob(events))


def test_fit_learns_the_shares_from_all_the_data(tmp_path: Path) -> None:
    events = two_scales(1200).float()
    fitted, expected = SphereKernelDensity(events[:1100]), SphereKernelDensity(events[:1100])
    result = fit(fitted, events[:1100], events[1100:], progress=False, out=tmp_path)
    expected.initialise(events[:1100])
    assert torch.equal(fitted.log_weights, expected.log_weights)
    assert result.best_validation == pytest.approx(-fitted.log_prob(events[1100:]).mean().item(), abs=1e-5)
    assert torch.equal(pf.load(tmp_path / "model.safetensors").log_prob(events), fitted.log_prob(events))


def test_fit_trains_a_distribution_that_is_no_flow(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = VonMisesFisher(2, 50.0, (0.0, 0.6, 0.8)).sample(500)
    fitted = pf.distributions.Mixture([VonMisesFisher(2, 5.0, (0.0, 0.0, 1.0))])
    fit(fitted, x, max_steps=100, learning_rate=0.1, ema=None, seed=0, progress=False, out=tmp_path)
    (component,) = fitted.members
    assert isinstance(component, VonMisesFisher)
    torch.testing.assert_close(
        component.direction(), torch.nn.functional.normalize(x.mean(0), dim=0), atol=0.02, rtol=0
    )
    # Of mean length R the likelihood is highest where coth k - 1 / k = R.
    length = torch.linalg.vector_norm(x.mean(0))
    concentration = component.concentration()
    torch.testing.assert_close(1 / torch.tanh(concentration) - 1 / concentration, length, atol=2e-3, rtol=0)
    assert torch.equal(pf.load(tmp_path / "model.safetensors").log_prob(x), fitted.log_prob(x))


@pytest.mark.parametrize(
    ("error", "options", "sentence"),
    [
        (UsageError, {"widths": []}, "widths of at least"),
        (UsageError, {"widths": [1e-6]}, "widths of at least"),
        (UsageError, {"multiples": [-1.0]}, "positive multiples"),
        (UsageError, {"neighbour": 4}, "neighbour from 1 to 3"),
        (DataError, {"events": torch.ones(4, 3)}, "length 1"),
        (DataError, {"events": torch.eye(3)[:1]}, "two events or more"),
    ],
)
def test_wrong_arguments_are_told(error: type[Exception], options: dict[str, object], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        SphereKernelDensity(**{"events": torch.eye(4), **options})  # type: ignore[arg-type]


def test_objectives_of_flows_say_that_a_distribution_is_none() -> None:
    with pytest.raises(UsageError, match="FlowMatching trains flows, got a VonMisesFisher"):
        fit(VonMisesFisher(2, 5.0), torch.eye(3), objective="flow-matching", max_steps=1, progress=False)


def learned_alone(events: Tensor) -> SphereKernelDensity:
    density = SphereKernelDensity(events)
    density.initialise(events)
    return density


def test_own_kernels_are_known_where_events_were_rounded_in_other_ways() -> None:
    events = two_scales(300)
    rounded = SphereKernelDensity(events)
    rounded.initialise(events.float())
    torch.testing.assert_close(rounded.log_weights.exp(), learned_alone(events).log_weights.exp(), atol=1e-4, rtol=0)


def test_the_base_of_a_flow_of_degrees_learns_its_shares_from_all_the_data() -> None:
    events = two_scales(1200).float()
    places = pf.data.as_latitude_longitude(events)
    flow = pf.Flow([pf.transforms.GeographicCoordinates()], SphereKernelDensity(pf.data.as_unit_vectors(places)))
    result = fit(flow, places[:1100], places[1100:], progress=False)
    expected = SphereKernelDensity(events)
    expected.initialise(events[:1100])
    torch.testing.assert_close(flow.base.log_weights.exp(), expected.log_weights.exp(), atol=1e-3, rtol=0)
    assert result.best_validation == pytest.approx(-flow.log_prob(places[1100:]).mean().item(), abs=1e-4)


def test_a_state_has_all_of_the_density() -> None:
    narrow, wide = (VonMisesFisher(2, k).sample(100) for k in (100.0, 2.0))
    density, other = SphereKernelDensity(narrow), SphereKernelDensity(wide)
    other.load_state_dict(density.state_dict())
    x = pf.distributions.UniformSphere(2).sample(20)
    assert torch.equal(density.log_prob(x), other.log_prob(x))
