r"""
Futures of a clip
=================

A shape moves by one pixel a frame, in one of eight directions, each as likely: given its first frame a clip costs
three bits. A flow of the frames that come, given the first (after VideoFlow, Kumar et al. 2019, arXiv:1903.01434), has
to hold all eight futures. After a short training several of them can be made out; ``docs/video.md`` tells how near
the truth a long one comes.
"""

import torch

import pushforward as pf
from pushforward import plots
from pushforward.data.video import futures, stochastic_movement

clips = stochastic_movement(2000, frames=3, generator=torch.Generator().manual_seed(0))
clip = stochastic_movement(1, frames=3, generator=torch.Generator().manual_seed(3))

# %%
# The truth: all that may come.

figure_truth = plots.futures_of(clip[0], futures(clip[:, 0], 2)[0], given=1, maximum=1)

# %%
# The model, at a low temperature.

torch.manual_seed(0)
flow = pf.models.videoflow(clip=(3, 1, 8, 8), levels=2, first=1, layers=2, hidden=24, components=8)
pf.fit(
    flow,
    (clips[:, 1:], clips[:, :1]),
    max_steps=150,
    batch_size=64,
    learning_rate=3e-3,
    ema=0.98,
    seed=0,
    progress=False,
)
with torch.no_grad():
    drawn = flow.sample(5, clip[0, :1], generator=torch.Generator().manual_seed(0), temperature=0.6)
figure_model = plots.futures_of(clip[0], drawn, given=1, maximum=1)
