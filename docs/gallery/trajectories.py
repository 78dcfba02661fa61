r"""
The trajectories of a continuous flow
=====================================

A continuous flow has no layers but a velocity for every place and time, :math:`dx/dt = v(t, x)`, which carries latents
at :math:`t = 0` to the data at :math:`t = 1`. The velocity was learned by flow matching, along straight lines between
latents and data (Lipman et al. 2022, arXiv:2210.02747). Trajectories of one solution never cross, so that the
latents are combed apart and not mixed.
"""

from pathlib import Path

import torch

import pushforward as pf
from pushforward import plots

moons = pf.data.toy("moons").sample(4000, torch.Generator().manual_seed(0))

# The training takes a minute and is kept beside this script; where that file is not, it is repeated.
kept = Path("trajectories.safetensors")
if not kept.exists():
    torch.manual_seed(0)
    flow = pf.models.cnf(features=2, hidden=(64, 64))
    pf.fit(flow, moons, max_steps=1500, batch_size=256, learning_rate=1e-2, ema=0.99, seed=0, progress=False)
    pf.save(flow, kept)
flow = pf.load(kept)

# %%
# The colours are the angles at which the points start.

figure_ways = plots.trajectories(flow, moons[:1500], pictures=5)

# %%
# Density and samples are those of any flow.

figure_flow = plots.flow_2d(flow, moons[:1500], generator=torch.Generator().manual_seed(1))
