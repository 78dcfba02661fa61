"""Whether a model fits what it codes: the bits that it spends against those that it expects to."""

from __future__ import annotations

import warnings
from math import prod

from pushforward.codec.archive.encoding import Encoded
from pushforward.codec.model import CodecModel
from pushforward.errors import CodecError

_MUCH_MORE = 1.25
_AT_LEAST = 0.25
_FEW_EVENTS = 64


class MisfitWarning(UserWarning):
    """The model takes many more bits for the data than for data of its own.

    Example:
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("error", MisfitWarning)
        ...     warnings.warn("it takes 7.9 bits a dimension, and 1.2 for data of its own", MisfitWarning)
        Traceback (most recent call last):
            ...
        pushforward.codec.archive.fit.MisfitWarning: it takes 7.9 bits a dimension, and 1.2 for data of its own
    """


def warn_of_misfit(model: CodecModel, encoded: Encoded) -> None:
    """Warn where the blocks took many more bits a dimension than the model takes for what it would draw itself.

    A model of other data, of other levels, or of patches that are cut out of larger pictures spends more.
    """
    events = sum(group.total for group in encoded.groups if not group.is_opaque)
    if events < _FEW_EVENTS:
        return
    elements = prod(model.event_shape)
    try:
        expected = model.expected_bits() / elements
    # A flow whose inverse does not converge codes all the same.
    except CodecError:
        return
    spent = sum(max(8 * size - model.starting_bits, 0) for size in encoded.modelled)
    found = spent / events / elements
    if found > _MUCH_MORE * expected + _AT_LEAST:
        warnings.warn(
            f"the model does not fit the data: it takes {found:.2f} bits a dimension for them, and {expected:.2f} for "
            "data of its own; train it on data like these, in the same levels and of the same size",
            MisfitWarning,
            stacklevel=5,
        )
