r"""
An autoregressive flow of moons and of a face
=============================================

Of a vector, the first number is mapped by itself and the second by a map that the first decides:
:math:`z_1 = f(x_1)`, :math:`z_2 = f(x_2; x_1)`. The Jacobian is triangular, its determinant the product of two slopes.
With splines for maps, two such layers in opposite orders bend the plane as much as is needed.
"""

# sphinx_gallery_thumbnail_number = 3
import torch

import pushforward as pf
from pushforward import plots

# %%
# Two moons
# ---------

moons = pf.data.toy("moons").sample(4000, torch.Generator().manual_seed(0))
torch.manual_seed(0)
flow = pf.models.nsf(features=2, layers=2, hidden=32)
pf.fit(flow, moons, max_steps=300, learning_rate=1e-2, ema=0.98, seed=0, progress=False)
figure_moons = plots.flow_2d(flow, moons, generator=torch.Generator().manual_seed(1))

# %%
# The same flow, part by part: the colours are the angles at which the points end.

figure_steps = plots.steps_2d(flow, moons, columns=5)

# %%
# A face
# ------
#
# Any picture is a density on the plane: here one that a few formulas draw.

height = torch.linspace(1, -1, 120)[:, None]
width = torch.linspace(-1, 1, 120)


def disc(x, y, radius, flat=1.0):
    """1 within an ellipse, 0 outside of it."""
    return ((width - x) ** 2 + ((height - y) / flat) ** 2 < radius**2).float()


mouth = disc(0, -0.1, 0.55) * (1 - disc(0, 0.08, 0.6)) * (height < -0.1)
picture = 0.25 * disc(0, 0, 0.95) * (1 - disc(0, 0, 0.88)) * 4 + disc(-0.35, 0.3, 0.14) + disc(0.35, 0.3, 0.14) + mouth
face = pf.data.ImageDensity(picture)
points = face.sample(8000, torch.Generator().manual_seed(0))

torch.manual_seed(0)
portrait = pf.models.nsf(features=2, layers=3, hidden=48, bins=16)
pf.fit(portrait, points, max_steps=500, batch_size=512, learning_rate=1e-2, ema=0.99, seed=0, progress=False)
figure_face = plots.flow_2d(portrait, points, generator=torch.Generator().manual_seed(1))
