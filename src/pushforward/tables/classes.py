"""Targets that are classes: their labels and their probabilities given contexts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from pushforward.flows import Flow
from pushforward.tables.chunks import slices
from pushforward.tables.codes import LatentCode
from pushforward.tables.columns import Array
from pushforward.tables.latents import decode
from pushforward.tables.likelihood import log_density
from pushforward.tables.quadrature import mean_points
from pushforward.tables.table import Table


def has_classes(regressor: WithClasses) -> bool:
    """Whether it was fitted to a categorical target."""
    return hasattr(regressor, "_target") and bool(regressor._categorical())


class WithClasses(ABC):
    """A regressor some of whose targets may be classes."""

    flow_: Flow | None
    n_outputs_: int
    _cell_points: Array
    _code: LatentCode
    _flat: bool
    _target: Table

    @available_if(has_classes)
    def predict_proba(self, X: Any) -> Any:
        """Return the probabilities of the classes, ``(n, classes)``, in the order of ``classes_``.

        Exact for a single target, differences of a monotone map's normal distribution function at the ends of the
        classes' cells; for several targets a list with one array for each categorical one, from 256 Sobol points.

        Raises:
            AttributeError: if no target is categorical; ``target_columns`` declares one.

        Example:
            >>> import numpy as np
            >>> from pushforward.sklearn import FlowRegressor
            >>> x = np.random.default_rng(0).normal(size=(300, 1))
            >>> regressor = FlowRegressor(random_state=0).fit(x, np.where(x[:, 0] > 0, "high", "low"))
            >>> regressor.classes_.tolist(), regressor.predict([[2.0], [-2.0]]).tolist()
            (['high', 'low'], ['high', 'low'])
            >>> bool(regressor.predict_proba([[2.0]])[0, 0] > 0.9)
            True
        """
        chances = self._chances(self._contexts(X))
        return next(iter(chances.values())) if self._flat else list(chances.values())

    @property
    def classes_(self) -> Any:
        """The classes of a categorical target; of several targets a list with one array for each categorical one."""
        check_is_fitted(self)
        found = [np.asarray(self._labels(output)) for output in self._categorical()]
        if not found:
            raise AttributeError("classes_: no target is categorical")
        return found[0] if self._flat else found

    def _categorical(self) -> list[int]:
        """Which targets have classes."""
        return [output for output, field in enumerate(self._target.fields) if field.categories is not None]

    def _labels(self, output: int) -> pd.Index:
        labels = self._target.fields[output].categories
        assert labels is not None
        return labels

    def _labelled(self, values: Array) -> Any:
        """Targets as numbers ``(n, outputs)`` as users have them: with labels where there are classes."""
        if not self._categorical():
            return self._shaped(values)
        written = self._target.write(values)
        if self._flat:
            return np.asarray(written.iloc[:, 0] if self._target.is_frame else written[:, 0])
        return written

    def _chances(self, contexts: Array) -> dict[int, Array]:
        """The probabilities ``(n, classes)`` of the classes of each categorical target."""
        counts = {output: len(self._labels(output)) for output in self._categorical()}
        if self._code.features <= 1:
            return {output: self._exact_chances(contexts, output, count) for output, count in counts.items()}
        parts: dict[int, list[Array]] = {output: [] for output in counts}
        latents, weights = mean_points(self._code.features)
        for images in self._images(latents, contexts) if counts else ():
            for output, count in counts.items():
                hits = images[..., output, None] == np.arange(count)
                parts[output].append(np.tensordot(weights, hits, axes=1))
        return {output: np.concatenate(found) for output, found in parts.items()}

    def _exact_chances(self, contexts: Array, output: int, count: int) -> Array:
        parts = []
        for rows in slices(len(contexts), contexts.shape[1], repeats=count):
            targets = np.tile(self._code.constants, (count * (rows.stop - rows.start), 1))
            targets[:, output] = np.tile(np.arange(count), rows.stop - rows.start)
            repeated = np.repeat(contexts[rows], count, axis=0)
            parts.append(log_density(self.flow_, self._code, self._cell_points, targets, repeated).reshape(-1, count))
        masses = np.exp(np.concatenate(parts))
        return masses / masses.sum(1, keepdims=True)

    def _images(self, latents: Array, contexts: Array) -> Iterator[Array]:
        """Yield the targets of latents ``(points, D)`` at some contexts at a time, ``(points, n, outputs)``."""
        for rows in slices(len(contexts), self._code.width + contexts.shape[1], repeats=len(latents)):
            part = contexts[rows]
            repeated = np.repeat(latents, len(part), axis=0)
            targets = decode(self.flow_, self._code, repeated, np.tile(part, (len(latents), 1)))
            yield targets.reshape(len(latents), len(part), self.n_outputs_)

    def _shaped(self, values: Array) -> Array:
        return values[..., 0] if self._flat else values

    @abstractmethod
    def _contexts(self, X: Any) -> Array:
        """Return the inputs of the flow's networks, ``(n, C)``, of features."""
