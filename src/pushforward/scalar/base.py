"""What every scalar bijection is: a monotone map of one number, given parameters."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from pushforward.errors import UsageError
from pushforward.parts import Part
from pushforward.spaces import Interval, Reals, Space


class ScalarBijection(Part):
    r"""An increasing map ``z = h(x; parameters)`` of one number, applied element by element.

    A scalar bijection is stateless: the parameters come in, the value and the log-derivative go out, so that the
    same object serves coupling, autoregressive and elementwise structures alike. Parameters are unconstrained, as a
    network emits them; zeros give a map close to the identity.

    To write one, derive from this class, set ``num_parameters`` and write :meth:`forward` and :meth:`inverse`; where
    the log-derivative costs something, write :meth:`encode` and :meth:`decode` too, which return the value alone.

    Attributes:
        num_parameters: how many parameters each element takes, ``P``.
        num_shared: how many of the *last* parameters a structure learns once per dimension instead of having a
            network emit them for each element.
        domain, codomain: the spaces that the map leads from and onto, of shape ``()``.
        tolerance: ``None`` when the inverse is a closed form, else the error at which an iterative inverse stops.
        reach: where the map can be bent by its parameters; None where it is everywhere. A flow of splines sees
            nothing of data outside of their box.

    Source: Papamakarios, Nalisnick, Rezende, Mohamed, Lakshminarayanan (2021), Normalizing Flows for Probabilistic
    Modeling and Inference, arXiv:1912.02762, section 3.1, which calls them transformers.

    Example:
        >>> import torch
        >>> class Cubed(ScalarBijection):
        ...     num_parameters = 0
        ...     def forward(self, x, parameters):
        ...         return x ** 3, torch.log(3 * x.square())
        ...     def inverse(self, z, parameters):
        ...         x = z.sign() * z.abs() ** (1 / 3)
        ...         return x, -torch.log(3 * x.square())
        >>> Cubed().decode(torch.tensor([8.0]), torch.empty(1, 0)).round(decimals=4)
        tensor([2.])
    """

    num_parameters: int
    num_shared: int = 0
    domain: Space = Reals()
    codomain: Space = Reals()
    tolerance: float | None = None
    reach: Interval | None = None

    def check_made(self) -> None:
        """Raise :class:`UsageError` if a constructor left out what every scalar bijection has."""
        if not isinstance(getattr(self, "num_parameters", None), int):
            raise UsageError(f"{type(self).__name__} expects num_parameters, how many parameters a number takes")

    @abstractmethod
    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``z = h(x)`` and ``log h'(x)``, both of ``x``'s shape; ``parameters`` is ``x.shape + (P,)``."""

    @abstractmethod
    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``x = h^-1(z)`` and the log-derivative of the inverse, both of ``z``'s shape."""

    def encode(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Return ``z = h(x)`` alone."""
        return self.forward(x, parameters)[0]

    def decode(self, z: Tensor, parameters: Tensor) -> Tensor:
        """Return ``x = h^-1(z)`` alone."""
        return self.inverse(z, parameters)[0]
