"""The random state of an estimator as scikit-learn means it: None, a seed, or a ``RandomState``."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state as as_random_state

from pushforward.errors import UsageError
from pushforward.seeds import check_seed


def check_random_state(random_state: Any) -> np.random.RandomState:
    """The ``RandomState`` that a random state stands for.

    Raises:
        UsageError: it stands for none, or is a seed outside of the range.
    """
    if isinstance(random_state, Integral):
        check_seed("random_state", random_state)
    try:
        return as_random_state(random_state)
    except ValueError as error:
        raise UsageError(f"random_state expects None, a seed or a numpy RandomState, got {random_state!r}") from error
