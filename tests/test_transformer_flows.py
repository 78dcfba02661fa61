"""Transformer flows: what the laws alone do not say."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import pushforward as pf
from pushforward.cli.given_labels import scored_parts
from pushforward.cli.runs import Run, plan_run
from pushforward.data import Dataset
from pushforward.data.labels import load_labels
from pushforward.distributions import FromTorch, Mixture
from pushforward.errors import DataError, ShapeError, UsageError
from pushforward.flows import denoised, guided, sample_denoised
from pushforward.kernels.attention import attention, causal_attention
from pushforward.models.registry import recipe_options
from pushforward.networks import CausalTransformer, DroppedContext, Guided
from pushforward.networks.attention.block import CausalBlock
from pushforward.networks.masked.made import by_variable
from pushforward.scalar import Affine, CircularRationalQuadraticSpline, RationalQuadraticSpline, ScalarBijection
from pushforward.spaces import Categories
from pushforward.testing import randomise
from pushforward.transforms import Autoregressive, Chain, Flatten, GaussianDequantization, Patches

SMALL = {"hidden": 8, "layers": 2, "blocks": 1, "heads": 2}


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5))


def moved(part: torch.nn.Module, scale: float = 0.5) -> torch.nn.Module:
    return randomise(part, scale, torch.Generator().manual_seed(1)).eval()


def small_network(inputs: int = 6, context: int = 0, **options: int) -> CausalTransformer:
    network = CausalTransformer(inputs, 2 * inputs, context, hidden=8, blocks=2, heads=2, **options)
    moved(network)
    return network


def small_flow(**options: object) -> pf.Flow:
    flow = pf.models.tarflow(**{"shape": (1, 4, 4), "levels": 17, **SMALL, **options})  # type: ignore[arg-type]
    moved(flow)
    return flow


# The network.


@pytest.mark.parametrize("token", [1, 2, 3])
def test_outputs_depend_on_the_tokens_before_and_on_all_of_them(token: int) -> None:
    network = small_network(token=token)
    slopes = torch.autograd.functional.jacobian(network, normal(6))
    assert isinstance(slopes, Tensor)
    seen = by_variable(slopes.movedim(0, -1), 6).abs().sum(-1).t() > 0
    place = torch.arange(6) // token
    assert torch.equal(seen, place[:, None] > place)


def test_a_context_reaches_the_outputs_of_every_token() -> None:
    network, x, context = small_network(context=3), normal(4, 6), normal(4, 3)
    differs = network(x, context) != network(x, context.roll(1, 0))
    assert by_variable(differs, 6).any(-1).all()


@pytest.mark.parametrize("gradients", [False, True])
def test_tokens_one_after_the_other_are_those_of_one_pass(gradients: bool) -> None:
    network, x, context = small_network(context=3, token=2), normal(2, 4, 6), normal(2, 4, 3)
    expected = by_variable(network(x, context), 6).flatten(0, 1)
    found: list[Tensor] = []

    def choose(variables: slice, outputs: Tensor) -> Tensor:
        found.append(outputs.clone())
        return x.flatten(0, 1)[:, variables].t()

    with torch.set_grad_enabled(gradients):
        network.generate(choose, x.shape[:-1], context)
    torch.testing.assert_close(torch.cat(found).transpose(0, 1), expected, rtol=0, atol=1e-5)


def test_each_token_is_computed_once() -> None:
    layer = Autoregressive(24, Affine(), partial(CausalTransformer, token=2, hidden=8, heads=2))
    tokens = 0

    def count(module: torch.nn.Module, inputs: tuple[Tensor, ...], outputs: Tensor) -> None:
        nonlocal tokens
        tokens += inputs[0].shape[1]

    blocks = [part for part in layer.modules() if isinstance(part, CausalBlock)]
    for block in blocks:
        block.tokenwise.register_forward_hook(count)
    with torch.no_grad():
        layer.decode(normal(3, 24))
    assert tokens == 12 * len(blocks)


@pytest.mark.parametrize(
    "options", [{"token": 4}, {"token": 0}, {"heads": 3}, {"hidden": 0}, {"blocks": 0}, {"dropout": 1.0}]
)
def test_sizes_that_do_not_fit_are_told(options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=next(iter(options))):
        CausalTransformer(6, 12, **options)


def test_attention_is_the_textbooks() -> None:
    query, key, value = normal(3, 2, 2, 5, 4)
    products = query @ key.mT / 2
    torch.testing.assert_close(attention(query, key, value), products.softmax(-1) @ value)
    before = products.masked_fill(torch.ones(5, 5).triu(1) > 0, -math.inf)
    torch.testing.assert_close(causal_attention(query, key, value), before.softmax(-1) @ value)


def test_derivatives_of_every_kind_pass_the_attention() -> None:
    network, x = small_network(token=2).double(), normal(3, 6).double()
    backward = torch.func.vmap(torch.func.jacrev(network))(x)
    torch.testing.assert_close(torch.func.vmap(torch.func.jacfwd(network))(x), backward)
    assert torch.autograd.gradcheck(network, x.requires_grad_())

    def square(x: Tensor) -> Tensor:
        outputs: Tensor = network(x)
        return outputs.square().sum()

    first, step = x.detach()[0], 1e-5
    above, below = (torch.func.vmap(torch.func.grad(square))(first + s * torch.eye(6)) for s in (step, -step))
    torch.testing.assert_close(torch.func.hessian(square)(first), (above - below) / (2 * step), rtol=1e-6, atol=1e-6)


# In structures.


@pytest.mark.parametrize("scalar", [Affine(), RationalQuadraticSpline(4)], ids=["affine", "spline"])
def test_the_cached_inverse_is_the_textbook_one(scalar: ScalarBijection) -> None:
    network = partial(CausalTransformer, token=2, hidden=8, heads=2)
    layer = moved(Autoregressive(12, scalar, network, 3, order=torch.randperm(12)))
    assert isinstance(layer, Autoregressive)
    z, context = normal(5, 12), normal(5, 3)
    with torch.no_grad():
        expected, log_det = layer.inverse_in_turn(z, context)
        found, found_log_det = layer.inverse(z, context)
        torch.testing.assert_close(layer.decode(z, context), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(found_log_det, log_det, rtol=0, atol=1e-4)


def test_gradients_pass_the_cached_inverse() -> None:
    layer = moved(Autoregressive(6, Affine(), partial(CausalTransformer, hidden=8, heads=2))).double()
    assert isinstance(layer, Autoregressive)
    z = normal(3, 6).double().requires_grad_()
    ways = [layer.inverse(z)[0], layer.inverse_in_turn(z)[0]]
    weights = [each for each in layer.parameters() if each.requires_grad]
    first, second = (torch.autograd.grad(x.square().sum(), [z, *weights], allow_unused=True) for x in ways)
    for found, expected in zip(first, second, strict=True):
        assert (found is None) == (expected is None)
        if found is not None and expected is not None:
            torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-9)


def test_angles_are_two_numbers_to_a_transformer() -> None:
    scalar = CircularRationalQuadraticSpline(4)
    layer = moved(Autoregressive(4, scalar, partial(CausalTransformer, token=2, hidden=8, heads=2)))
    angles = 3 * torch.tanh(normal(5, 4))
    with torch.no_grad():
        z, log_det = layer(angles)
        x, back = layer.inverse(z)
    torch.testing.assert_close(x, angles, rtol=0, atol=1e-4)
    torch.testing.assert_close(back, -log_det, rtol=0, atol=1e-4)


def test_a_mass_function_of_a_transformer_sums_to_one() -> None:
    network = partial(CausalTransformer, hidden=8, heads=2)
    mass = pf.distributions.AutoregressiveDistribution(3, pf.distributions.CategoricalMass(4), network)
    moved(mass)
    every = torch.cartesian_prod(*[torch.arange(4.0)] * 3)
    with torch.no_grad():
        torch.testing.assert_close(mass.log_prob(every).logsumexp(0), torch.tensor(0.0), rtol=0, atol=1e-5)


# The flow.


@pytest.mark.parametrize("event", [{"features": 5, "shape": None, "levels": None}, {"shape": (6, 2), "levels": None}])
def test_vectors_and_series_come_back(event: dict[str, object]) -> None:
    flow = small_flow(**event)
    x = normal(4, *flow.event_shape)
    with torch.no_grad():
        torch.testing.assert_close(flow.decode(flow.encode(x)), x, rtol=0, atol=1e-4)


def test_a_series_is_autoregressive_in_time() -> None:
    flow = small_flow(shape=(5, 2), levels=None, layers=1)
    slopes = torch.autograd.functional.jacobian(lambda x: flow.encode(x), normal(5, 2))
    seen = slopes.abs().unflatten(0, (5, 2)).sum((1, 3)) > 0
    assert torch.equal(seen, torch.ones(5, 5).tril().bool())


def test_in_constant_memory_gradients_are_the_same() -> None:
    parts = [Autoregressive(6, Affine(), small_network(), order=order) for order in (range(6), range(5, -1, -1))]
    x = normal(4, 6)
    gradients = []
    for recompute in (False, True):
        z, log_det = Chain(parts, recompute=recompute)(x)
        loss = z.square().sum() - log_det.sum()
        gradients.append(torch.autograd.grad(loss, list(parts[0].network.parameters())))
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed)


def test_half_precision_is_for_the_attention_alone() -> None:
    layer = Autoregressive(12, Affine(), partial(CausalTransformer, token=2, hidden=16), order=range(11, -1, -1))
    moved(layer)
    x = normal(64, 12)
    with torch.no_grad():
        z, log_det = layer(x)
        with torch.autocast("cpu", torch.bfloat16):
            half, half_log_det = layer(x)
            back = layer.decode(half)
    assert half.dtype == half_log_det.dtype == torch.float32
    assert (half_log_det - log_det).abs().mean() < 0.01 * 12
    assert (half - z).abs().mean() < 0.02
    assert (back - x).abs().mean() < 0.02


def test_an_option_that_does_not_fit_is_told() -> None:
    with pytest.raises(ShapeError, match="multiples of 3"):
        small_flow(patch=3)
    with pytest.raises(UsageError, match="levels"):
        small_flow(shape=(6, 2))
    with pytest.raises(UsageError, match="vector"):
        small_flow(features=3, shape=None, levels=None, context=(1, 4, 4))
    with pytest.raises(UsageError, match="there are none"):
        small_flow(unconditional=0.1)
    with pytest.raises(UsageError, match="images of integers"):
        small_flow(shape=(6, 2), levels=None, noise=0.1)
    with pytest.raises(UsageError, match="vector or an image"):
        small_flow(context=(7, 5))


# Patches.


def test_patches_are_those_of_unfold() -> None:
    x = normal(2, 3, 4, 6)
    expected = F.unfold(x, 2, stride=2).transpose(1, 2).flatten(1)
    assert torch.equal(Patches((3, 4, 6), 2)(x)[0], expected)


def test_flatten_keeps_moments_together() -> None:
    x = normal(2, 4, 3)
    assert torch.equal(Flatten((4, 3))(x)[0][:, :3], x[:, 0])


# Guidance.


def test_guidance_of_weight_zero_is_the_flow_and_of_minus_one_forgets_the_context() -> None:
    flow = small_flow(context=3, unconditional=0.1).double()
    assert isinstance(flow.embedding, DroppedContext)
    x, context = torch.randint(17, (4, 1, 4, 4)), normal(4, 3).double()
    z = flow.transform.parts[0].encode(x)  # type: ignore[operator, index]
    behind = [Chain(list(each.transform)[1:]) for each in (flow, guided(flow, 0.0), guided(flow, -1.0))]
    none = flow.embedding.none.expand(4, 3)
    with torch.no_grad():
        plain, same, without = (part(z, context)[0] for part in behind)
        torch.testing.assert_close(same, plain)
        torch.testing.assert_close(without, behind[0](z, none)[0])
        torch.testing.assert_close(behind[2](z, context.roll(1, 0))[0], without)


def test_a_guided_network_pushes_what_it_says_past_the_context() -> None:
    network, none, x, context = small_network(context=3), normal(3), normal(4, 6), normal(4, 3)
    given, without = network(x, context), network(x, none.expand(4, 3))
    torch.testing.assert_close(Guided(network, none, 1.5)(x, context), 2.5 * given - 1.5 * without)


def test_a_guided_flow_is_saved(tmp_path: Path) -> None:
    flow = guided(small_flow(context=Categories(3), unconditional=0.1), 1.0)
    labels = torch.arange(3)
    pf.save(flow, tmp_path / "guided.safetensors")
    loaded = pf.load(tmp_path / "guided.safetensors")
    samples = [each.sample(2, labels, generator=torch.Generator().manual_seed(0)) for each in (flow, loaded)]
    assert torch.equal(*samples)


def test_guidance_wants_contexts_that_were_left_out() -> None:
    with pytest.raises(UsageError, match="DroppedContext"):
        guided(small_flow(context=3), 1.0)
    with pytest.raises(UsageError, match="takes a context"):
        Guided(small_network(), torch.zeros(3), 1.0)
    with pytest.raises(UsageError, match="finite number, got nan"):
        guided(small_flow(context=3, unconditional=0.1), math.nan)
    with pytest.raises(UsageError, match=r"shape \(3,\)"):
        Guided(small_network(context=3), torch.zeros(2), 1.0)


def test_dropped_contexts_are_learned_ones() -> None:
    embedding = DroppedContext(3, share=0.25)
    features = embedding(torch.ones(4000, 3))
    dropped = (features == 0).all(-1)
    assert abs(dropped.float().mean() - 0.25) < 0.04
    assert bool((features[~dropped] == 1).all())
    features.sum().backward()
    torch.testing.assert_close(embedding.none.grad, dropped.sum().float().expand(3))


# Noise and denoising.


def test_what_is_read_back_of_noise_is_a_mass_function() -> None:
    layer = GaussianDequantization(9, 0.3, event_dims=1).double()
    levels = torch.arange(9.0)[:, None].double()
    # p(x | z) of all levels at a few points, from log p(x | z) - log q(z | x).
    for point in (-3.0, -0.9, 0.03, 0.8, 2.5):
        z = torch.full((9, 1), point).double()
        log_noise = torch.distributions.Normal((2 * levels + 1) / 9 - 1, 0.3).log_prob(z)[:, 0]
        masses = (layer._log_ratio(levels, z) + log_noise).exp()
        torch.testing.assert_close(masses.sum(), torch.tensor(1.0).double())


def test_normal_noise_bounds_the_mass_of_cells_under_a_normal() -> None:
    layer = GaussianDequantization(5, 0.4, event_dims=1).double()
    z = torch.linspace(-9, 9, 4001, dtype=torch.float64)[:, None]
    prior = torch.distributions.Normal(0.0, 1.0).log_prob(z)[:, 0]
    # A normal of variance 1 + 0.4^2 in cells that reach out to infinity.
    edges = torch.tensor([-math.inf, -0.6, -0.2, 0.2, 0.6, math.inf], dtype=torch.float64)
    expected = torch.special.ndtr(edges / math.sqrt(1 + 0.4**2)).diff()
    for level, mass in enumerate(expected):
        log_noise = torch.distributions.Normal((2 * level + 1) / 5 - 1, 0.4).log_prob(z)[:, 0]
        log_ratio = layer._log_ratio(torch.full_like(z, level), z)
        step = z[1, 0] - z[0, 0]
        torch.testing.assert_close((prior + log_ratio + log_noise).exp().sum() * step, mass, rtol=1e-6, atol=0)
        assert (log_noise.exp() * (prior + log_ratio)).sum() * step < mass.log()


def test_denoising_finds_the_mean_of_what_noise_was_added_to() -> None:
    noise = 0.7
    around = [torch.distributions.Normal(torch.tensor([centre]), noise) for centre in (-1.0, 1.0)]
    two = Mixture([FromTorch(torch.distributions.Independent(each, 1)) for each in around])
    y = torch.linspace(-3, 3, 13)[:, None]
    found = denoised(two, y, noise)
    # Of -1 and 1, each as probable: E[x | y] = tanh(y / noise^2).
    torch.testing.assert_close(found, torch.tanh(y / noise**2), rtol=0, atol=1e-5)


def test_each_context_has_a_score_of_its_own() -> None:
    flow, x, contexts = small_flow(shape=(2, 2), levels=None, context=3), normal(2, 2), normal(5, 3)
    each = torch.stack([denoised(flow, x, 0.5, context) for context in contexts])
    torch.testing.assert_close(denoised(flow, x, 0.5, contexts), each)
    with torch.inference_mode():
        torch.testing.assert_close(denoised(flow, x.clone(), 0.5, contexts.clone()), each)
    whole = denoised(pf.distributions.StandardNormal((2,)), torch.tensor([1, 2]), 0.5)
    torch.testing.assert_close(whole, torch.tensor([0.75, 1.5]))


def test_samples_are_denoised_by_the_density_behind_the_noise() -> None:
    flow = small_flow(noise=0.1, context=3)
    context = normal(2, 3)
    found = sample_denoised(flow, 4, context, generator=torch.Generator().manual_seed(0))
    first, *rest = flow.transform
    behind = pf.Flow(rest, flow.base, context=flow.context or 0, embedding=flow.embedding).eval()
    y = behind.sample(4, context, generator=torch.Generator().manual_seed(0))
    noisy = y.clone().requires_grad_()
    (score,) = torch.autograd.grad(behind.log_prob(noisy, context).sum(), noisy)
    assert found.shape == (4, 2, 1, 4, 4)
    assert torch.equal(found, first.decode(y + 0.1**2 * score))
    with pytest.raises(UsageError, match="GaussianDequantization"):
        sample_denoised(small_flow(), 4)


@pytest.mark.slow
def test_noise_and_a_step_back_draw_what_was_learned() -> None:
    # Two images, of which a flow of the noisy ones draws both, and no third.
    pictures = torch.stack([torch.eye(4), 1 - torch.eye(4)])[:, None] * 16
    flow = pf.models.tarflow(shape=(1, 4, 4), levels=17, noise=0.2, hidden=32, layers=2, blocks=1)
    pf.fit(
        flow, pictures.repeat(200, 1, 1, 1), max_steps=400, learning_rate=2e-3, batch_size=128, seed=0, progress=False
    )
    torch.manual_seed(0)
    drawn, noisy = sample_denoised(flow, 200), flow.sample(200)
    distances = [(each[:, None] - pictures).abs().mean((2, 3, 4)).amin(1).mean() for each in (drawn, noisy)]
    assert distances[0] < 0.5 * distances[1]
    assert 50 < (drawn[:, 0, 0, 0] > 8).sum() < 150


# The command line.


def command(arguments: list[str]) -> tuple[int, str]:
    """A command's exit code and what it said."""
    from typer.testing import CliRunner

    from pushforward.cli.main import app

    result = CliRunner().invoke(app, [*arguments, "--quiet"])
    return result.exit_code, f"{result.output}{result.exception}"


