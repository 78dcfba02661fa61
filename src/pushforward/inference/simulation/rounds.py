"""Sequential inference: each round simulates where the posterior of the round before has its mass."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any, Protocol, TypeVar

import torch

from pushforward.errors import SimulationError
from pushforward.inference.simulation.simulate import Simulator, simulate
from pushforward.inference.simulation.streams import drawing
from pushforward.scalar.arguments import check_counts
from pushforward.seeds import LARGEST_SEED, check_seed


class Estimator(Protocol):
    """What can be improved in rounds: `NPE` by the truncated prior, `NLE` by its posterior."""

    @property
    def simulations(self) -> Sized:
        """Those that it holds."""

    def append_simulations(self, theta: Any, x: Any) -> Any:
        """Add simulations."""

    def fit(self, **options: Any) -> Any:
        """Train on all simulations."""

    def proposal(self, x: Any) -> Any:
        """What to simulate next for an observation."""


Improved = TypeVar("Improved", bound=Estimator)


def simulate_in_rounds(
    estimator: Improved,
    simulator: Simulator,
    x: Any,
    *,
    rounds: int = 5,
    simulations: int = 2000,
    workers: int = 1,
    seed: int | None = None,
    progress: bool = True,
    **options: Any,
) -> Improved:
    """Improve an estimator for one observation, in rounds of simulations that its own ``proposal(x)`` chooses.

    With `NPE` this is TSNPE, with `NLE` SNLE. If the simulator raises, the simulations of that round so far and of
    all rounds before are kept: the estimator holds them, and the same call goes on.

    Args:
        estimator: fitted before or not.
        simulator: as for `simulate`.
        x: the observation, a single one.
        rounds: how many times to simulate and fit.
        simulations: in each round.
        workers, progress: as for `simulate`.
        seed: of the first round; those of others follow, by how many simulations there are already.
        options: of ``estimator.fit``.

    Raises:
        UsageError: an option does not fit, or there are several observations.
        SimulationError: the simulator raises or returns another shape.

    Source: Deistler, Goncalves, Macke (2022), arXiv:2210.04815; Papamakarios, Sterratt, Murray (2019),
    arXiv:1805.07226.

    Example:
        >>> from torch.distributions import Uniform
        >>> from pushforward.inference import NPE
        >>> inference = NPE(Uniform(torch.zeros(1), torch.ones(1)), hidden=8, layers=1)
        >>> simulator = lambda theta: theta + 0.1 * torch.randn_like(theta)
        >>> options = dict(rounds=2, simulations=100, members=1, max_steps=3, progress=False)
        >>> len(simulate_in_rounds(inference, simulator, torch.tensor([0.5]), **options).simulations)
        200
    """
    check_counts("simulate_in_rounds", rounds=rounds, simulations=simulations)
    seed = int(torch.randint(2**31, ())) if seed is None else check_seed("seed", seed)
    for _ in range(rounds):
        # Not by the round: a call that goes on where another ended would draw that one's noise again.
        own = (seed + len(estimator.simulations)) % (LARGEST_SEED + 1)
        with drawing(own, "proposal"):
            proposal = estimator.proposal(x)
        try:
            pairs = simulate(simulator, proposal, simulations, workers=workers, seed=own, progress=progress)
        except SimulationError as error:
            if error.x is not None:
                estimator.append_simulations(error.theta, error.x)
            raise
        estimator.append_simulations(*pairs)
        estimator.fit(progress=progress, seed=own, **options)
    return estimator
