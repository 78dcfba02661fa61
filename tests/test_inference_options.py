"""Options of inference that are no numbers of their kind are told in one sentence before any work."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, Uniform

import pushforward as pf
from pushforward import diagnostics, inference
from pushforward.data.inverse import InverseKinematics
from pushforward.errors import DataError, UsageError

BOX = Uniform(torch.zeros(1), torch.ones(1))
THETA = torch.linspace(0.1, 0.9, 60)[:, None]
COUNTS: list[Any] = ["3", 2.5, 0, -1, True, float("inf")]
NUMBERS: list[Any] = ["3", -1.0, float("nan"), float("inf"), True]
SEEDS: list[Any] = ["3", 2.5, -1, 2**32]


def fitted(**options: Any) -> Any:
    flow = pf.Flow([pf.transforms.Elementwise(pf.scalar.Affine(), (1,))], pf.distributions.StandardNormal((1,)))
    return inference.fit_posterior(lambda theta: -theta.square().sum(-1), flow, **{"steps": 1, **options})


def estimated(estimator: type = inference.NPE, **options: Any) -> Any:
    return estimator(BOX).append_simulations(THETA, THETA).fit(progress=False, **options)


def simulated(count: Any = 5, **options: Any) -> Any:
    return inference.simulate(lambda theta: theta, BOX, count, progress=False, **options)


def in_rounds(**options: Any) -> Any:
    return inference.simulate_in_rounds(inference.NPE(BOX), lambda theta: theta, THETA[0], **options)


def rejected(count: Any = 2, **options: Any) -> Any:
    return inference.rejection_sample(InverseKinematics().sample, torch.zeros(2), count, **options)


def posterior(n: int, x: Tensor) -> Tensor:
    return torch.rand(n, len(x), 1)


sbc, tarp = partial(diagnostics.sbc, posterior, THETA, THETA), partial(diagnostics.tarp, posterior, THETA, THETA)
local = partial(diagnostics.local_c2st, posterior, THETA, THETA, THETA[0])
predictive = partial(diagnostics.posterior_predictive, posterior, lambda theta: theta, THETA[0])
mmd, c2st = (partial(test, THETA, THETA + 0.1) for test in (diagnostics.mmd, diagnostics.c2st))
gap = partial(diagnostics.misspecification, THETA[:1], THETA)
calibrated = partial(inference.calibration, None, THETA, THETA)  # type: ignore[arg-type]
invertible = partial(inference.invertible_flow, 4, 2)

WRONG: list[tuple[Callable[..., Any], str, list[Any]]] = [
    *((fitted, name, COUNTS) for name in ("steps", "batch_size", "draws")),
    *((fitted, name, NUMBERS) for name in ("max_time", "learning_rate", "annealing")),
    (fitted, "divergence", ["reverse", inference.ReverseKL, 3]),
    (fitted, "seed", SEEDS),
    *((estimated, name, COUNTS) for name in ("members", "max_steps", "batch_size")),
    *((estimated, name, NUMBERS) for name in ("max_time", "learning_rate", "validation")),
    (estimated, "seed", SEEDS),
    *((simulated, name, COUNTS) for name in ("count", "batch_size")),
    (simulated, "workers", ["3", 2.5, 0, -2]),
    *((in_rounds, name, COUNTS) for name in ("rounds", "simulations")),
    *((rejected, name, COUNTS) for name in ("count", "simulations", "batch")),
    (rejected, "seed", SEEDS),
    *((calibrated, name, COUNTS) for name in ("draws", "levels")),
    *((invertible, name, COUNTS) for name in ("latent", "width", "layers")),
    (invertible, "noise", [*NUMBERS, 0]),
    *((inference.Bidirectional, name, NUMBERS) for name in ("observation", "latent", "parameters", "reconstruction")),
    (inference.NarrowingLikelihood, "start", NUMBERS),
    (inference.NarrowingLikelihood, "steps", ["3", 2.5, -1]),
    (inference.AlphaDivergence, "alpha", ["half", 1, float("nan")]),
    *((pf.training.ELBO, name, NUMBERS) for name in ("beta", "free_bits")),
    (pf.training.ELBO, "warmup_steps", ["3", 2.5, -1]),
    *((test, "draws", COUNTS) for test in (sbc, tarp, local, predictive)),
    *((local, name, COUNTS) for name in ("trials", "steps")),
    (mmd, "permutations", COUNTS),
    (c2st, "folds", [*COUNTS, 1]),
    (gap, "trials", COUNTS),
    *((test, "seed", SEEDS) for test in (sbc, tarp, local, predictive, mmd, c2st, gap)),
]


@pytest.mark.parametrize(("call", "name", "values"), WRONG)
def test_what_is_no_number_of_its_kind_is_told_in_one_sentence(
    call: Callable[..., Any], name: str, values: list[Any]
) -> None:
    for value in values:
        with pytest.raises(UsageError, match=name) as caught:
            call(**{name: value})
        assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: inference.NPE(BOX, layer=2), "NPE has no option layer: it takes"),
        (lambda: inference.NPE(BOX, layers=0), "layers of at least 1"),
        (lambda: inference.NPE(BOX, hidden=0), "hidden of at least 1"),
        (lambda: inference.NPE(BOX, hidden="wide"), "whole number or whole numbers as hidden"),
        (lambda: inference.InvertibleNetwork(2, 1, layer=2), "InvertibleNetwork has no option layer"),
        (lambda: inference.InvertibleNetwork(2, 1, hidden=0), "hidden of at least 1"),
        (lambda: inference.ConditionalInvertibleNetwork(2, 1, layer=2), "has no option layer"),
        (lambda: inference.ConditionalInvertibleNetwork(2, 1, hidden="wide"), "as hidden"),
        (lambda: fitted(compile="fast"), "compile expects True, False or 'auto'"),
        (lambda: fitted().weighted_sample(0), "weighted_sample expects a whole number of at least 1 count"),
        (lambda: inference.simulate(lambda theta: theta, 3, 5), "simulate expects a prior with sample"),
    ],
)
def test_an_option_that_there_is_not_is_told_before_any_work(call: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        call()


def test_simulations_are_what_holds_numbers_and_frames_may_miss_some() -> None:
    frame = pd.DataFrame({"flux": [1.0, None], "colour": [0.5, 2.0]})
    estimator = inference.NPE(BOX).append_simulations([[0.1], [0.2]], frame)
    assert torch.equal(estimator.simulations.x.isnan(), torch.tensor([[False, False], [True, False]]))
    for wrong in (None, "abc", ["a", "b"], [[1], [2, 3]], {"flux": 1}, pd.DataFrame({"flux": ["a", "b"]})):
        with pytest.raises((UsageError, DataError), match="observations"):
            inference.NPE(BOX).append_simulations([[0.1], [0.2]], wrong)


def test_simulate_takes_the_priors_that_estimators_take() -> None:
    theta, _ = inference.simulate(lambda theta: theta, [BOX, Normal(5.0, 0.1)], 8, seed=0, progress=False)
    assert theta.shape == (8, 2) and bool((theta[:, 1] > 4).all())


def test_a_folder_of_another_prior_or_seed_is_refused(tmp_path: Path) -> None:
    theta, _ = simulated(seed=0, out=tmp_path)
    assert torch.equal(simulated(seed=0, out=tmp_path)[0], theta)
    with pytest.raises(UsageError, match="simulations of the seed 0, not 1"):
        simulated(seed=1, out=tmp_path)
    with pytest.raises(UsageError, match="another proposal"):
        inference.simulate(lambda theta: theta, Uniform(torch.zeros(1), 2.0), 5, seed=0, out=tmp_path)


def test_results_are_shown_by_what_they_say() -> None:
    result = sbc(draws=19)
    assert repr(result) == f"RankCalibration({result})" and len(repr(result.test)) < 60
    assert repr(mmd(permutations=9)).startswith("Discrepancy(")
