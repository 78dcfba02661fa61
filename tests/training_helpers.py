"""Small flows and data that the tests of training share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward.distributions import StandardNormal
from pushforward.scalar import Affine
from pushforward.transforms import Dequantization, Elementwise


def affine_flow(features: int = 2) -> pf.Flow:
    return pf.Flow([Elementwise(Affine(), (features,))], StandardNormal((features,)))


def small_flow() -> pf.Flow:
    torch.manual_seed(0)
    return pf.build("realnvp", features=2, layers=2)


def moons(rows: int = 512) -> Tensor:
    return pf.data.toy("moons").sample(rows, torch.Generator().manual_seed(0))


def fit(flow: pf.Flow, *data: object, **options: object) -> pf.training.FitResult:
    return pf.fit(flow, *data, **{"progress": False, "seed": 0, **options})  # type: ignore[arg-type]


def weights(flow: nn.Module) -> list[Tensor]:
    return [value.clone() for value in flow.state_dict().values()]


def same(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def image_flow() -> pf.Flow:
    torch.manual_seed(1)
    return pf.Flow([Dequantization(17), Elementwise(Affine(), (1, 4, 4))], StandardNormal((1, 4, 4)))
