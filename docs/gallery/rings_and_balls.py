r"""
A ring is no ball
=================

A bijection that is continuous both ways makes no holes and joins nothing: a ball stays a ball (Tomczak 2022, figures
3.7 to 3.9). A flow from a normal onto rings has to leave threads of mass between them and across the hole. Parts that
lay several regions of the plane over each other, here real and discrete (Dinh et al. 2019, arXiv:1903.07714), need not.
"""

# sphinx_gallery_thumbnail_number = 2
import torch

import pushforward as pf
from pushforward import plots

rings = pf.data.toys.curves.Rings(radii=(1.0, 2.5), scale=0.12)
data = rings.sample(4000, torch.Generator().manual_seed(0))

# %%
# Splines, whose grid is bent about the holes but not torn.

torch.manual_seed(0)
splines = pf.models.nsf(features=2, layers=3, hidden=48)
pf.fit(splines, data, max_steps=500, batch_size=512, learning_rate=1e-2, ema=0.99, seed=0, progress=False)
figure_splines = plots.flow_2d(splines, data, generator=torch.Generator().manual_seed(1))

# %%
# Regions that share latents, each of its own colour.

torch.manual_seed(0)
pieces = pf.models.rad(features=2, layers=4, hidden=48)
pf.fit(pieces, data, max_steps=500, batch_size=512, learning_rate=1e-2, ema=0.99, seed=0, progress=False)
figure_regions = plots.regions_2d(pieces, data)
