"""Discrete flows of sequences beside their bases alone.

- Text: test bits per character in windows of 16 characters of the text that comes with the library.
- Addition: bits of a sum of two numbers of ten digits, given them, beside the base that does not see them; the truth
  is 0.
- Potts model of 4 x 4 places and three states: nats of a lattice. The entropy is in the cell's description.

Each by flows of two layers: a bipartite flow (in two parts; of a text the characters at even places and those at odd
ones) and an autoregressive flow, both over independent categories, and an autoregressive flow over an autoregressive
base. "Ours" is the flow, "other" its base alone, after as many steps each, as the best validation leaves them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import pushforward as pf
from pushforward.data import Potts, addition, load_wonderland
from pushforward.distributions import FromOneHot, OneHotCategorical
from pushforward.scalar import ModularAffine
from pushforward.transforms import Integers, OneHotAutoregressive

LENGTH, LAYERS, HIDDEN = 16, 2, 256
STEPS, STEPS_A_SECOND = 4000, 20
TRAINING: dict[str, Any] = {"batch_size": 256, "learning_rate": 1e-2, "ema": None, "progress": False, "seed": 0}
Part = tuple[Tensor, Tensor | None]
Recipe = Callable[..., pf.Flow]


def over_independent(features: int, classes: int, context: int, layers: int, hidden: int) -> pf.Flow:
    """An autoregressive flow over independent categories."""
    operation, widths = ModularAffine(classes), (hidden, hidden)
    parts = [OneHotAutoregressive(features, operation, context, hidden=widths) for _ in range(layers)]
    base = OneHotCategorical(features, classes)
    return pf.Flow([Integers(classes)], FromOneHot(pf.Flow(parts, base) if parts else base))


KINDS: dict[str, Recipe] = {
    "bipartite": pf.models.discrete_flow,
    "autoregressive": over_independent,
    "autoregressive, over an autoregressive base,": partial(pf.models.discrete_flow, autoregressive=True),
}


def run(seconds: float | None, data: Path) -> list[dict[str, object]]:
    """Text, sums and a Potts model."""
    steps = STEPS if seconds is None else max(1, round(seconds * STEPS_A_SECOND))
    return [*text(steps), *sums(steps), *potts(steps)]


def text(steps: int) -> list[dict[str, object]]:
    """Bits per character."""
    windows = load_wonderland(LENGTH)
    apart = torch.cat([torch.arange(0, LENGTH, 2), torch.arange(1, LENGTH, 2)])
    lines: list[dict[str, object]] = []
    for name, recipe in KINDS.items():
        order = apart if name == "bipartite" else torch.arange(LENGTH)
        parts: list[Part] = [(part[:, order], None) for part in windows.parts().values()]
        nats = beside_its_base(parts, 27, recipe, steps)
        ours, other = (each / (LENGTH * math.log(2)) for each in nats)
        what = f"text, test bits per character after {steps} steps: {name} flow beside its base alone"
        lines.append({"what": what, "ours": ours, "other": other, "asked": "ours < other"})
    return lines


def sums(steps: int) -> list[dict[str, object]]:
    """Bits of a sum of ten digits, given the summands."""
    generator = torch.Generator().manual_seed(0)
    parts: list[Part] = []
    for rows in (20_000, 1000, 1000):
        total, summands = addition(rows, 10, generator=generator)
        parts.append((total, torch.nn.functional.one_hot(summands.long(), 10).flatten(1).float()))
    lines: list[dict[str, object]] = []
    for name, recipe in KINDS.items():
        ours, other = (each / math.log(2) for each in beside_its_base(parts, 10, recipe, steps))
        what = f"addition, bits of a sum after {steps} steps: {name} flow beside its base alone"
        lines.append({"what": what, "ours": ours, "other": other, "asked": "ours < other"})
    return lines


def potts(steps: int) -> list[dict[str, object]]:
    """Nats of a lattice."""
    model, generator = Potts(4, 3, 0.5), torch.Generator().manual_seed(0)
    parts: list[Part] = [(model.sample(rows, generator=generator), None) for rows in (20_000, 2000, 5000)]
    entropy = -model.log_prob(parts[-1][0]).mean().item()
    lines: list[dict[str, object]] = []
    for name, recipe in KINDS.items():
        ours, other = beside_its_base(parts, 3, recipe, steps)
        what = f"Potts, nats after {steps} steps (entropy {entropy:.3f}): {name} flow beside its base alone"
        lines.append({"what": what, "ours": ours, "other": other, "asked": "ours < other"})
    return lines


def beside_its_base(parts: list[Part], classes: int, recipe: Recipe, steps: int) -> tuple[float, float]:
    """The test nats of a flow and of its base without any map before it, which sees no context."""
    without: list[Part] = [(x, None) for x, _ in parts]
    return trained(parts, classes, recipe, LAYERS, steps), trained(without, classes, recipe, 0, steps)


def trained(parts: list[Part], classes: int, recipe: Recipe, layers: int, steps: int) -> float:
    """The test nats of one discrete flow."""
    (train, context), validation, (test, given) = parts
    torch.manual_seed(0)
    features, seen_features = train.shape[1], 0 if context is None else context.shape[1]
    flow = recipe(features=features, classes=classes, context=seen_features, layers=layers, hidden=HIDDEN)
    seen, held = (train, validation[0]) if context is None else ((train, context), validation)
    pf.fit(flow, seen, held, max_steps=steps, **TRAINING)
    with torch.no_grad():
        return -flow.log_prob(test, given).double().mean().item()
