"""Walks between events and levels of multi-scale flows, as they must be by definition."""

from __future__ import annotations

import torch

import pushforward as pf
from pushforward.data import load_data
from pushforward.diagnostics.interpolation import interpolate
from pushforward.diagnostics.levels import resample_levels


def test_interpolation_ends_at_its_images() -> None:
    data = load_data("digits")
    flow = pf.build("multiscale", shape=[1, 8, 8], levels=17, layers=2, hidden=4).eval()
    between = interpolate(flow, data.test[:3], data.test[3:6], steps=5)
    assert between.shape == (3, 5, 1, 8, 8)
    assert between[:, 0].equal(data.test[:3]) and between[:, -1].equal(data.test[3:6])


def test_the_levels_that_are_drawn_anew_leave_the_final_latent() -> None:
    torch.manual_seed(0)
    flow = pf.build("realnvp", shape=[1, 8, 8], levels=17, layers=1, hidden=4, scales=2).eval()
    images = resample_levels(flow, rows=2, columns=3)
    assert images.shape == (2, 3, 1, 8, 8)
    assert not images[:, 0].equal(images[:, 1])
