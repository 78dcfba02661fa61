"""Transforms: which dimensions see which, and what reshapes or re-represents the data."""

from pushforward.transforms import masks
from pushforward.transforms.chain import Chain
from pushforward.transforms.coupling import Coupling
from pushforward.transforms.elementwise import ConditionalElementwise, Elementwise
from pushforward.transforms.inverse import Inverse
from pushforward.transforms.transform import Bijection, Transform

__all__ = [
    "Bijection",
    "Chain",
    "ConditionalElementwise",
    "Coupling",
    "Elementwise",
    "Inverse",
    "Transform",
    "masks",
]
