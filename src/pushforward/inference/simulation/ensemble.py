"""Several flows of one conditional density, trained by themselves and averaged."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.scalar.arguments import check_counts, check_positive
from pushforward.seeds import check_seed
from pushforward.training.fit import fit
from pushforward.training.objectives import Objective
from pushforward.training.objectives.likelihood import negative_log_likelihood
from pushforward.training.result import FitResult

# How often a training is validated, and how many validations in a row without a better one end it.
_VALIDATIONS, _PATIENCE = 40, 12
# Nats that a validation loss may still fall in its last fifth.
_STILL_FALLING = 0.5


Make = Callable[[Tensor, Tensor], tuple[Flow, Objective]]
"""Makes a flow for the events and contexts that it is then trained on, and says by which objective."""


class Ensemble:
    """The mixture ``q(x | c) = 1/K sum_k q_k(x | c)`` of flows of the same events and contexts."""

    def __init__(self, flows: Sequence[Flow]) -> None:
        self.flows = list(flows)

    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        """The log-density, in nats; batches broadcast as for a flow."""
        return mixed([flow.log_prob(x, context) for flow in self.flows])

    def sample(self, count: int, context: Tensor) -> Tensor:
        """Draw ``(count,) + context's batch + event_shape``, as nearly as many of each member as can be."""
        places = shares(count, len(self.flows))
        draws = torch.cat([flow.sample(len(own), context) for flow, own in zip(self.flows, places, strict=True)])
        return draws[torch.cat(places).argsort()]


@dataclass(frozen=True)
class Training:
    """How the members of an ensemble are trained; what is None follows the number of simulations.

    Attributes:
        members: how many flows; by default 5 up to 2,000 simulations, 2 up to 20,000 and 1 beyond.
        validation: the share of the simulations that are held out, others for each member.
        max_steps: of each member.
        batch_size: simulations in a step.
        learning_rate: the full rate, which falls to zero by a cosine.
        max_time: seconds for all members together.
        seed: of splits, weights and batches.
        progress: show a line.

    Raises:
        UsageError: if an option is no number of its kind, or ``validation`` no share between 0 and 1.
    """

    members: int | None = None
    validation: float = 0.1
    max_steps: int | None = None
    batch_size: int | None = None
    learning_rate: float = 2e-3
    max_time: float | None = None
    seed: int | None = None
    progress: bool = True

    def __post_init__(self) -> None:
        counts = {"members": self.members, "max_steps": self.max_steps, "batch_size": self.batch_size}
        check_counts("fit", **{name: value for name, value in counts.items() if value is not None})
        check_positive("fit", learning_rate=self.learning_rate, validation=self.validation)
        if self.max_time is not None:
            check_positive("fit", max_time=self.max_time)
        if self.seed is not None:
            check_seed("seed", self.seed)
        if self.validation >= 1:
            raise UsageError(f"fit expects a share of validation between 0 and 1, got {self.validation}")

    def ensemble(self, make: Make, events: Tensor, contexts: Tensor) -> Ensemble:
        """Train flows that ``make`` makes on events and their contexts.

        Raises:
            UsageError: if there are too few simulations to hold some out.
            TrainingError: if a loss is no longer finite.
        """
        if len(events) * min(self.validation, 1 - self.validation) < 1:
            raise UsageError(f"fit expects simulations enough to hold some out, got {len(events)}: simulate more")
        seed = int(torch.randint(2**31, ())) if self.seed is None else self.seed
        members = self.members or default_members(len(events))
        max_time = None if self.max_time is None else self.max_time / members
        return Ensemble([self._member(make, events, contexts, seed + index, max_time) for index in range(members)])

    def _member(
        self,
        make: Make,
        events: Tensor,
        contexts: Tensor,
        seed: int,
        max_time: float | None,
    ) -> Flow:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            order = torch.randperm(len(events))
            held = max(1, round(self.validation * len(events)))
            steps = self.max_steps or default_steps(len(events))
            train, validation = ((events[rows], contexts[rows]) for rows in (order[held:], order[:held]))
            flow, objective = make(*train)
            start = copy.deepcopy(flow).eval()
            result = fit(
                flow,
                train,
                validation,
                objective=objective,
                max_steps=steps,
                max_time=max_time,
                batch_size=self.batch_size or default_batch_size(len(events)),
                learning_rate=self.learning_rate,
                ema=0.99,
                patience=_PATIENCE,
                validate_every=max(1, steps // _VALIDATIONS),
                seed=seed % 2**32,
                progress=self.progress,
            )
        warn_if_unconverged(result)
        # Where the regression that it began at is all that there is, training only adds noise.
        return start if objective is negative_log_likelihood and _is_better(start, validation, result) else flow


def _is_better(start: Flow, validation: tuple[Tensor, Tensor], result: FitResult) -> bool:
    with torch.no_grad():
        loss = -start.log_prob(*validation).mean().item()
    return result.best_validation is not None and loss <= result.best_validation


def mixed(log_probs: Sequence[Tensor]) -> Tensor:
    """The log-density of a mixture in equal parts, of those of its members."""
    return torch.logsumexp(torch.stack(list(log_probs)), 0) - math.log(len(log_probs))


def shares(count: int, members: int, generator: torch.Generator | None = None) -> list[Tensor]:
    """The places of a mixture's ``count`` draws that each member fills: as nearly as many as can be, in an order of
    chance, and by chance too who has one more."""
    device = None if generator is None else generator.device
    order = torch.randperm(count, generator=generator, device=device).cpu()
    first = int(torch.randint(members, (), generator=generator, device=device))
    own = torch.arange(first, first + count) % members
    return [order[own == member] for member in range(members)]


def default_members(count: int) -> int:
    """Flows for so many simulations: of few they differ most, and their mean is better than any."""
    return 5 if count <= 2_000 else 2 if count <= 20_000 else 1


def default_steps(count: int) -> int:
    """Steps for so many simulations: fewer passes over more of them.

    Example:
        >>> default_steps(1000), default_steps(100_000)
        (1500, 3768)
    """
    return max(500, round(1500 * (count / 1000) ** 0.2))


def default_batch_size(count: int) -> int:
    """Simulations in a step, at least 10 steps in a pass."""
    return min(256, max(16, count // 10))


def warn_if_unconverged(result: FitResult) -> None:
    """Warn where a training ended while its validation loss still fell."""
    losses = [row["val_loss"] for row in result.history if row["val_loss"] is not None]
    if result.stopped == "patience" or len(losses) < 5:
        return
    before = min(losses[: -len(losses) // 5])
    if before - min(losses) > _STILL_FALLING:
        warnings.warn(
            f"the fit has not converged, its validation loss still fell by {before - min(losses):.2f} in the last "
            f"fifth of {result.steps} steps: give it a larger max_steps or max_time",
            RuntimeWarning,
            stacklevel=5,
        )
