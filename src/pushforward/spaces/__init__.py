"""Spaces: where events live. A transform leads from one space to another, a distribution has one as its support.

A space knows which points it contains, how many dimensions it has intrinsically, its constraint in
``torch.distributions``, and how a network should see its points, so that a conditioner is continuous around a circle
without anybody thinking of it.

A space of which a part does not know all sizes (a normalisation of images does not know their height) has ``ANY`` in
their places.
"""

from pushforward.spaces.base import ANY, Anything, Space, fits_shape
from pushforward.spaces.context import as_context
from pushforward.spaces.continuous import Circle, Interval, Reals, Sphere
from pushforward.spaces.discrete import Categories, Integers, OneHot
from pushforward.spaces.product import Product, product_of

__all__ = [
    "ANY",
    "Anything",
    "Categories",
    "Circle",
    "Integers",
    "Interval",
    "OneHot",
    "Product",
    "Reals",
    "Space",
    "Sphere",
    "as_context",
    "fits_shape",
    "product_of",
]
