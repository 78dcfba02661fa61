"""Base distributions: where a flow ends."""

from pushforward.distributions.distribution import Distribution
from pushforward.distributions.normal import ConditionalNormal, StandardNormal

__all__ = ["ConditionalNormal", "Distribution", "StandardNormal"]
