"""Every named model: a documented function that builds, scores, samples, encodes and decodes, given any context."""

from __future__ import annotations

import doctest
import inspect
import sys
from typing import Any

import pytest
import torch
from model_helpers import (
    CONDITIONAL,
    DISCRETE,
    IMAGES,
    NAMES,
    PLACED,
    VECTORS,
    configuration,
    context_for,
    events,
    small,
    summary_network,
)
from torch import nn

import pushforward as pf
from pushforward import testing
from pushforward.accuracy import Accuracy, Draws
from pushforward.errors import UsageError
from pushforward.models import recipe_options
from pushforward.spaces import Categories, Product, Reals

GENERIC = ["autoregressive", "coupling"]
FUNCTIONS = [*GENERIC, *(name.replace("-", "_") for name in NAMES)]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_an_alias_of_a_function(name: str) -> None:
    function = getattr(pf.models, name.replace("-", "_"))
    assert inspect.signature(function).parameters == recipe_options(name)
    options = configuration(name)
    torch.manual_seed(0)
    ours = function(**options)
    torch.manual_seed(0)
    theirs = pf.build(name, **options)
    assert ours.recipe == theirs.recipe == {"model": name, **options}
    pairs = zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_recipe_says_what_it_is_and_its_example_runs(name: str) -> None:
    function = getattr(pf.models, name)
    text = inspect.getdoc(function) or ""
    first, blank = text.split("\n")[:2]
    assert first.endswith(".") and blank == ""
    for option, parameter in inspect.signature(function).parameters.items():
        assert f"    {option}: " in text, option
        assert parameter.annotation is not parameter.empty, option
    assert "\nRaises:\n" in text and "\nSource: " in text and "\nExample:\n" in text
    example = doctest.DocTestParser().get_doctest(text, {}, name, None, None)
    assert doctest.DocTestRunner(verbose=False).run(example, out=sys.stdout.write).failed == 0


def assert_comes_back(flow: pf.Flow, x: torch.Tensor, context: torch.Tensor | None = None) -> None:
    """What is decoded from an encoding is what was encoded, unless both directions draw values; where the inverse alone
    draws, it is something of the same encoding."""
    if flow.transform.draws is Draws.INVERSE:
        z = flow.encode(x, context)
        assert torch.allclose(flow.encode(flow.decode(z, context), context), z, atol=1e-3)
        return
    back = flow.decode(flow.encode(x, context), context)
    same = torch.allclose(back.double(), x.double(), atol=1e-3 if flow.levels is None else 0)
    once, again = (flow.latents(*flow.check(x, context)) for _ in range(2))
    draws_values = not all(torch.equal(*pair) for pair in zip(once, again, strict=True))
    assert same or (flow.transform.draws is Draws.BOTH and draws_values)


@pytest.mark.parametrize("name", NAMES)
def test_model_scores_samples_and_comes_back(name: str) -> None:
    flow = small(name)
    x = events(flow, 6)
    log_prob = flow.log_prob(x)
    assert log_prob.shape == (6,) and bool(torch.isfinite(log_prob).all())
    assert flow.sample(3).shape == (3, *flow.event_shape)
    assert flow.sample(0).shape == (0, *flow.event_shape)
    assert_comes_back(flow, x)


# An autoencoder keeps of an event what its latents have room for, and draws the rest.
@pytest.mark.parametrize("name", sorted((DISCRETE | set(IMAGES)) - {"vae", "vine-autoencoder"}))
def test_integers_come_back_bit_for_bit(name: str) -> None:
    shape = {"shape": (1, 8, 8)} if name in IMAGES else {"features": 5}
    for levels in (2, 10, 20):
        kind = {"classes": levels} if "classes" in recipe_options(name) else {"levels": levels}
        untrained = pf.build(name, **configuration(name, **shape, **kind)).eval()
        # A category that others cover everywhere, as random scales can make one, has no code that is read back as it.
        moved = [] if name == "categorical-flow" else [small(name, **shape, **kind)]
        for flow in (untrained, *moved):
            # Of images each has 64 numbers.
            x = events(flow, 20 if name in IMAGES else 100)
            assert torch.equal(flow.decode(flow.encode(x)), x.to(torch.float32))


def given_by_network(flow: pf.Flow, x: torch.Tensor, context: torch.Tensor) -> None:
    """Check that the context decides, and that its gradient reaches it and the embedding."""
    torch.manual_seed(0)
    first = flow.log_prob(x, context)
    torch.manual_seed(0)
    assert not torch.allclose(first, flow.log_prob(x, context.flip(0)))
    with pytest.raises(pf.errors.ShapeError, match="context"):
        flow.log_prob(x)
    assert flow.sample(2, context).shape == (2, len(x), *flow.event_shape)
    assert_comes_back(flow, x, context)
    leaf = context.clone().requires_grad_()
    flow.log_prob(x, leaf).sum().backward()
    assert leaf.grad is not None and bool(leaf.grad.any())
    learned = list(flow.embedding.parameters())
    assert all(parameter.grad is not None for parameter in learned)
    assert not learned or any(parameter.grad.any() for parameter in learned)