def small_run(out: Path, model: str, *options: str) -> list[str]:
    """The command that trains a small model of the digits for three steps."""
    return ["train", model, "--out", str(out), "--data", "digits", "--max-steps", "3", *options]


SMALL_SETTINGS = [f"--set={name}={value}" for name, value in SMALL.items()]


@pytest.mark.slow
def test_the_command_line_trains_and_draws(tmp_path: Path) -> None:
    run, picture = str(tmp_path / "run"), tmp_path / "drawn.png"
    for arguments in (
        small_run(tmp_path / "run", "tarflow", "--set", "noise=0.2", *SMALL_SETTINGS),
        ["sample", run, "--out", str(picture), "-n", "4", "--denoise"],
        ["evaluate", run, "-m", "2"],
    ):
        code, said = command(arguments)
        assert code == 0, said
    assert picture.stat().st_size > 0


@pytest.mark.slow
def test_images_are_trained_and_drawn_given_their_labels(tmp_path: Path) -> None:
    run, drawn = tmp_path / "run", tmp_path / "drawn.npz"
    settings = ["--context", "label", "--set", "unconditional=0.1", *SMALL_SETTINGS]
    assert command(small_run(run, "tarflow", *settings)) == (0, "None")
    configuration = Run.read(run)
    assert configuration.labels == 10 and configuration.flow().context == Categories(10)
    digits, labels = pf.data.load_data("digits"), load_labels("digits")
    code, said = command(["evaluate", str(run), "--part", "validation", "-m", "1", "--seed", "3", "--json"])
    assert code == 0, said
    expected = pf.evaluate(pf.load(run / "model.safetensors"), digits.validation, labels.validation, seed=3)
    assert json.loads(said.removesuffix("None"))["bits_per_dim"] == pytest.approx(expected.bits_per_dim)
    ask = ["sample", str(run), "-o", str(drawn), "-n", "4", "--seed", "1"]
    assert command([*ask, "--given", "label=7", "--guidance", "1"]) == (0, "None")
    pushed = guided(pf.load(run / "model.safetensors"), 1.0)
    torch.manual_seed(1)
    sevens = pushed.sample(4, torch.tensor(7))
    assert torch.equal(torch.from_numpy(np.load(drawn)["data"]).float(), sevens)
    beside = ["plot", str(run), "samples", "-o", str(tmp_path / "beside.png")]
    assert command(beside) == (0, "None") and (tmp_path / "beside.png").stat().st_size > 0
    for wrong, told in (([], "from 0 to 9, got none"), (["--given", "label=10"], "got label=10")):
        assert told in command([*ask, *wrong])[1]
    code, said = command(small_run(tmp_path / "other", "tarflow", "--context", "colour"))
    assert code and "images can have --context label" in said


