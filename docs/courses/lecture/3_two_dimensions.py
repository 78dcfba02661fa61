# %% [markdown]
# # 3. Two dimensions, one after the other
#
# *Abbeel et al., lecture 3: 2-D flows.*
#
# In the plane the lecture takes the dimensions in turn. The first goes through a function of its own; the second
# through a function whose parameters a network computes from the first:
#
# $$z_1 = f_{\theta}(x_1), \qquad z_2 = f_{\theta(x_1)}(x_2).$$
#
# The network may be anything, since on the way back $x_1$ is known before $x_2$ is asked for. The log-densities add:
# that of $z_1$ with the slope of its map, and that of $z_2$ with the slope of its map.
#
# The example is the two moons. Each map is the distribution function of five normals, onto the uniform square, so that
# the first is a mixture for $x_1$ and the second a mixture for $x_2$ *given* $x_1$.

# %%
import os

import torch

import pushforward as pf
from pushforward import plots

STEPS = 200 if "PUSHFORWARD_SHORT" in os.environ else 2000

torch.manual_seed(0)
moons = pf.data.toy("moons")
x, unseen = moons.sample(5000), moons.sample(2000)
flow = pf.models.cdf_2d(components=5, hidden=(32, 32))
pf.fit(flow, x, max_steps=STEPS, learning_rate=1e-2, ema=0.98, seed=0, progress=False)
flow.eval()

with torch.no_grad():
    z = flow.encode(unseen)
    lost = (moons.log_prob(unseen) - flow.log_prob(unseen)).mean()
print(f"{lost:.3f} nats per point below the truth")
assert 0 < lost < 0.3
assert (z > 0).all() and (z < 1).all()

plots.flow_2d(flow, unseen)

# %% [markdown]
# The first map sees the first coordinate alone, and the Jacobian is triangular. On the way back the first coordinate is
# found first:

# %%
point = unseen[0]
jacobian = torch.autograd.functional.jacobian(flow.encode, point)
assert jacobian[0, 1] == 0
assert torch.allclose(flow.log_prob(point), jacobian.diagonal().log().sum(), atol=1e-3)
assert torch.allclose(flow.decode(flow.encode(point)), point, atol=1e-3)

# %% [markdown]
# ## A face
#
# The lecture's other example is a picture of a face: dark pixels are where the density is. Here the face is drawn by
# code. It has parts with nothing between them, which no mixture of few normals gets quite right.

# %%
rows, columns = torch.meshgrid(torch.linspace(1, -1, 64), torch.linspace(-1, 1, 64), indexing="ij")
radius = (rows**2 + columns**2).sqrt()
outline = (radius - 0.9).abs() < 0.05
eyes = ((rows - 0.3) ** 2 + (columns.abs() - 0.35) ** 2).sqrt() < 0.12
mouth = ((radius - 0.55).abs() < 0.05) & (rows < -0.2)
face = pf.data.ImageDensity((outline | eyes | mouth).double())

points = face.sample(8000)
portrait = pf.models.cdf_2d(components=12, hidden=(64, 64))
pf.fit(portrait, points, max_steps=STEPS, learning_rate=1e-2, ema=0.98, seed=0, progress=False)
plots.flow_2d(portrait.eval(), points[:2000])

# %% [markdown]
# **Exercise.** Swap the axes of the moons. The chain rule holds for either order, $p(x_1) p(x_2 \mid x_1)$ and
# $p(x_2) p(x_1 \mid x_2)$; does it matter for the flow which is taken?

# %% [markdown] tags=["answer"]
# For the truth it does not matter, for a flow of few components it can: each order asks for other conditional
# densities. Of the moons $x_2$ given $x_1$ has at most two bumps at most places, and so has $x_1$ given $x_2$, where
# the arcs are cut lengthwise at their tips. Both can be told by five normals, and neither exactly. In many dimensions
# the order can make a large difference, and deep autoregressive flows alternate it.

# %% tags=["answer"]
swapped = pf.models.cdf_2d(components=5, hidden=(32, 32))
pf.fit(swapped, x.flip(1), max_steps=STEPS, learning_rate=1e-2, ema=0.98, seed=0, progress=False)
with torch.no_grad():
    other = (moons.log_prob(unseen) - swapped.eval().log_prob(unseen.flip(1))).mean()
print(f"{lost:.3f} nats in this order, {other:.3f} in the other")
assert other > 0
