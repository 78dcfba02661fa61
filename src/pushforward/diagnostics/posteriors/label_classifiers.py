"""Classifiers that are trained on the same rows with different labels, all at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

BATCH = 256
LEARNING_RATE = 5e-3
WEIGHT_DECAY = 1e-2


def fit_classifiers(rows: Tensor, labels: Tensor, *, width: int, steps: int, seed: int) -> Callable[[Tensor], Tensor]:
    """Train one network of two hidden layers for each row of labels, with the same start and the same batches.

    So the networks differ by their labels alone, and what they say is exchangeable where labels are.

    Args:
        rows: ``(n, F)``.
        labels: ``(T, n)``, true or false.
        width: of the hidden layers.
        steps: of Adam with decoupled weight decay.
        seed: of the start and the batches.

    Returns:
        a function from rows ``(m, F)`` to the probability of true, ``(T, m)``.

    Example:
        >>> rows = torch.linspace(-1, 1, 64)[:, None]
        >>> labels = torch.stack([rows[:, 0] > 0, rows[:, 0] < 0])
        >>> probability = fit_classifiers(rows, labels, width=8, steps=200, seed=0)
        >>> (probability(torch.tensor([[-0.9], [0.9]])) > 0.5).tolist()
        [[False, True], [True, False]]
    """
    generator = torch.Generator().manual_seed(seed)
    rows, targets = rows.float(), labels.float()
    layers = _start(len(labels), rows.shape[1], width, generator)
    optimizer = torch.optim.AdamW(
        [each for layer in layers for each in layer], lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY
    )
    with torch.enable_grad():
        for _ in range(steps):
            batch = torch.randint(len(rows), (min(BATCH, len(rows)),), generator=generator)
            optimizer.zero_grad()
            logits = _logits(layers, rows[batch])
            # A sum over networks, so that none of them feels the others.
            F.binary_cross_entropy_with_logits(logits, targets[:, batch], reduction="none").mean(1).sum().backward()
            optimizer.step()
    final = [(weight.detach(), bias.detach()) for weight, bias in layers]
    return lambda given: _logits(final, given.float()).sigmoid()


def _start(count: int, features: int, width: int, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
    """The same weights for each network, of the scale that keeps values' own through a ReLU."""
    layers = []
    for inputs, outputs in ((features, width), (width, width), (width, 1)):
        weight = torch.randn(inputs, outputs, generator=generator) * (2.0 / inputs) ** 0.5
        layers.append((weight.repeat(count, 1, 1).requires_grad_(), torch.zeros(count, 1, outputs, requires_grad=True)))
    return layers


def _logits(layers: list[tuple[Tensor, Tensor]], rows: Tensor) -> Tensor:
    hidden = rows.expand(len(layers[0][0]), *rows.shape)
    for weight, bias in layers[:-1]:
        hidden = torch.baddbmm(bias, hidden, weight).relu()
    weight, bias = layers[-1]
    return torch.baddbmm(bias, hidden, weight).squeeze(-1)
