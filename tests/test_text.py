"""Text, sums and Potts models: discrete sequences, and discrete flows of them."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

import pushforward as pf
from pushforward.data import Potts, addition, decode_text, encode_text, load_wonderland, text_windows
from pushforward.errors import DataError, ShapeError, UsageError
from pushforward.testing import randomise


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_text_comes_back_as_it_was_simplified() -> None:
    assert decode_text(encode_text('  "Oh dear!\n\nOh, 7 DEARS')) == "oh dear oh dears"
    with pytest.raises(DataError, match="from 0 to 26"):
        decode_text(torch.tensor([27]))


def test_windows_share_no_character_between_parts() -> None:
    data = load_wonderland(length=8)
    train = torch.cat([data.train[:, 0], data.train[-1, 1:]])
    whole = decode_text(train)
    assert whole.startswith("chapter i down the rabbit hole alice was beginning") and data.levels == 27
    assert decode_text(data.validation.flatten()) not in whole and decode_text(data.test.flatten()) not in whole
    assert torch.equal(data.train[1:, :-1], data.train[:-1, 1:])
    text = "".join(chr(97 + i % 26) for i in range(100))
    parts = text_windows("letters", text, length=5)
    assert len(parts.train) == 76 and decode_text(torch.cat([parts.validation, parts.test]).flatten()) == text[80:]
    with pytest.raises(DataError, match="too few"):
        text_windows("short", "alice", length=3)


def test_sums_are_right_digit_by_digit() -> None:
    sums, summands = addition(200, digits=3, base=7)
    place = 7.0 ** torch.arange(4)
    first, second = summands.view(-1, 3, 2).unbind(-1)
    torch.testing.assert_close((sums * place).sum(-1), ((first + second) * place[:3]).sum(-1))
    assert sums.max() == 6 and summands.max() == 6
    with pytest.raises(UsageError, match="base"):
        addition(1, digits=1, base=1)


@pytest.mark.parametrize("side, states", [(1, 3), (2, 3), (3, 2)])
def test_the_masses_of_a_potts_model_sum_to_one(side: int, states: int) -> None:
    model = Potts(side, states, coupling=0.7)
    every = torch.tensor(list(itertools.product(range(states), repeat=side**2))).float()
    torch.testing.assert_close(model.log_prob(every).exp().sum(), torch.tensor(1.0))


def test_draws_of_a_potts_model_have_its_masses() -> None:
    model = Potts(2, 2, coupling=0.8)
    every = torch.tensor(list(itertools.product(range(2), repeat=4))).float()
    draws = model.sample(8000, sweeps=20)
    mass = model.log_prob(every).exp()
    found = (draws[:, None] == every).all(-1).float().mean(0)
    assert ((found - mass).abs() < 5 * (mass / len(draws)).sqrt()).all()


def test_potts_says_what_does_not_fit() -> None:
    with pytest.raises(ShapeError, match="9"):
        Potts(3).agreements(torch.zeros(2, 4))
    with pytest.raises(UsageError, match="two states"):
        Potts(3, 1)
    with pytest.raises(UsageError, match="4096"):
        Potts(10).log_partition()
    with pytest.raises(UsageError, match="finite"):
        Potts(3, coupling=math.nan)
    for draw in (lambda: Potts(2).sample(-1), lambda: addition(-1, 2)):
        with pytest.raises(UsageError, match="negative"):
            draw()


def test_what_is_no_state_has_no_mass_in_a_potts_model() -> None:
    x = torch.tensor(
        [[0.0, 1.0, 2.0, 0.0], [7.0, 7.0, 7.0, 7.0], [0.0, 0.5, 1.0, 1.0], [math.nan] * 4, [-1.0, 0, 0, 0]]
    )
    log_mass = Potts(2, 3).log_prob(x)
    assert log_mass[0] > -10 and bool((log_mass[1:] == -torch.inf).all())


def test_a_flow_learns_to_add_where_its_base_cannot() -> None:
    """A sum without a carry: what the base sees as even, the flow makes one value."""
    sums, summands = addition(400, digits=1, base=3)
    context = torch.nn.functional.one_hot(summands.long(), 3).flatten(1).float()
    flow = pf.models.discrete_flow(features=2, classes=3, context=6, layers=2, hidden=32)
    base = pf.models.discrete_flow(features=2, classes=3, layers=0)
    options = {"max_steps": 200, "learning_rate": 1e-2, "ema": None, "progress": False, "seed": 0}
    pf.fit(flow, (sums, context), **options)
    pf.fit(base, sums, **options)
    with torch.no_grad():
        gained = flow.log_prob(sums, context).mean() - base.log_prob(sums).mean()
    assert gained > 0.3 * math.log(3)


def test_a_flow_in_two_parts_learns_what_is_usual_where_it_is() -> None:
    """That what is usual on average is not so everywhere; a choice that is sure of the average never learns it."""
    usual = torch.tensor([0, 0, 0, 2, 3])
    mass = torch.full((5, 5), 0.02 / 5)
    mass[torch.arange(5), usual] = 0.92 / 5
    pairs = torch.cartesian_prod(torch.arange(5), torch.arange(5))
    flow = pf.models.discrete_flow(features=2, classes=5, layers=1, hidden=64)
    optimiser = torch.optim.Adam(flow.parameters(), lr=1e-2)
    for _ in range(150):
        loss = -mass.flatten() @ flow.log_prob(pairs)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    entropy = -(mass * mass.log()).sum()
    apart = math.log(5) - torch.special.xlogy(mass.sum(0), mass.sum(0)).sum()
    assert loss < entropy + 0.2 < apart - 0.5


def test_a_network_that_chooses_passes_no_gradient_to_what_it_sees() -> None:
    plain, detached = (network(3, 4, context=2, hidden=5) for network in (pf.networks.MLP, pf.networks.DetachedMLP))
    randomise(plain)
    detached.load_state_dict(plain.state_dict())
    x, context = torch.randn(6, 3, requires_grad=True), torch.randn(6, 2, requires_grad=True)
    outputs = detached(x, context)
    assert torch.equal(outputs, plain(x, context))
    outputs.square().sum().backward()
    assert x.grad is None and bool((context.grad != 0).any()) and bool((detached.layers[0].weight.grad != 0).any())
