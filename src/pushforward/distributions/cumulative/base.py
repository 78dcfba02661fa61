"""What every network of a distribution function is."""

from __future__ import annotations

from torch import Tensor

from pushforward.distributions.base import Distribution


class CumulativeNetwork(Distribution):
    """A distribution given by a network ``H(x)`` of its distribution function; its density is ``H``'s derivative by all
    dimensions, ``p(x) = d^D H / dx_1 ... dx_D``.

    To write one, write what :class:`Distribution` asks for and :meth:`cdf`.
    """

    def cdf(self, x: Tensor) -> Tensor:
        """Return ``H(x)``, of ``batch_shape``."""
        raise NotImplementedError(f"{type(self).__name__} has no cdf: a CumulativeNetwork is abstract")

    def decrease(self, x: Tensor) -> Tensor:
        """Return how much the network decreases near events ``(N, D)``, a scalar: 0 where it cannot."""
        return x.new_zeros(())
