"""Shifts and scalings: the additive bijection of NICE, the affine ones of RealNVP and the gated one of IAF."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from pushforward.numerics import bounded
from pushforward.scalar.arguments import check_positive
from pushforward.scalar.base import ScalarBijection

MAX_RAW_GATE = 7.0


class Additive(ScalarBijection):
    r"""A shift, ``z = x + t`` (Dinh, Krueger, Bengio 2014, NICE, arXiv:1410.8516).

    Parameters per element: the shift ``t``. The derivative is 1.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)`` with ``P = 1``.

    Example:
        >>> z, log_dz = Additive().forward(torch.tensor([1.0]), torch.tensor([[0.5]]))
        >>> z.item(), log_dz.item()
        (1.5, 0.0)
    """

    num_parameters = 1

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return x + parameters[..., 0], torch.zeros_like(x)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return z - parameters[..., 0], torch.zeros_like(z)


class Affine(ScalarBijection):
    r"""A shift and a scaling, ``z = (x + t) exp(s)``, with ``s = raw / (1 + |raw| / bound)`` (Dinh, Sohl-Dickstein,
    Bengio 2016, RealNVP, arXiv:1605.08803).

    Parameters per element, in this order: the raw log-scale, the shift ``t``. The softsign bounds like a tanh and
    costs a division.

    Args:
        bound: the largest absolute log-scale; it keeps ``exp`` finite however large the network's output.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)`` with ``P = 2``.

    Raises:
        UsageError: a bound that is not positive.

    Example:
        >>> parameters = torch.tensor([[0.0, 1.0]])
        >>> z, log_dz = Affine().forward(torch.tensor([1.0]), parameters)
        >>> z.item(), log_dz.item()
        (2.0, 0.0)
    """

    num_parameters = 2

    def __init__(self, bound: float = 5.0) -> None:
        check_positive("Affine", bound=bound)
        self.bound = bound

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        minus_log_scale, shift = self._constrain(parameters)
        log_scale = -minus_log_scale
        return (x + shift) * torch.exp(log_scale), log_scale

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        minus_log_scale, shift = self._constrain(parameters)
        return z * torch.exp(minus_log_scale) - shift, minus_log_scale

    def _constrain(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        raw, shift = parameters.unbind(-1)
        # A softsign, where bounded() takes four operations more. -1 - |raw| / bound is one operation: sampling an
        # autoregressive flow makes each on a few numbers alone.
        return raw / torch.rsub(raw.abs(), -1.0, alpha=1.0 / self.bound), shift


class LearnedBoundAffine(ScalarBijection):
    r"""An affine map whose log-scale is bounded by a learned factor, ``s = tanh(raw / f) f`` with ``f = exp(a)``
    (the coupling of the UvA deep learning tutorials, Lippe 2022).

    Parameters per element, in this order: the raw log-scale, the shift ``t``, and ``a``, which a structure learns
    once per dimension (``num_shared = 1``). ``f`` is kept between ``exp(-5)`` and ``exp(2)``, which training does not
    reach and extreme parameters must not pass.

    Example:
        >>> z, log_dz = LearnedBoundAffine().forward(torch.tensor([1.0]), torch.tensor([[100.0, 0.0, 0.0]]))
        >>> round(log_dz.item(), 4)
        1.0
    """

    num_parameters = 3
    num_shared = 1

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, shift = self._constrain(parameters)
        return (x + shift) * torch.exp(log_scale), log_scale

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, shift = self._constrain(parameters)
        return z * torch.exp(-log_scale) - shift, -log_scale

    def _constrain(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        raw, shift, log_factor = parameters.unbind(-1)
        # The tutorials' own formula, so that their models are theirs to the last parameter's meaning.
        factor = torch.exp(log_factor.clamp(-5.0, 2.0))
        return torch.tanh(raw / factor) * factor, shift


class GatedAffine(ScalarBijection):
    r"""A gate between a number and another, ``z = g x + (1 - g) m`` with ``g = sigmoid(s)``: the numerically stable
    update of inverse autoregressive flows (Kingma, Salimans, Jozefowicz, Chen, Sutskever, Welling 2016,
    arXiv:1606.04934, equation 14).

    Parameters per element, in this order: the raw gate, ``s = start + raw`` with ``raw`` bounded smoothly to +-7, and
    ``m``. The map only ever contracts, ``log_dz = log g < 0``, so that no chain of them blows up.

    Args:
        start: ``s`` where the network emits zero; the gate is then nearly open, ``sigmoid(2) = 0.88``.

    Raises:
        nothing: whatever a network emits is bounded.

    Example:
        >>> z, log_dz = GatedAffine(start=0.0).forward(torch.tensor([1.0]), torch.tensor([[0.0, 3.0]]))
        >>> z.item(), round(log_dz.exp().item(), 4)
        (2.0, 0.5)
    """

    num_parameters = 2

    def __init__(self, start: float = 2.0) -> None:
        self.start = start

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        gate, target = self._constrain(parameters)
        return torch.lerp(target, x, torch.sigmoid(gate)), logsigmoid(gate)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        gate, target = self._constrain(parameters)
        # 1 / sigmoid(s) = 1 + exp(-s), so that x - z = exp(-s) (z - m).
        return z + torch.exp(-gate) * (z - target), -logsigmoid(gate)

    def _constrain(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        raw, target = parameters.unbind(-1)
        return self.start + bounded(raw, MAX_RAW_GATE), target


class Scaling(ScalarBijection):
    r"""A positive scaling, ``z = x exp(s)``, with ``s`` bounded smoothly: the top layer of NICE (Dinh, Krueger, Bengio
    2014, arXiv:1410.8516).

    Parameters per element: the raw log-scale.

    Args:
        bound: the largest absolute log-scale; it keeps ``exp`` finite however large the network's output.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)`` with ``P = 1``.

    Raises:
        UsageError: a bound that is not positive.

    Example:
        >>> z, log_dz = Scaling().forward(torch.tensor([3.0]), torch.tensor([[0.0]]))
        >>> z.item(), log_dz.item()
        (3.0, 0.0)
    """

    num_parameters = 1

    def __init__(self, bound: float = 5.0) -> None:
        check_positive("Scaling", bound=bound)
        self.bound = bound

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        log_scale = bounded(parameters[..., 0], self.bound)
        return x * torch.exp(log_scale), log_scale

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        log_scale = bounded(parameters[..., 0], self.bound)
        return z * torch.exp(-log_scale), -log_scale
