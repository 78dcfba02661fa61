r"""
Densities on a circle and on a sphere
=====================================

The hour of the day goes round, and a density of it that is made for intervals has a seam at midnight. A flow whose
parts know the circle has none; and on the sphere none at the poles.
"""

import math

import torch
from matplotlib.figure import Figure

import pushforward as pf

# %%
# A circle
# --------
#
# Hours of two shifts, one of them over midnight.

generator = torch.Generator().manual_seed(0)
shift = torch.rand(8000, 1, generator=generator) < 0.6
hours = torch.where(shift, 23.5, 9.0) + torch.where(shift, 2.0, 1.0) * torch.randn(8000, 1, generator=generator)
hours = hours % 24

torch.manual_seed(0)
flow = pf.models.torus(features=1, low=0, high=24, layers=1, hidden=16)
pf.fit(flow, hours, max_steps=200, batch_size=500, learning_rate=1e-2, ema=0.97, seed=0, progress=False)

clock = torch.linspace(0, 24, 400)[:, None]
with torch.no_grad():
    density = flow.log_prob(clock).exp()
figure_circle = Figure(figsize=(9.5, 3.8), layout="constrained")
flat = figure_circle.add_subplot(1, 2, 1)
flat.hist(hours[:, 0], bins=48, range=(0, 24), density=True, color="#c9d1da", label="data")
flat.plot(clock[:, 0], density, color="#d1495b", label="density")
flat.set(xlabel="hour", ylabel="density per hour", xlim=(0, 24), xticks=range(0, 25, 6))
flat.legend(frameon=False)
flat.spines[["top", "right"]].set_visible(False)
polar = figure_circle.add_subplot(1, 2, 2, projection="polar", theta_direction=-1, theta_offset=math.pi / 2)
polar.plot(clock[:, 0] / 24 * 2 * math.pi, density, color="#d1495b")
polar.set_xticks([index * math.pi / 4 for index in range(8)], [f"{3 * index}:00" for index in range(8)])
polar.set_yticklabels([])

# %%
# A sphere
# --------
#
# A ring and a heap, learned by splines of heights and of angles.

ring = torch.cat(
    [torch.randn(1500, 2, generator=generator), 0.12 * torch.randn(1500, 1, generator=generator) + 0.3], -1
)
ring[:, :2] /= ring[:, :2].norm(dim=-1, keepdim=True)
heap = torch.tensor([0.0, -1.0, -0.6]) + 0.2 * torch.randn(800, 3, generator=generator)
points = torch.nn.functional.normalize(torch.cat([ring, heap]), dim=-1)

torch.manual_seed(0)
sphere = pf.models.sphere_recursive(features=3, layers=2, hidden=32, bins=12)
pf.fit(sphere, points, max_steps=300, batch_size=500, learning_rate=1e-2, ema=0.97, seed=0, progress=False)
figure_sphere = pf.plots.map_of(sphere, points[::4], resolution=90)
