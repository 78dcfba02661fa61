"""Where the models of images and vectors without couplings start: near a normal of the data's location and scale."""

from __future__ import annotations

import pytest
import torch

import pushforward as pf


@pytest.mark.parametrize("name", ["ffjord", "cnf"])
def test_continuous_flows_of_images_start_normalised(name: str) -> None:
    images = torch.randint(17, (64, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    flow = pf.build(name, shape=(1, 8, 8), levels=17, hidden=4)
    flow.initialise(images)
    continuous = len(flow.transform) - 1
    x = images.float()
    for part in flow.transform[:continuous]:
        x = part.encode(x)
    torch.testing.assert_close(x.mean(), torch.tensor(0.0), atol=0.05, rtol=0)
    torch.testing.assert_close(x.std(), torch.tensor(1.0), atol=0.05, rtol=0)


@pytest.mark.parametrize("features", [1, 2, 20])
def test_mintnet_starts_with_normalised_latents(features: int) -> None:
    torch.manual_seed(0)
    flow = pf.models.mintnet(features=features)
    x = 5 + 3 * torch.randn(1000, features)
    flow.initialise(x)
    with torch.no_grad():
        z = flow.encode(x)
        torch.testing.assert_close(z.mean(0), torch.zeros(features), atol=1e-3, rtol=0)
        torch.testing.assert_close(z.std(0), torch.ones(features), atol=1e-2, rtol=0)