def test_data_whose_labels_a_model_cannot_be_told_are_refused() -> None:
    digits = pf.data.load_data("digits")
    run = plan_run("realnvp", {"hidden": 4, "layers": 1}, digits, "digits", {}, labels=9)
    flow = run.flow()
    with pytest.raises(DataError, match="from 0 to 8, and digits has 9"):
        scored_parts(run, flow, digits, "digits")
    with pytest.raises(DataError, match="moons brings none"):
        scored_parts(run, flow, digits, "moons")


def test_data_without_labels_have_no_context_label(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((20, 8, 8), np.uint8))
    code, said = command(
        ["train", "tarflow", "-d", str(tmp_path / "images.npy"), "-o", str(tmp_path), "--context", "label"]
    )
    assert code and "images.npy brings none" in said


def test_labels_are_contexts_of_every_model_of_images_that_takes_one() -> None:
    x = torch.randint(17, (4, 1, 8, 8), generator=torch.Generator().manual_seed(0)).float()
    plan = partial(plan_run, data=Dataset("images", x, x, x, levels=17), spec="digits", training={})
    for name in (name for name in pf.list_models() if "shape" in recipe_options(name)):
        if "context" in recipe_options(name):
            assert plan(name, {}, labels=10).labels == 10
        else:
            with pytest.raises(UsageError, match="takes no context"):
                plan(name, {}, labels=10)
    assert plan("realnvp", {"hidden": 4}, labels=10).flow().context == Categories(10)
    with pytest.raises(UsageError, match="--context in its place"):
        plan("tarflow", {"context": 10})
