"""What every scalar bijection is: an increasing map of one number, given parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor


class ScalarBijection(ABC):
    r"""An increasing map ``z = h(x; parameters)`` of one number, applied element by element.

    A scalar bijection is stateless: the parameters come in, the value and the log-derivative go out, so that the
    same object serves coupling, autoregressive and elementwise structures alike. Parameters are unconstrained, as a
    network emits them; zeros give a map close to the identity.

    Attributes:
        num_parameters: how many parameters each element takes, ``P``.
        num_shared: how many of the *last* parameters a structure learns once per dimension instead of having a
            network emit them for each element.
        domain, codomain: the open intervals that the map leads from and to.
        tolerance: ``None`` when the inverse is a closed form, else the error at which an iterative inverse stops.
        light: whether it is a handful of operations, so that flows made of it are compiled as one.
    """

    num_parameters: int
    num_shared: int = 0
    domain: tuple[float, float] = (float("-inf"), float("inf"))
    codomain: tuple[float, float] = (float("-inf"), float("inf"))
    tolerance: float | None = None
    light: bool = False

    @abstractmethod
    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``z = h(x)`` and ``log h'(x)``, both of ``x``'s shape; ``parameters`` is ``x.shape + (P,)``."""

    @abstractmethod
    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``x = h^-1(z)`` and the log-derivative of the inverse, both of ``z``'s shape."""

    def __repr__(self) -> str:
        contract = ScalarBijection.__annotations__
        settings = ", ".join(
            f"{name}={value}" for name, value in vars(self).items() if not name.startswith("_") and name not in contract
        )
        return f"{type(self).__name__}({settings})"
