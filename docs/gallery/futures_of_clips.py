r"""
Futures of a clip
=================

A shape moves by one pixel a frame, in one of eight directions, each as likely: given its first frame a clip costs
three bits. A flow of the frames that come, given the first (after VideoFlow, Kumar et al. 2019, arXiv:1903.01434), has
to hold all eight futures.
"""

from pathlib import Path

import torch

import pushforward as pf
from pushforward import plots
from pushforward.data.video import futures, stochastic_movement

clip = stochastic_movement(1, frames=3, generator=torch.Generator().manual_seed(3))

# %%
# The truth: all that may come.

figure_truth = plots.futures_of(clip[0], futures(clip[:, 0], 2)[0], given=1, maximum=1, label="possible")

# %%
# What the model draws: most of it is one of the eight to the pixel, some is not yet. The training takes five minutes
# and is kept beside this script; where that file is not, it is repeated.

kept = Path("futures_of_clips.safetensors")
if not kept.exists():
    clips = stochastic_movement(4000, frames=3, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    flow = pf.models.videoflow(
        clip=(3, 1, 8, 8), levels=2, first=1, layers=1, hidden=24, scales=1, memory=2, components=16
    )
    pf.fit(
        flow,
        (clips[:, 1:], clips[:, :1]),
        max_time=300,
        batch_size=32,
        learning_rate=5e-3,
        compile=False,
        seed=0,
        progress=False,
    )
    pf.save(flow, kept)
flow = pf.load(kept)
with torch.no_grad():
    drawn = flow.sample(8, clip[0, :1], generator=torch.Generator().manual_seed(0))
figure_model = plots.futures_of(clip[0], drawn, given=1, maximum=1)
