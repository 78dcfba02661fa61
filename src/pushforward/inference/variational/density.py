"""The density that a posterior is fitted to, on the reals, and what is said when it is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import DataError, PushforwardError, ShapeError, TrainingError, UsageError
from pushforward.flows.flow import Flow
from pushforward.inference.variational.coordinates import Coordinates, Own
from pushforward.inference.variational.declared import Declared, coordinates_of
from pushforward.transforms.stochastic.targets import check_exact


class UnconstrainedDensity:
    r"""A log-density of constrained parameters as one of real numbers, ``log f(c(u)) + log |det dc/du|``.

    Called with ``u (..., features)`` it returns ``(...)``, in nats up to a constant.

    Args:
        log_density: ``log f`` up to a constant, a function of the parameters with any batch dimensions in front; or a
            distribution.
        parameters: a space, a constraint of ``torch.distributions``, a pair of a constraint and a shape, or a mapping
            of names to these, with which ``log_density`` is given a dictionary.

    Attributes:
        coordinates: the map ``c`` between the real numbers and the parameters.

    Raises:
        UsageError: if the parameters are not declared so; or, when it is called, if ``log_density`` raises, or no
            gradient leads back to the parameters.
        ShapeError: if ``log_density`` does not return one number for each point.
        DataError: if it returns NaN or plus infinity, with the first point where it does.
        TrainingError: if ``u`` is not finite, and so comes of a flow that is none any more.

    Example:
        >>> from torch.distributions import Gamma, constraints
        >>> density = UnconstrainedDensity(Gamma(2.0, 1.0), constraints.positive)
        >>> density(torch.zeros(3, 1))
        tensor([-1., -1., -1.])
    """

    def __init__(self, log_density: Any, parameters: Mapping[str, Declared] | Declared | Coordinates) -> None:
        check_exact(log_density, "the posterior")
        self.log_density = getattr(log_density, "log_prob", log_density)
        self.coordinates = parameters if isinstance(parameters, Coordinates) else coordinates_of(parameters)

    def __call__(self, u: Tensor) -> Tensor:
        if not bool(u.isfinite().all()):
            raise TrainingError("the flow's samples are not finite any more: try a lower learning_rate, or start=")
        parameters, log_det = self.coordinates.constrain(u)
        value = self._value(parameters)
        _check_shape(value, log_det.shape)
        _check_numbers(value, parameters)
        if u.requires_grad and torch.is_grad_enabled() and not value.requires_grad:
            raise UsageError(
                "log_density returned numbers without a gradient to the parameters: compute them with torch throughout "
                "(no .item(), .numpy() or no_grad), or take divergence=ForwardKL(), which needs no gradient"
            )
        return value + log_det

    def reaches(self, u: Tensor) -> Tensor:
        """Return which points are finite and have finite parameters: far out, where no sample is, numbers overflow."""
        parameters, log_det = self.coordinates.constrain(u)
        values = parameters.values() if isinstance(parameters, Mapping) else [parameters]
        batch = log_det.shape
        finite = [value.isfinite().reshape(*batch, value.shape[len(batch) :].numel()).all(-1) for value in (*values, u)]
        return torch.stack([*finite, log_det.isfinite()]).all(0)

    def _value(self, parameters: Any) -> Any:
        try:
            return self.log_density(parameters)
        except PushforwardError:
            raise
        except Exception as error:
            reason = next(iter(str(error).splitlines()), "no message")
            raise UsageError(
                f"log_density raised {type(error).__name__} ({reason}) when it was called with {_shapes(parameters)}: "
                f"it expects to take a batch of parameters, and a function of a single point becomes one of many by "
                f"torch.func.vmap"
            ) from error


class Tempered:
    """A density at an inverse temperature, ``beta log f``: flatter than ``f`` below 1.

    Args:
        density: the log-density at temperature 1.
        inverse_temperature: ``beta``.
    """

    def __init__(self, density: UnconstrainedDensity, inverse_temperature: float) -> None:
        self.density, self.inverse_temperature = density, inverse_temperature

    def __call__(self, u: Tensor) -> Tensor:
        return self.inverse_temperature * self.density(u)


def coordinates_for(owner: str, flow: Flow, parameters: Mapping[str, Declared] | Declared | None) -> Coordinates:
    """Return the coordinates of parameters, which are the events of a flow.

    Raises:
        UsageError: if the flow has a context, or its events are not the parameters' free dimensions.
    """
    if flow.context is not None:
        raise UsageError(
            f"{owner} expects a flow without a context, as a log-density is of one posterior: a posterior for every "
            f"observation is what pushforward.inference.NPE learns, from simulations"
        )
    if parameters is None:
        return Own(flow.support)
    coordinates = coordinates_of(parameters)
    if tuple(flow.event_shape) != (coordinates.features,) or not flow.support.everywhere:
        raise UsageError(
            f"these parameters have {coordinates.features} free dimensions and expect a flow of vectors "
            f"({coordinates.features},) of the reals, got one of {flow.support}"
        )
    return coordinates


def _check_shape(value: Any, batch: torch.Size) -> None:
    if not isinstance(value, Tensor) or value.shape != batch:
        got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise ShapeError(
            f"log_density expects to return one number for each of the points, shape {tuple(batch)}, got {got}: sum "
            f"over the parameters alone; a function of a single point becomes one of many by torch.func.vmap"
        )


def _check_numbers(value: Tensor, parameters: Any) -> None:
    wrong = value.isnan() | (value == torch.inf)
    if not bool(wrong.any()):
        return
    first = tuple(wrong.nonzero()[0].tolist())
    what = "NaN" if bool(value.isnan().any()) else "plus infinity"
    raise DataError(
        f"log_density returned {what} at {int(wrong.sum())} of {wrong.numel()} points, the first of them "
        f"{_point(parameters, first)}: return -inf where the density is zero, and declare bounded parameters by "
        f"parameters="
    )


def _shapes(parameters: Any) -> str:
    """The shapes of parameters, by their names where they have some."""
    if isinstance(parameters, Mapping):
        return "{" + ", ".join(f"{name!r}: {_shapes(value)}" for name, value in parameters.items()) + "}"
    return f"a tensor of shape {tuple(parameters.shape)}"


def _point(parameters: Any, place: tuple[int, ...]) -> Any:
    """The parameters at one place of the batch, with four digits."""
    if isinstance(parameters, Mapping):
        return {name: _point(value, place) for name, value in parameters.items()}
    digits = np.vectorize(lambda number: float(f"{number:.4g}"))
    return digits(parameters[place].detach().cpu().double().numpy()).tolist()
