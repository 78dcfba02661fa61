"""The 8x8 handwritten digits that scikit-learn ships (Alpaydin and Kaynak 1998)."""

from __future__ import annotations

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
    with requires("data", purpose="reading the digits"):
        from sklearn.datasets import load_digits as embedded

    images = as_float(embedded().images.astype(np.float32))[:, None]
    return Dataset("digits", images[:1000], images[1000:1350], images[1350:], levels=17)
