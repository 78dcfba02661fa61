"""Scikit-learn's multilayer perceptrons of two classes, several of them trained at once.

Its networks of a few dozen units spend most of their time between operations. Networks that are trained on as many rows
each, as those of a cross-validation are, draw the same random numbers in scikit-learn, so that one matrix product can
do the work of all: `fit_perceptrons` follows ``MLPClassifier(hidden_layer_sizes=(width, width), random_state=seed)``
step by step, and differs from it by rounding alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

# The defaults of scikit-learn's classifier.
BATCH = 200
LEARNING_RATE, MEAN_DECAY, SQUARE_DECAY, EPSILON = 1e-3, 0.9, 0.999, 1e-8
PENALTY = 1e-4
TOLERANCE, PATIENCE = 1e-4, 10

Layers = list[tuple[Tensor, Tensor]]


@torch.no_grad()
def fit_perceptrons(
    rows: Tensor, labels: Tensor, width: int, seed: int, most_epochs: int = 1000
) -> Callable[[Tensor], Tensor]:
    """Train ``K`` networks of two hidden layers of ReLU units, each until its loss no longer falls.

    Args:
        rows: ``(K, n, D)``, of which network ``k`` sees ``rows[k]``.
        labels: ``(K, n)``, true or false.
        width: of both hidden layers.
        seed: of each network's start and order of rows.
        most_epochs: when to end at the latest.

    Returns:
        a function from rows ``(K, m, D)`` to the probability of true, ``(K, m)``.

    Source: Pedregosa et al. (2011), JMLR 12, 2825-2830; Kingma, Ba (2014), arXiv:1412.6980.

    Example:
        >>> rows = torch.linspace(-1, 1, 400).view(1, 400, 1).repeat(2, 1, 1)
        >>> labels = torch.stack([rows[0, :, 0] > 0, rows[1, :, 0] < 0])
        >>> probability = fit_perceptrons(rows, labels, width=10, seed=0)
        >>> (probability(torch.tensor([[[-0.9], [0.9]]] * 2)) > 0.5).tolist()
        [[False, True], [True, False]]
    """
    random = np.random.RandomState(seed)
    networks = _Networks(len(rows), (rows.shape[2], width, width, 1), random, rows.dtype)
    going = np.arange(len(rows))
    ended: dict[int, Layers] = {}
    best, waited = np.full(len(rows), np.inf), np.zeros(len(rows), int)
    order = np.arange(rows.shape[1])
    targets = labels.to(rows.dtype)
    for _ in range(most_epochs):
        order = order[random.permutation(len(order))]
        places = torch.from_numpy(order)
        losses = networks.epoch(rows[:, places], targets[:, places])
        waited = np.where(losses > best - TOLERANCE, waited + 1, 0)
        best = np.minimum(best, losses)
        on = waited <= PATIENCE
        if on.all():
            continue
        ended |= {int(going[place]): networks.network(int(place)) for place in np.flatnonzero(~on)}
        kept = torch.from_numpy(np.flatnonzero(on))
        going, best, waited = going[on], best[on], waited[on]
        if not len(going):
            break
        networks.keep(kept)
        rows, targets = rows[kept], targets[kept]
    ended |= {int(number): networks.network(place) for place, number in enumerate(going)}
    final = [ended[number] for number in range(len(labels))]
    layers = [
        (torch.stack([w for w, _ in each]), torch.stack([b for _, b in each])) for each in zip(*final, strict=True)
    ]
    return lambda given: _activations(given, layers)[-1].squeeze(2).sigmoid()


class _Networks:
    """Parameters and Adam's moments of networks that go on, in one row of numbers: what is done to each of them takes
    one operation."""

    def __init__(self, count: int, units: tuple[int, ...], random: np.random.RandomState, dtype: torch.dtype) -> None:
        starts = [_start(inputs, outputs, random, dtype) for inputs, outputs in pairwise(units)]
        self._shapes = [weight.shape for weight, _ in starts] + [bias.shape for _, bias in starts]
        starting = [weight for weight, _ in starts] + [bias for _, bias in starts]
        self._values = torch.cat([each.flatten().repeat(count) for each in starting])
        self._gradients, self._means, self._squares = (torch.zeros_like(self._values) for _ in range(3))
        self._steps = 0
        self._take(count)

    def epoch(self, rows: Tensor, targets: Tensor) -> np.ndarray:
        """Go through the rows ``(K, n, D)`` once, and return the mean loss of each network."""
        logits, penalties = torch.empty_like(targets), torch.zeros_like(targets[:, 0])
        for start in range(0, rows.shape[1], BATCH):
            part = slice(start, start + BATCH)
            penalties += sum(weight.square().sum((1, 2)) for weight, _ in self._layers)
            logits[:, part] = self._step(rows[:, part], targets[:, part])
        losses = F.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(1)
        return ((losses + 0.5 * PENALTY * penalties) / rows.shape[1]).double().numpy()

    def network(self, place: int) -> Layers:
        """The layers of one of them."""
        return [(weight[place].clone(), bias[place].clone()) for weight, bias in self._layers]

    def keep(self, places: Tensor) -> None:
        """Go on with some of them alone."""
        for name in ("_values", "_gradients", "_means", "_squares"):
            setattr(self, name, torch.cat([each[places].flatten() for each in self._split(getattr(self, name))]))
        self._take(len(places))

    def _take(self, count: int) -> None:
        self._count = count
        depth = len(self._shapes) // 2
        values, gradients = self._split(self._values), self._split(self._gradients)
        self._layers: Layers = list(zip(values[:depth], values[depth:], strict=True))
        self._slopes: Layers = list(zip(gradients[:depth], gradients[depth:], strict=True))
        self._penalised = count * sum(shape.numel() for shape in self._shapes[:depth])

    def _split(self, numbers: Tensor) -> list[Tensor]:
        """The weights ``(K, inputs, outputs)`` of all layers, then their biases ``(K, 1, outputs)``."""
        parts = numbers.split([len(numbers) // self._size * shape.numel() for shape in self._shapes])
        return [part.view(-1, *shape) for part, shape in zip(parts, self._shapes, strict=True)]

    @property
    def _size(self) -> int:
        return sum(shape.numel() for shape in self._shapes)

    def _step(self, rows: Tensor, targets: Tensor) -> Tensor:
        """One step of Adam on a batch; returns the logits before it."""
        values = _activations(rows, self._layers)
        logits = values[-1].squeeze(2)
        change = ((logits.sigmoid() - targets) / rows.shape[1]).unsqueeze(2)
        for index in reversed(range(len(self._layers))):
            weight_slope, bias_slope = self._slopes[index]
            torch.bmm(values[index].mT, change, out=weight_slope)
            torch.sum(change, 1, keepdim=True, out=bias_slope)
            if index:
                change = torch.bmm(change, self._layers[index][0].mT).mul_(values[index] > 0)
        penalised = slice(self._penalised)
        self._gradients[penalised].add_(self._values[penalised], alpha=PENALTY / rows.shape[1])
        self._descend()
        return logits

    def _descend(self) -> None:
        self._steps += 1
        self._means.lerp_(self._gradients, 1 - MEAN_DECAY)
        self._squares.mul_(SQUARE_DECAY).addcmul_(self._gradients, self._gradients, value=1 - SQUARE_DECAY)
        rate = LEARNING_RATE * math.sqrt(1 - SQUARE_DECAY**self._steps) / (1 - MEAN_DECAY**self._steps)
        self._values.addcdiv_(self._means, self._squares.sqrt().add_(EPSILON), value=-rate)


def _start(inputs: int, outputs: int, random: np.random.RandomState, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Uniform weights and biases of the scale of Glorot and Bengio (2010)."""
    bound = math.sqrt(6.0 / (inputs + outputs))
    weight = random.uniform(-bound, bound, (inputs, outputs))
    bias = random.uniform(-bound, bound, (1, outputs))
    return torch.from_numpy(weight).to(dtype), torch.from_numpy(bias).to(dtype)


def _activations(rows: Tensor, layers: Layers) -> list[Tensor]:
    """The rows, the values of the hidden layers, and the logits ``(K, n, 1)``."""
    values = [rows]
    for weight, bias in layers[:-1]:
        values.append(torch.baddbmm(bias, values[-1], weight).relu_())
    weight, bias = layers[-1]
    return [*values, torch.baddbmm(bias, values[-1], weight)]