@pytest.mark.parametrize("name", CONDITIONAL)
@pytest.mark.parametrize("kind", ["features", "embedding"])
def test_model_listens_to_its_context(name: str, kind: str) -> None:
    own = {"context": 3} if kind == "features" else {"context": (1, 6, 6), "embedding": summary_network()}
    flow = small(name, **own)
    given_by_network(flow, events(flow, 6), context_for(flow, 6))


def kinds_of_context() -> list[Any]:
    """Each model of images with each kind of context; those that solve equations with one of them."""
    solved = {"densenet-flow", "ffjord", "iresnet"}
    return [
        pytest.param(kind, name, marks=pytest.mark.slow if name in solved and kind != "features" else ())
        for kind in ("features", "larger image", "image from an embedding")
        for name in IMAGES
    ]


@pytest.mark.parametrize("kind, name", kinds_of_context())
def test_image_model_takes_vectors_and_images(name: str, kind: str) -> None:
    own: dict[str, Any] = {
        "features": {"context": 3},
        "larger image": {"context": (3, 16, 16)},
        "image from an embedding": {"context": (1, 16, 16), "embedding": nn.Conv2d(1, 2, 2, stride=2)},
    }[kind]
    flow = small(name, shape=(1, 8, 8), **own)
    given_by_network(flow, events(flow, 4), context_for(flow, 4))


def test_a_context_of_numbers_and_categories_is_standardised_where_it_is_numbers() -> None:
    space = Product(Reals((2,)), Categories(3, (1,)))
    flow = pf.models.maf(features=2, context=space, hidden=8)
    numbers = torch.tensor([1e3, -5.0]) + torch.tensor([1e-2, 1e4]) * torch.randn(2000, 2)
    context = torch.cat([numbers, torch.randint(3, (2000, 1))], 1)
    flow.initialise(torch.randn(2000, 2), context)
    taken = flow.take_context(context)
    assert taken.shape == (2000, 5)
    assert bool((taken[:, :2].std(0) - 1).abs().max() < 0.1) and bool(taken[:, :2].median(0).values.abs().max() < 0.05)
    assert torch.equal(taken[:, 2:], torch.eye(3)[context[:, 2].long()])


@pytest.mark.parametrize("name", ["maf", "nsf", "ffjord"])
def test_a_category_without_a_shape_is_a_context_like_one_in_a_vector(name: str) -> None:
    """As many events as there are categories, whose features could be taken for more batch dimensions."""
    flows = [getattr(pf.models, name)(features=2, context=Categories(3, shape)) for shape in ((), (1,))]
    testing.randomise(flows[0], 0.3)
    flows[1].load_state_dict(flows[0].state_dict())
    x, context = torch.randn(3, 2), torch.tensor([0, 1, 2])
    scores = [flow.log_prob(x, given) for flow, given in zip(flows, (context, context[:, None]), strict=True)]
    assert scores[0].shape == (3,) and torch.allclose(*scores)
    assert flows[0].sample(5, context).shape == (5, 3, 2)


def test_an_embedding_stays_in_the_mode_that_it_was_in() -> None:
    embedding = summary_network()
    embedding[1].eval()
    before = embedding[1].running_mean.clone()
    pf.models.nsf(features=2, context=(1, 6, 6), embedding=embedding)
    assert embedding.training and not embedding[1].training and torch.equal(embedding[1].running_mean, before)


# The density of folded regions is steep at their edges: test_piecewise.py sums over the branches instead.
@pytest.mark.parametrize("name", [name for name in VECTORS if name != "rad"])
def test_vector_model_is_normalised(name: str) -> None:
    flow = small(name).double()
    if flow.accuracy is not Accuracy.EXACT:
        return testing.check_bound(flow, events(flow, 6).double())
    # A smooth density by a solver is seen on fewer points than one with edges.
    points = 200 if name in ("cnf", "ffjord", "umnn") else 300
    testing.check_normalised(flow.log_prob, -16, 16, dims=flow.event_shape[0], points=points)


@pytest.mark.parametrize("name", [name for name in VECTORS if name not in ("cdf-1d", "cdf-2d")])
def test_vector_model_takes_any_number_of_features(name: str) -> None:
    for features in (2, 3, 7):
        flow = small(name, features=features)
        assert flow.log_prob(torch.randn(4, features)).shape == (4,)


