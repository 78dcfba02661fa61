"""What an estimator says of itself and of the columns that it models."""

from __future__ import annotations

import warnings
from typing import Any

from sklearn.utils.validation import check_is_fitted

from pushforward.errors import DataWarning
from pushforward.tables.codes import LatentCode
from pushforward.tables.report import ColumnReports


class Described:
    """An estimator whose columns can be looked at."""

    _code: LatentCode

    @property
    def columns_(self) -> ColumnReports:
        """How each column is modelled, and why: its kind, bounds, atoms and share of missing values."""
        check_is_fitted(self)
        return self._reports()[0]

    def summary(self) -> str:
        """Return a text of what was inferred of the columns and of the flow that was trained."""
        check_is_fitted(self)
        flow: Any = getattr(self, "flow_", None)
        count = 0 if flow is None else sum(weights.numel() for weights in flow.parameters())
        first = f"{type(self).__name__} over {self._code.features} columns, a flow of {count:,} weights"
        return "\n\n".join([first, *map(repr, self._reports())])

    def _reports(self) -> list[ColumnReports]:
        return [self._code.report]


def warn_of_columns(reports: ColumnReports) -> None:
    """Tell once, in one warning, of columns that are not modelled: constants and identifiers.

    A column that repeats another is modelled; its report says so.
    """
    told = {kind: [repr(report.name) for report in reports if report.kind == kind] for kind in ("constant", "id")}
    parts = [
        f"{', '.join(names[:10])} ({meaning})"
        for names, meaning in ((told["constant"], "constant"), (told["id"], "identifiers"))
        if names
    ]
    if parts:
        warnings.warn(f"columns that are not modelled: {'; '.join(parts)}", DataWarning, stacklevel=3)
