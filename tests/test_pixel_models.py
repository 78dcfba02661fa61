"""Pixel models: what each pixel sees, masses that sum to one, and samples pixel by pixel as by their definition."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import jacrev
from torch.nn import functional as F

import pushforward as pf
from pushforward.cli import main as cli
from pushforward.distributions import (
    BernoulliMass,
    CategoricalMass,
    CoupledLogisticMixture,
    DiscretizedLogisticMixture,
    GaussianMixtureConditional,
    PixelDistribution,
)
from pushforward.errors import ShapeError, UsageError
from pushforward.networks import (
    DiagonalBiLSTM,
    GatedConvNet,
    GatedPixelCNN,
    PixelCNN,
    PixelCNNPlusPlus,
    PixelNetwork,
    RowLSTM,
)
from pushforward.networks.recurrent.cell import lstm_cell
from pushforward.networks.recurrent.diagonal import DiagonalStates
from pushforward.networks.recurrent.row import RowLayer
from pushforward.networks.recurrent.skew import skew, unskew
from pushforward.testing import randomise

Factory = Callable[..., PixelNetwork]
ELEMENTWISE: dict[str, Factory] = {
    "pixelcnn": partial(PixelCNN, hidden=18, layers=3, first_kernel=3),
    "gated": partial(GatedPixelCNN, hidden=18, layers=5, first_kernel=3),
    "row": partial(RowLSTM, hidden=18, layers=2, first_kernel=3),
    "diagonal": partial(DiagonalBiLSTM, hidden=18, layers=1, first_kernel=3),
}
PLUS: Factory = partial(PixelCNNPlusPlus, hidden=18, layers=2, scales=3, first_kernel=3)
NETWORKS = {**ELEMENTWISE, "plus": PLUS}
# Whose layers here reach every pixel before.
FAR_SIGHTED = ["gated", "plus"]
CONTEXTS: list[Any] = [0, 2, (2, 5, 4)]
BATCHES = [(), (0,), (3,), (2, 3)]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network_of(name: str, channels: int = 1, context: Any = 0, outputs: int = 2) -> PixelNetwork:
    """A network at random parameters, in float64, with so many outputs for a variable."""
    torch.manual_seed(0)
    whole = name == "plus"
    count = outputs * (1 if whole else channels)
    made = NETWORKS[name](channels, count, context, center=1.0, unit=2.0, numbers=channels if whole else 1)
    return randomise(made, 0.4, seeded(1)).double().eval()


def context_of(context: Any, *batch: int) -> Tensor | None:
    if context == 0:
        return None
    shape = (context,) if isinstance(context, int) else context
    return torch.randn(*batch, *shape, generator=seeded(3), dtype=torch.float64)


def in_order(values: Tensor, variables: int, height: int, width: int) -> Tensor:
    """Channels of planes, ``(V F, H, W, ...)``, as variables in raster order, ``(H W V, F, ...)``."""
    planes = values.unflatten(0, (variables, -1)).movedim((2, 3), (0, 1))
    return planes.flatten(0, 2)


# What a network sees


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_see_the_variables_before_alone(name: str, channels: int) -> None:
    network = network_of(name, channels)
    height, width = 5, 4
    # At several inputs, as rectifiers may shut what an output sees.
    inputs = torch.randn(4, channels, height, width, generator=seeded(), dtype=torch.float64)
    jacobian = torch.stack([jacrev(network)(x) for x in inputs]).abs().sum(0)
    by_output = in_order(jacobian, network.variables, height, width).sum(1)
    by_input = in_order(by_output.movedim((1, 2, 3), (0, 1, 2)), network.variables, height, width).sum(1)
    sees = by_input.t() > 0
    count = height * width * network.variables
    before = torch.ones(count, count, dtype=torch.bool).tril(-1)
    assert not bool((sees & ~before).any())
    if name in FAR_SIGHTED:
        assert bool((sees == before).all()), "a pixel before is not seen"


def test_a_pixelcnn_has_a_blind_spot_and_the_gated_one_has_not() -> None:
    x = torch.randn(1, 6, 9, generator=seeded(), dtype=torch.float64, requires_grad=True)

    def seen(name: str) -> Tensor:
        (gradient,) = torch.autograd.grad(network_of(name)(x)[:, 4, 2].sum(), x)
        return gradient[0] != 0

    # Three layers of 3 x 3, one behind the other: three columns to the right for each three rows.
    assert not seen("pixelcnn")[3, 6] and not seen("pixelcnn")[0, 8]
    assert bool(seen("gated")[3, :7].all()) and bool(seen("gated")[0, :7].all())


@pytest.mark.parametrize("context", [2, (2, 5, 4), (1, 10, 8)])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_output_sees_the_context_and_where_it_is(name: str, context: Any) -> None:
    network = network_of(name, 1, context)
    x, given = torch.zeros(1, 5, 4, dtype=torch.float64), context_of(context)
    assert given is not None
    outputs = network(x, given)
    assert not torch.allclose(outputs[:, 0, 0], outputs[:, 0, 1])
    assert bool(((network(x, given + 1) - outputs).abs() > 1e-8).all())
    with pytest.raises(ShapeError, match="context"):
        network(x)


def test_a_spatial_context_is_seen_at_its_place_and_below() -> None:
    network = network_of("gated", 1, (2, 5, 4))
    x, given = torch.zeros(1, 5, 4, dtype=torch.float64), context_of((2, 5, 4))
    assert given is not None
    moved = given.clone()
    moved[:, 2, 1] += 1
    changed = (network(x, moved) != network(x, given)).any(0)
    assert bool(changed[2, 1]) and bool(changed[3].any()) and not changed[:2].any()


def test_a_diagonal_layer_sees_all_but_the_end_of_the_row_above() -> None:
    """What comes from the right is of the row above, of whose last pixel the first, strict convolution says nothing."""
    network = network_of("diagonal")
    seen = (
        torch.stack(
            [
                jacrev(network)(torch.randn(1, 5, 6, generator=seeded(seed), dtype=torch.float64))[:, 3, 1]
                .abs()
                .sum(0)[0]
                for seed in range(3)
            ]
        ).sum(0)
        > 0
    )
    expected = torch.ones(5, 6, dtype=torch.bool)
    expected[3:] = False
    expected[3, 0], expected[2, 5] = True, False
    assert torch.equal(seen, expected)


# Caches


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_columns_are_what_the_whole_image_gives(name: str, channels: int, context: Any) -> None:
    network = network_of(name, channels, context)
    x = torch.randn(3, channels, 5, 4, generator=seeded(), dtype=torch.float64)
    given = context_of(context, 3)
    variables = in_order(x.movedim(0, -1), network.variables, 5, 4)
    found: list[Tensor] = []

    def choose(variable: slice, outputs: Tensor) -> Tensor:
        found.append(outputs[0])
        return variables[variable.start]

    network.generate(choose, torch.Size([3]), given, plane=torch.Size([5, 4]))
    whole = in_order(network(x, given).movedim(0, -1), network.variables, 5, 4)
    assert torch.allclose(torch.stack(found), whole.transpose(1, 2), rtol=0, atol=1e-12)


@pytest.mark.parametrize("plane", [(1, 1), (1, 5), (4, 1), (7, 6)])
@pytest.mark.parametrize("name", NETWORKS)
def test_columns_of_planes_of_any_size(name: str, plane: tuple[int, int]) -> None:
    network = network_of(name)
    x = torch.randn(2, 1, *plane, generator=seeded(), dtype=torch.float64)
    variables = in_order(x.movedim(0, -1), 1, *plane)
    found: list[Tensor] = []

    def choose(variable: slice, outputs: Tensor) -> Tensor:
        found.append(outputs[0])
        return variables[variable.start]

    network.generate(choose, torch.Size([2]), plane=torch.Size(plane))
    whole = in_order(network(x).movedim(0, -1), 1, *plane)
    assert torch.allclose(torch.stack(found), whole.transpose(1, 2), rtol=0, atol=1e-12)


class Uncached(nn.Module):
    """A causal network that says nothing of how it could be evaluated pixel by pixel."""

    def __init__(self, network: PixelNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.network(x, context)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", ["gated", "plus"])
def test_samples_are_those_of_the_definition(name: str, batch: tuple[int, ...]) -> None:
    conditional: Any = CoupledLogisticMixture(3, 5, 2) if name == "plus" else CategoricalMass(5)
    network = network_of(name, 3, 2, conditional.num_parameters)
    context = context_of(2)
    cached, plain = (PixelDistribution((3, 4, 3), conditional, each, 2) for each in (network, Uncached(network)))
    samples = cached.double().sample(batch, context, temperature=0.7, generator=seeded(5))
    assert samples.shape == (*batch, 3, 4, 3)
    assert torch.equal(samples, plain.double().sample(batch, context, temperature=0.7, generator=seeded(5)))


# Masses


def every_image(shape: tuple[int, int, int], levels: int) -> Tensor:
    count = shape[0] * shape[1] * shape[2]
    return torch.tensor(list(itertools.product(range(levels), repeat=count))).double().view(-1, *shape)


@pytest.mark.parametrize(
    "conditional, levels",
    [(BernoulliMass(), 2), (CategoricalMass(3), 3), (DiscretizedLogisticMixture(2, low=0, high=2), 3)],
)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_the_mass_sums_to_one(name: str, conditional: Any, levels: int) -> None:
    for shape in ((1, 2, 2), (2, 2, 1)):
        network = network_of(name, shape[0], 0, conditional.num_parameters)
        base = PixelDistribution(shape, conditional, network).double()
        assert torch.allclose(base.log_prob(every_image(shape, levels)).exp().sum(), torch.ones(()).double())


def test_the_mass_of_pixelcnn_pp_sums_to_one_and_is_what_is_drawn() -> None:
    shape = (3, 1, 2)
    flow = pf.models.pixelcnn_pp(shape=shape, levels=3, components=2, layers=1, hidden=4)
    flow = randomise(flow, 0.5, seeded(2)).double().eval()
    images = every_image(shape, 3)
    mass = flow.log_prob(images).exp()
    assert torch.allclose(mass.sum(), torch.ones(()).double())
    samples = flow.sample(20_000, generator=seeded(4)).flatten(1)
    codes = (samples * 3.0 ** torch.arange(5, -1, -1)).sum(1).long()
    observed, expected = torch.bincount(codes, minlength=len(images)).double(), 20_000 * mass
    likely = expected > 5
    statistic = ((observed - expected).square() / expected)[likely].sum()
    freedom = int(likely.sum())
    assert statistic < freedom + 5 * (2 * freedom) ** 0.5


def test_a_sample_has_the_mass_that_log_prob_states() -> None:
    base = PixelDistribution((1, 2, 2), BernoulliMass(), network_of("gated", outputs=1)).double()
    images = every_image((1, 2, 2), 2)
    codes = (base.sample(20_000, generator=seeded(7)).flatten(1) * 2.0 ** torch.arange(3, -1, -1)).sum(1).long()
    expected = 20_000 * base.log_prob(images).exp()
    statistic = ((torch.bincount(codes, minlength=16) - expected).square() / expected).sum()
    assert statistic < 15 + 5 * 30**0.5


def test_a_coupled_mixture_is_its_formula() -> None:
    pixel = CoupledLogisticMixture(3, 9, 2)
    parameters = torch.randn(6, pixel.num_parameters, generator=seeded(), dtype=torch.float64)
    x = torch.randint(9, (6, 3), generator=seeded(1)).double()
    log_weight, means, log_scales, coefficients = pixel.constrain(parameters)
    total = torch.zeros(6, dtype=torch.float64)
    for k in range(2):
        product = log_weight[:, k].exp()
        for c in range(3):
            mean = means[:, k, c] + sum(coefficients[:, k, c, b] * (x[:, b] - 4) for b in range(c))
            scale = log_scales[:, k, c].exp()
            upper = torch.where(x[:, c] == 8, 1.0, torch.sigmoid((x[:, c] + 0.5 - mean) / scale))
            lower = torch.where(x[:, c] == 0, 0.0, torch.sigmoid((x[:, c] - 0.5 - mean) / scale))
            product = product * (upper - lower)
        total = total + product
    assert torch.allclose(pixel.log_prob(x, parameters), total.log())
    assert bool((coefficients.triu() == 0).all()) and bool((coefficients.tril(-1).flatten(-2).abs() < 1).all())
    assert pixel.support.shape == (3,) and pixel.log_prob(x.new_tensor([9.0, 0, 0]), parameters[0]) == -torch.inf


# Recurrent layers


def test_skewed_images_come_back() -> None:
    x = torch.randn(2, 3, 4, 5, generator=seeded())
    skewed = skew(x)
    assert skewed.shape == (2, 3, 4, 8) and torch.equal(unskew(skewed), x)
    for i in range(4):
        assert torch.equal(skewed[..., i, i : i + 5], x[..., i, :])
        assert not skewed[..., i, :i].any() and not skewed[..., i, i + 5 :].any()


def test_the_states_of_one_row_are_torchs_lstm() -> None:
    states = DiagonalStates(3).double()
    gates = torch.randn(2, 12, 1, 6, generator=seeded(), dtype=torch.float64)
    # torch's order is i, f, g, o.
    cell = nn.LSTMCell(12, 3, bias=False).double()
    turned = torch.eye(12, dtype=torch.float64).view(4, 3, 12)[[2, 1, 3, 0]].flatten(0, 1)
    with torch.no_grad():
        cell.weight_ih.copy_(turned)
        cell.weight_hh.copy_(states.beside.weight.view(4, 3, 3)[[2, 1, 3, 0]].flatten(0, 1))
    state = (torch.zeros(2, 3, dtype=torch.float64), torch.zeros(2, 3, dtype=torch.float64))
    for j, found in enumerate(states(gates)[:, :, 0].unbind(-1)):
        state = cell(gates[:, :, 0, j], state)
        assert torch.allclose(found, state[0])


def test_diagonal_states_are_those_of_a_loop_over_pixels() -> None:
    layer = DiagonalStates(3).double()
    gates = torch.randn(2, 12, 4, 5, generator=seeded(), dtype=torch.float64)
    zero = torch.zeros(2, 3, dtype=torch.float64)
    states: dict[tuple[int, int], Tensor] = {}
    memories: dict[tuple[int, int], Tensor] = {}
    found = layer(gates)
    for i in range(4):
        for j in range(5):
            above, beside = states.get((i - 1, j), zero), states.get((i, j - 1), zero)
            gate = gates[:, :, i, j] + layer.above(above) + layer.beside(beside)
            states[i, j], memories[i, j] = lstm_cell(gate, memories.get((i, j - 1), zero))
            assert torch.allclose(found[:, :, i, j], states[i, j])


def test_a_row_lstm_is_a_loop_over_rows() -> None:
    layer = RowLayer([0] * 4, [0] * 3).double()
    x = torch.randn(2, 4, 4, 5, generator=seeded(), dtype=torch.float64)
    found = layer(x, torch.zeros(1, 12, 1, 1, dtype=torch.float64))
    kernel = F.pad(layer.inputs.masked_weight, (0, 1))
    state = memory = torch.zeros(2, 3, 5, dtype=torch.float64)
    for i in range(4):
        gates = F.conv1d(x[:, :, i], kernel[:, :, 0], layer.inputs.bias, padding=1)
        state, memory = lstm_cell(gates + F.conv1d(state, layer.states.weight, padding=1), memory)
        assert torch.allclose(found[:, :, i], state)


# As bases, as models


def test_a_density_of_pixels_is_a_base_of_flows_on_the_reals() -> None:
    base = PixelDistribution((1, 1, 2), GaussianMixtureConditional(2), network_of("gated", outputs=6))
    flow = pf.Flow([pf.transforms.ActNorm(1, event_dims=3)], base).double()
    flow.initialise(torch.randn(50, 1, 1, 2, generator=seeded(), dtype=torch.float64))
    line = torch.linspace(-12, 12, 161, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line).view(-1, 1, 1, 2)
    assert abs(flow.log_prob(grid).exp().sum() * (line[1] - line[0]) ** 2 - 1) < 1e-3
    assert flow.sample(3).shape == (3, 1, 1, 2)


def test_what_decides_all_pixels_but_the_first_is_learned() -> None:
    """Images whose pixels are all the same, black or white: one bit each."""
    torch.manual_seed(0)
    x = torch.randint(2, (256, 1, 1, 1), generator=seeded()).expand(-1, 1, 4, 4).float()
    flow = pf.models.gated_pixelcnn(shape=(1, 4, 4), levels=2, layers=2, hidden=8, first_kernel=3)
    pf.fit(flow, x, max_steps=100, learning_rate=1e-2, ema=None, seed=0, progress=False, compile=False)
    bits = 16 * flow.bits_per_dim(x).mean().item()
    assert 0.95 < bits < 1.3
    drawn = flow.sample(200, generator=seeded(1)).mean((1, 2, 3))
    assert ((drawn == 0) | (drawn == 1)).float().mean() > 0.9


@pytest.mark.parametrize("layer, kind", [("diagonal", DiagonalBiLSTM), ("row", RowLSTM)])
def test_a_pixelrnn_has_the_layers_that_are_asked_for(layer: str, kind: type) -> None:
    flow = pf.models.pixelrnn(shape=(1, 4, 4), levels=2, layer=layer, layers=1, hidden=2)
    assert isinstance(flow.base.network, kind)  # type: ignore[union-attr]


def test_likelihoods_by_name() -> None:
    kinds = {"bernoulli": BernoulliMass, "categorical": CategoricalMass, "logistic": DiscretizedLogisticMixture}
    for name, kind in kinds.items():
        flow = pf.models.pixelcnn(shape=(1, 4, 4), levels=2, likelihood=name, layers=1, hidden=4)
        assert type(flow.base.conditional) is kind  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: PixelDistribution((4, 4), BernoulliMass()), r"expects shape=\(channels, height, width\)"),
        (lambda: PixelDistribution((1, 4, 4), CoupledLogisticMixture(3)), "of the 1 channels of a pixel"),
        (lambda: PixelDistribution((1, 4, 4), BernoulliMass(), GatedConvNet(1, 1)), "expects a causal network"),
        (lambda: PixelCNN(3, 7), "outputs one of the variables of a pixel"),
        (lambda: PixelCNN(3, 6, hidden=2), "a hidden channel at least for each of a pixel's 3 variables"),
        (lambda: GatedPixelCNN(1, 1, first_kernel=1), "odd kernels of at least 3"),
        (lambda: PixelCNN(1, 1, kernel=2), "odd kernel_size"),
        (lambda: GatedPixelCNN(1, 1, kernel=4), "odd kernels of at least 3"),
        (lambda: PixelCNNPlusPlus(3, 6), "pixels of one variable, numbers=3"),
        (lambda: CoupledLogisticMixture(0), "a channel, a component and two levels at least"),
        (lambda: pf.models.pixelrnn(layer="column"), "layer expects one of diagonal, row, got 'column'"),
        (lambda: pf.models.pixelcnn(levels=3, likelihood="bernoulli"), "is for pixels of 2 levels"),
        (lambda: pf.models.pixelcnn(likelihood="normal"), "likelihood expects one of"),
    ],
)
def test_what_does_not_fit_is_said(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_the_command_line_trains_and_draws(tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    small = ["--set", "hidden=4", "--set", "layers=2", "--max-steps", "3", "-q"]
    assert cli.run(["train", "gated-pixelcnn", "-d", "digits", "-o", run, *small]) == 0
    assert cli.run(["evaluate", run, "-q"]) == 0
    for name in ("samples.png", "samples.npz"):
        assert cli.run(["sample", run, "-n", "4", "-o", str(tmp_path / name), "-q"]) == 0
