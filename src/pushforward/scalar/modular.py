"""Modular arithmetic on categories: shifts and invertible multiplications round the circle of K values."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.scalar.arguments import check_counts
from pushforward.scalar.base import ScalarBijection
from pushforward.scalar.choices import learned_choice
from pushforward.spaces import OneHot


def extended_euclid(a: int, b: int) -> tuple[int, int, int]:
    """Return ``(g, s, t)`` with ``g = gcd(a, b) = s a + t b``.

    Example:
        >>> extended_euclid(7, 10)
        (1, 3, -2)
    """
    s, next_s, t, next_t = 1, 0, 0, 1
    while b:
        quotient, remainder = divmod(a, b)
        a, b = b, remainder
        s, next_s = next_s, s - quotient * next_s
        t, next_t = next_t, t - quotient * next_t
    return a, s, t


def modular_inverses(classes: int) -> list[int]:
    """For each number ``0 .. K - 1`` its inverse modulo ``K``, or 0 where it has none (it shares a factor with ``K``).

    Example:
        >>> modular_inverses(10)
        [0, 1, 0, 7, 0, 0, 0, 3, 0, 9]
    """
    if classes == 1:
        return [0]
    found = (extended_euclid(number, classes) for number in range(classes))
    return [s % classes if divisor == 1 else 0 for divisor, s, _ in found]


class ModularAffine(ScalarBijection):
    r"""The modular location-scale map of categories, ``z = (mu + sigma x) mod K`` (Tran et al. 2019, Discrete Flows,
    arXiv:1905.10347).

    The elements are one-hot: ``x`` is ``(..., K)``, and parameters are ``(..., 2 K)``: ``K`` logits of ``mu``, then
    ``K`` of ``sigma``, of which only those coprime to ``K`` count: they have an inverse modulo ``K``, found by the
    extended Euclid algorithm. The largest logit wins; what stands in for its gradient is :func:`learned_choice`, where
    the paper has that of a softmax, and the gradient reaches ``x`` as well. Zeros are the identity. The
    log-derivative, of shape ``(...)``, is 0.

    Args:
        classes: the number of categories ``K``.

    Raises:
        UsageError: for fewer than two classes.

    Example:
        >>> x = torch.eye(3)[[2]]
        >>> shift_by_two = torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0, 0.0]])
        >>> ModularAffine(3).forward(x, shift_by_two)[0].argmax(-1)
        tensor([1])
    """

    def __init__(self, classes: int) -> None:
        check_counts("ModularAffine", least=2, classes=classes)
        self.classes = classes
        self.domain = self.codomain = OneHot(1, classes)
        self.num_parameters = 2 * classes
        inverses = modular_inverses(classes)
        self._scales = torch.tensor([number for number in range(classes) if inverses[number]])
        self._inverses = torch.tensor(inverses)

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        locations, scales, location, scale = self._choices(x, parameters)
        every, value = torch.arange(self.classes, device=x.device), x.argmax(-1, keepdim=True)
        z = x.gather(-1, (self._inverse_of(scale) * (every - location)) % self.classes)
        z = z + locations.gather(-1, (every - scale * value) % self.classes)
        led_to = location + self._scales.to(x.device) * value
        return self._with_led_to(z, scales, led_to), torch.zeros_like(x[..., 0])

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        locations, scales, location, scale = self._choices(z, parameters)
        every, value = torch.arange(self.classes, device=z.device), z.argmax(-1, keepdim=True)
        x = z.gather(-1, (location + scale * every) % self.classes)
        x = x + locations.gather(-1, (value - scale * every) % self.classes)
        led_to = self._inverse_of(self._scales.to(z.device)) * (value - location)
        return self._with_led_to(x, scales, led_to), torch.zeros_like(z[..., 0])

    def _choices(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """For each location and each scale that can be chosen a zero that carries to its logit the gradient of the
        category that it would have led to; the location and the scale that are chosen."""
        location_logits, scale_logits = parameters.to(x.dtype).chunk(2, -1)
        scales = self._scales.to(parameters.device)
        scale_logits = scale_logits.index_select(-1, scales)
        chosen = location_logits.argmax(-1, keepdim=True), scales[scale_logits.argmax(-1, keepdim=True)]
        return learned_choice(location_logits), learned_choice(scale_logits), *chosen

    def _with_led_to(self, value: Tensor, scales: Tensor, led_to: Tensor) -> Tensor:
        """What the zeros ``scales`` carry, added where each of the scales leads to."""
        return value + torch.zeros_like(value).scatter_add(-1, led_to % self.classes, scales)

    def _inverse_of(self, scale: Tensor) -> Tensor:
        return self._inverses.to(scale.device)[scale]
