r"""
A density for each context
==========================

A conditional flow is a map for each context, :math:`z = f(x; c)`, and so a density :math:`p(x \mid c)` for each. Here
the context is the angle by which two moons are turned, told as its cosine and its sine, so that a whole turn leads back
to where it began.
"""

import math

import torch

import pushforward as pf


def turned(points, angle):
    """Points of the plane, turned round the origin by angles in radians."""
    x, y = points.unbind(-1)
    return torch.stack([x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos()], -1)


def told(angle):
    """The context of an angle."""
    return torch.stack([angle.cos(), angle.sin()], -1)


generator = torch.Generator().manual_seed(0)
moons = pf.data.toy("moons").sample(8000, generator)
angle = 2 * math.pi * torch.rand(8000, generator=generator)
data = turned(moons, angle)

torch.manual_seed(0)
flow = pf.models.nsf(features=2, context=2, layers=3, hidden=64)
pf.fit(flow, (data, told(angle)), max_steps=700, batch_size=512, learning_rate=5e-3, ema=0.99, seed=0, progress=False)

# %%
# No two moons of the data are turned by the same angle; the points drawn here are new ones, each by the angle above it.

shown = {f"{degrees} degrees": torch.tensor(math.radians(degrees)) for degrees in (0, 45, 90, 135)}
unseen = pf.data.toy("moons").sample(200, torch.Generator().manual_seed(1))
figure = pf.plots.contexts_2d(
    flow,
    {title: told(each) for title, each in shown.items()},
    (-2.2, 2.2, -2.2, 2.2),
    data={title: turned(unseen, each) for title, each in shown.items()},
)