@pytest.mark.parametrize("scalar", [pf.scalar.Affine(), pf.scalar.OddPolynomial(), pf.scalar.MixtureCDF()])
@pytest.mark.parametrize("name", GENERIC)
def test_a_structure_takes_any_scalar_bijection(name: str, scalar: pf.scalar.ScalarBijection) -> None:
    flow = getattr(pf.models, name)(features=2, scalar=scalar, context=1, layers=2, hidden=8)
    testing.randomise(flow, 0.2).double()
    context = torch.tensor([0.3]).double()
    testing.check_normalised(lambda x: flow.log_prob(x, context), -16, 16, dims=2, points=300)


@pytest.mark.parametrize(
    "recipe, options, message",
    [
        ("glow", {"scales": 0}, "glow expects scales of at least 1, got scales=0"),
        ("glow", {"scales": -5}, "glow expects scales of at least 1, got scales=-5"),
        ("glow", {"shape": (3, 32)}, "channels, height, width"),
        ("flowpp", {"hidden": 10}, "hidden to be a multiple of heads=4, got 10"),
        ("nsf", {"layers": 2.5}, "nsf expects a whole number as layers, got layers=2.5"),
        ("nsf", {"layers": 0}, "layers of at least 1"),
        ("nsf", {"layers": True}, "a whole number as layers"),
        ("nsf", {"hidden": "64"}, "a whole number or whole numbers as hidden"),
        ("nsf", {"hidden": (64, 0)}, "hidden of at least 1"),
        ("nsf", {"bound": float("nan")}, "a number as bound"),
        ("nsf", {"context": -1}, "context expects"),
        ("nsf", {"context": 2, "embedding": 3}, "a module as embedding"),
        ("nsf", {"embedding": nn.Linear(2, 2)}, "embedding= expects context= too"),
        ("nsf", {"context": 3, "embedding": nn.Linear(2, 2)}, "takes contexts of shape"),
        ("nsf", {"context": (1, 8, 8)}, "embedding= network"),
        ("maf", {"features": 0}, "features of at least 1"),
        ("cdf_1d", {"features": 2}, "features=1"),
        ("cdf_2d", {"features": 3}, "features=2"),
        ("nsf_coupling", {"features": 1}, "at least 2 features"),
        ("realnvp", {}, "got neither"),
        ("realnvp", {"features": 2, "shape": (1, 8, 8)}, "got both"),
        ("nice", {"features": 2, "levels": 4}, "levels= is for images"),
        ("idf", {"layers": 0}, "layers of at least 1"),
        ("idf", {"levels": 1}, "levels of at least 2"),
        ("idf", {"hidden": []}, "one width at least"),
        ("discrete_flow", {"classes": 1}, "classes of at least 2"),
        ("coupling", {"features": 2, "scalar": pf.scalar.Exp()}, "onto the reals"),
        ("autoregressive", {"features": 2, "scalar": pf.scalar.Affine}, "such as pf.scalar.Affine()"),
    ],
)
def test_an_option_that_does_not_fit_is_told(recipe: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        getattr(pf.models, recipe)(**options)
    assert message in str(error.value)


@pytest.mark.parametrize("name", NAMES)
def test_random_numbers_are_drawn_outside_of_compiled_code(name: str) -> None:
    assert not any(block.draws for block in small(name).transform.blocks())


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(NAMES) - PLACED))
def test_compiled_model_scores_and_learns_the_same(name: str) -> None:
    options = {"features": 5} if name in VECTORS and name not in ("cdf-1d", "cdf-2d") else {}
    flow = small(name, **options)
    x = events(flow, 64)
    parameters = [parameter for parameter in flow.parameters() if parameter.requires_grad]

    def score_and_gradients() -> tuple[torch.Tensor, ...]:
        torch.manual_seed(0)
        log_prob = flow.log_prob(x)
        gradients = torch.autograd.grad(log_prob.mean(), parameters, allow_unused=True, materialize_grads=True)
        return log_prob.detach(), *gradients

    expected = score_and_gradients()
    torch.compiler.reset()
    flow.compile_blocks()
    # More than once: what is written out of bounds may be noticed late.
    for _ in range(5):
        found = score_and_gradients()
    for value, reference in zip(found, expected, strict=True):
        torch.testing.assert_close(value, reference, rtol=1e-3, atol=1e-3)


def test_names_of_options_are_checked_when_a_recipe_is_called() -> None:
    with pytest.raises(UsageError, match=r"^nsf has no option layer: it takes features, context, .*layers"):
        pf.models.nsf(features=2, layer=3)
    with pytest.raises(UsageError, match=r"^autoregressive has no option layer: it takes features, "):
        pf.models.autoregressive(2, pf.scalar.Affine(), layer=3)
    with pytest.raises(UsageError, match=r"^autoregressive needs features, scalar: pass features="):
        pf.models.autoregressive()
    with pytest.raises(UsageError, match=r"^nsf takes features, .* each once: multiple values"):
        pf.models.nsf(2, features=2)
    with pytest.raises(UsageError, match=r"^nsf takes features, .* each once: too many"):
        pf.models.nsf(*range(2, 12))
