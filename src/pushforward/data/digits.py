"""The 8x8 handwritten digits that scikit-learn ships (Alpaydin and Kaynak 1998)."""

from __future__ import annotations

from typing import Any

import numpy as np

from pushforward.data.dataset import Dataset, as_float
from pushforward.extras import requires


def load_digits() -> Dataset:
    """The embedded digits: 1797 images ``(1, 8, 8)`` of 17 levels; rows 0-999 train, 1000-1349 validate, the rest test.

    Example:
        >>> digits = load_digits()
        >>> digits.event_shape, digits.levels, len(digits.train), len(digits.validation), len(digits.test)
        ((1, 8, 8), 17, 1000, 350, 447)
    """
    images = as_float(_embedded().images.astype(np.float32))[:, None]
    train, validation, test = _parts(images)
    return Dataset("digits", train, validation, test, levels=17)


def digits_labels() -> tuple[np.ndarray[Any, Any], ...]:
    """Which digit each image is, in the parts of `load_digits`."""
    return _parts(_embedded().target)


def _embedded() -> Any:
    with requires("data", purpose="reading the digits"):
        from sklearn.datasets import load_digits as embedded

    return embedded()


def _parts(x: Any) -> tuple[Any, ...]:
    return x[:1000], x[1000:1350], x[1350:]
