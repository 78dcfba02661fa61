"""Small instances of every named model, and events and contexts for them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward.models import recipe_options
from pushforward.spaces import Circle, Interval, Product, Sphere
from pushforward.testing.reference import points_of

SMALL = {"layers": 2, "hidden": 8}
# What a model cannot do without, or what keeps it small here.
SPECIAL: dict[str, dict[str, Any]] = {
    "cdf-1d": {"features": 1, "layers": 1},
    "idf": {"layers": 1, "hidden": [8]},
    "coarse-to-fine": {"hidden": [8]},
    "discrete-flow": {"classes": 5},
    "nade": {"classes": 5},
    "videoflow": {"clip": (2, 1, 8, 8), "first": 0},
}
# Models of whole numbers, not of the reals.
DISCRETE = {"idf", "coarse-to-fine", "idf-vector", "discrete-flow", "categorical-flow"}
DISCRETE |= {"pixelcnn", "gated-pixelcnn", "pixelcnn-pp", "pixelrnn", "nade", "graph-cnf"}
NAMES = list(pf.list_models())
# Models of circles and spheres.
MANIFOLDS = {"torus", "torus-coupling", "torus-cnf", "sphere-cnf", "sphere-exponential", "sphere-recursive"}
# Of numbers from 0 to 1.
BOXED = {"deep-density"}
# Whose parts the data place: without parameters, and so without gradients.
PLACED = {"rbig", "tabak-turner"}
VECTORS = [name for name in NAMES if "features" in recipe_options(name) and name not in DISCRETE | MANIFOLDS | BOXED]
CONDITIONAL = [name for name in NAMES if "context" in recipe_options(name)]
IMAGES = [name for name in NAMES if "shape" in recipe_options(name)]


def configuration(name: str, **extra: Any) -> dict[str, Any]:
    """Options of a small instance; of NICE and RealNVP, which do both, for vectors unless a shape is given."""
    options = recipe_options(name)
    vectors = "features" in options and "shape" not in extra
    kind = {"features": 2} if vectors else {"shape": (1, 8, 8), "levels": 5}
    config = {**kind, **SMALL, **SPECIAL.get(name, {}), **extra}
    return {key: value for key, value in config.items() if key in options}


def small(name: str, **extra: Any) -> pf.Flow:
    """A small instance with random parameters."""
    # Choices of categories change with large parameters alone.
    scale = 2.0 if name == "discrete-flow" else 0.2
    return pf.testing.randomise(pf.build(name, **configuration(name, **extra)), scale=scale).eval()


def events(flow: pf.Flow, count: int) -> Tensor:
    """Random events of a flow."""
    generator = torch.Generator().manual_seed(1)
    if isinstance(flow.support, Circle | Sphere):
        return points_of(flow.support, count).float()
    if isinstance(flow.support, Interval):
        return flow.sample(count, generator=generator)
    if isinstance(flow.support, Product) and flow.support.discrete:
        return flow.support.nearest(3 * torch.rand(count, *flow.event_shape, generator=generator)).long()
    if flow.levels is None:
        return torch.randn(count, *flow.event_shape, generator=generator)
    return torch.randint(flow.levels, (count, *flow.event_shape), generator=generator)


def summary_network() -> nn.Module:
    """An embedding of images of 6 x 6 pixels: 4 features."""
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(32, 4))


def context_for(flow: pf.Flow, count: int) -> Tensor | None:
    """Random contexts of a flow, None for one without."""
    if flow.context_shape is None:
        return None
    return torch.randn(count, *flow.context_shape, generator=torch.Generator().manual_seed(2))
