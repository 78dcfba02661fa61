"""Options of inference that are no numbers of their kind are told in one sentence before any work."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Uniform

import pushforward as pf
from pushforward import diagnostics, inference
from pushforward.data.inverse import InverseKinematics
from pushforward.errors import UsageError

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
