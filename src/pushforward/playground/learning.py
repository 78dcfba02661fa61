"""A flow that learns a density of the plane by maximum likelihood, a moment at a time."""

from __future__ import annotations

import time

import torch

from pushforward import models
from pushforward.data.toys import ImageDensity, ToyDensity, toy
from pushforward.errors import TrainingError
from pushforward.flows import Flow
from pushforward.playground.bending import bend, grid, layer_names, pixels
from pushforward.playground.messages import SHEET, Start
from pushforward.playground.replies import pack

BATCH = 256
LEARNING_RATE = 2e-3
#: Training ends here: nobody watches a page for longer, and a page that was forgotten should not work forever.
STEPS = 20_000
SAMPLES = 2_000
# So many of the samples are new in each view: they stream, and the eye still follows the others.
NEW = 200
TESTED = 1_000
_WITH_BINS = ("nsf", "nsf-coupling")


class Learning:
    """One flow and the density that it learns.

    Args:
        asked: which density and which flow.

    Attributes:
        step: how many steps of training were done.
    """

    def __init__(self, asked: Start) -> None:
        self.density = _density(asked)
        self.flow = build(asked)
        self.step = 0
        self.temperature = 1.0
        self._random = torch.Generator().manual_seed(0)
        self._test = self.density.sample(TESTED, self._random)
        self._truth = float(self.density.log_prob(self._test.double()).mean())
        self._latents = torch.randn(SAMPLES, 2, generator=self._random)
        self.flow.initialise(self.density.sample(BATCH, self._random))
        self._optimizer = torch.optim.Adam(self.flow.parameters(), LEARNING_RATE)

    @property
    def done(self) -> bool:
        return self.step >= STEPS

    def advance(self, seconds: float) -> None:
        """Train for about so long, one step at least.

        Raises:
            TrainingError: the loss is no longer finite.
        """
        end = time.monotonic() + seconds
        while not self.done:
            self.learn()
            if time.monotonic() >= end:
                return

    def learn(self) -> None:
        """Train for one step.

        Raises:
            TrainingError: the loss is no longer finite.
        """
        self.flow.train()
        loss = -self.flow.log_prob(self.density.sample(BATCH, self._random)).mean()
        self._check(loss)
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.flow.parameters(), 5.0)
        self._optimizer.step()
        self.step += 1

    @torch.no_grad()
    def view(self) -> bytes:
        """Everything that the page shows: samples and grid behind each layer, their determinants, the density.

        Raises:
            TrainingError: the flow's density is no longer finite.
        """
        self.flow.eval()
        self._stream()
        latents = torch.cat([self.temperature * self._latents, grid().reshape(-1, 2)])
        places, log_dets = bend(self.flow, latents)
        low, high = self.density.bounds
        facts = {
            "step": self.step,
            "steps": STEPS,
            "excess": self.excess(),
            "layers": layer_names(self.flow),
            "bounds": [low, high],
        }
        arrays = {
            "samples": places[:, :SAMPLES],
            "determinants": log_dets[:, :SAMPLES],
            "grid": places[:, SAMPLES:].reshape(len(places), *grid().shape),
            "density": self.flow.log_prob(pixels((low, high))),
        }
        return pack("view", facts, {name: torch.nan_to_num(array) for name, array in arrays.items()})

    @torch.no_grad()
    def excess(self) -> float:
        r"""Nats that the flow lacks, :math:`E_p[\log p(x) - \log q(x)]` on points kept for it: an estimate of the
        Kullback-Leibler divergence, which is 0 where the flow is the density.

        Raises:
            TrainingError: it is no longer finite.
        """
        mean = self.flow.eval().log_prob(self._test).mean()
        # A last step may have spoiled the weights though its loss was finite.
        self._check(mean)
        return self._truth - float(mean)

    def target(self) -> bytes:
        """Points of the density, for the page to show beside the samples."""
        low, high = self.density.bounds
        return pack("target", {"bounds": [low, high]}, {"points": self._test})

    def _check(self, mean: torch.Tensor) -> None:
        if not torch.isfinite(mean):
            raise TrainingError(f"the density was no longer finite at step {self.step}: start again with fewer layers")

    def _stream(self) -> None:
        fresh = torch.randn(NEW, 2, generator=self._random)
        self._latents = torch.cat([self._latents[NEW:], fresh])


def build(asked: Start) -> Flow:
    """The flow that was asked for, not yet trained."""
    options = {"layers": asked.depth, "hidden": 32} | ({"bins": asked.bins} if asked.flow in _WITH_BINS else {})
    return models.build(asked.flow, features=2, **options)


def _density(asked: Start) -> ToyDensity:
    if asked.sheet is None:
        return toy(asked.density)
    return ImageDensity(torch.tensor(asked.sheet).reshape(SHEET, SHEET))
