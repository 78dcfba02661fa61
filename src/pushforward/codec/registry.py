"""What the codecs' registries say of a part that is not in them."""

from __future__ import annotations

from functools import partial

from pushforward.errors import UsageError

_EXACT = (
    "export expects integer parts that have an exact form (shifts, permutations, squeezes, factor-out, discrete "
    "bases, PixelCNN and GatedPixelCNN, networks of linear layers or convolutions and ReLU)"
)
_BITS_BACK = (
    "local bits-back coding expects couplings, autoregressive layers, 1x1 convolutions, elementwise layers, "
    "permutations, squeezes, factor-out, and normal or logistic bases behind one Dequantization"
)


def _unknown(expected: str, part: object, registry: str) -> UsageError:
    name = type(part).__name__
    return UsageError(
        f"{expected}, got {name}: register how {name} is coded with @pushforward.codec.{registry}.register"
    )


no_exact_form = partial(_unknown, _EXACT)
"""The error of a part and the registry that could hold its exact form."""

no_way_through = partial(_unknown, _BITS_BACK)
"""The error of a part and the registry that could hold how it is coded by bits-back."""
