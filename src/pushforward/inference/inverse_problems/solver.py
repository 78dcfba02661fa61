"""Solvers of inverse problems: fitted to parameters and observations, they give posteriors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward.distributions.inputs import as_events
from pushforward.flows.conditioned import ConditionedFlow
from pushforward.flows.flow import Flow
from pushforward.inference.inverse_problems.bidirectional import Bidirectional
from pushforward.inference.inverse_problems.networks import conditional_invertible_flow, invertible_flow
from pushforward.models.options import named_options
from pushforward.networks.context import Context
from pushforward.networks.embeddings.standardised import Standardised
from pushforward.training.fit import fit
from pushforward.training.objectives import Objective, negative_log_likelihood
from pushforward.training.result import FitResult


class InverseSolver:
    """A flow of the parameters ``x`` of an inverse problem given its observation ``y``, with what it is trained by.

    Args:
        flow: a flow with a context.
        objective: as `fit` takes it.

    Attributes:
        flow: to save, to score and to sample by itself.

    Raises:
        UsageError: by ``fit``, if the flow takes no context.
        ShapeError, DataError: by ``fit``, for parameters and observations that are not as many, or not of the declared
            shapes; by ``posterior``, for what is no observation.
        TrainingError: by ``fit``, if the loss is no longer finite.

    Example:
        >>> import pushforward as pf
        >>> solver = InverseSolver(pf.build("realnvp", features=2, context=1, hidden=8, layers=2))
        >>> x = torch.randn(256, 2)
        >>> solver.fit(x, x.sum(1, keepdim=True), max_steps=3, progress=False).steps
        3
        >>> solver.posterior([1.0]).sample((100,)).shape
        torch.Size([100, 2])
    """

    def __init__(self, flow: Flow, objective: Objective = negative_log_likelihood) -> None:
        self.flow, self.objective = flow, objective

    def fit(self, x: Any, y: Any, **options: Any) -> FitResult:
        """Train on parameters ``(N, D)`` and observations ``(N, ...)``; the options are those of `pushforward.fit`.

        Raises:
            ShapeError, DataError: if they are not as many, or not of the declared shapes.
            TrainingError: if the loss is no longer finite.
        """
        return fit(self.flow, (x, y), objective=self.objective, **options)

    def posterior(self, y: Any) -> ConditionedFlow:
        """Return ``q(x | y)`` of an observation, or of a batch of them, as a ``torch.distributions.Distribution``.

        Raises:
            ShapeError: if it is no observation.
        """
        return self.flow.condition(y)


class InvertibleNetwork(InverseSolver):
    """An invertible network: one map from ``x`` to ``[y, z]``, whose inverse at ``y`` and random ``z`` is a posterior.

    Args:
        features: the number of parameters.
        observation: what is observed: a number of features, or a space of vectors, or one of categories.
        objective: by default the forward and backward losses of `Bidirectional`; ``negative_log_likelihood`` (of
            ``pushforward.training.objectives``) is the likelihood of Kruse et al.
        options: of `invertible_flow`: ``latent``, ``width``, ``layers``, ``hidden``, ``noise``.

    Raises:
        UsageError: if a size does not fit.

    Source: Ardizzone et al. (2019), arXiv:1808.04730; Kruse et al. (2021), arXiv:2101.10763.

    Example:
        >>> from pushforward.data.inverse import InverseKinematics
        >>> x, y = InverseKinematics().sample(512)
        >>> network = InvertibleNetwork(4, 2, layers=2, hidden=16)
        >>> result = network.fit(x, y, max_steps=5, progress=False)
        >>> network.posterior(y[0]).sample((100,)).shape, network.predict(x).shape
        (torch.Size([100, 4]), torch.Size([512, 2]))
    """

    def __init__(
        self, features: int, observation: Context, *, objective: Objective | None = None, **options: Any
    ) -> None:
        given = named_options("InvertibleNetwork", invertible_flow, [features, observation], options)
        super().__init__(invertible_flow(**given), objective or Bidirectional())

    @torch.no_grad()
    def predict(self, x: Any) -> Tensor:
        """What the network expects to observe of parameters ``(..., D)``: the fast stand-in for the simulator.

        Of categories it gives a score for each.
        """
        events = as_events(self.flow, x, discrete=False)
        found = self.flow.base.split(self.flow.transform.encode(events))[0]  # type: ignore[operator]
        embedding = self.flow.embedding
        return found * embedding.scale + embedding.location if isinstance(embedding, Standardised) else found


class ConditionalInvertibleNetwork(InverseSolver):
    """A conditional invertible network: a flow of ``x`` whose couplings see ``y``, trained by likelihood.

    Args:
        features: the number of parameters, at least 2.
        observation: what is observed: a number of features, a shape or a space.
        options: of `conditional_invertible_flow`: ``embedding``, ``layers``, ``hidden``, ``scalar``.

    Raises:
        UsageError: if a size does not fit.

    Source: Ardizzone et al. (2019), arXiv:1907.02392; Kruse et al. (2021), arXiv:2101.10763.

    Example:
        >>> from pushforward.data.inverse import Octagon
        >>> octagon = Octagon("some")
        >>> network = ConditionalInvertibleNetwork(2, octagon.observation, layers=2, hidden=16)
        >>> result = network.fit(*octagon.sample(512), max_steps=5, progress=False)
        >>> network.posterior([0, 1, 2, 3]).sample((50,)).shape
        torch.Size([50, 4, 2])
    """

    def __init__(self, features: int, observation: Context, **options: Any) -> None:
        given = named_options(
            "ConditionalInvertibleNetwork", conditional_invertible_flow, [features, observation], options
        )
        super().__init__(conditional_invertible_flow(**given))
