# %% [markdown]
# # 6. Circles
#
# *A researcher's notes on normalizing flows (2020), section 4: flows on spheres and tori.*
#
# An angle can be written as a number between $0$ and $2\pi$, and a flow of numbers be fitted to it. But the circle is
# not an interval: where it was cut the two ends are the same point, and a density that has different values at them
# jumps there. No continuous map with a continuous inverse takes a circle to an interval.
#
# What makes a map $f$ of $[0, 2\pi]$ one of the circle are four conditions: $f(0) = 0$, $f(2\pi) = 2\pi$, $f' > 0$, and
# $f'(0) = f'(2\pi)$. Moebius maps and circular splines have them all. (Turned by a shift they leave no point fixed.)

# %%
import math
import os

import torch

import pushforward as pf
from pushforward.spaces import Circle

STEPS = 150 if "PUSHFORWARD_SHORT" in os.environ else 1500

torch.manual_seed(0)
around = torch.linspace(-math.pi, math.pi, 2001, dtype=torch.float64)
for bijection in (pf.scalar.Moebius(), pf.scalar.CircularRationalQuadraticSpline(bins=6)):
    parameters = torch.randn(bijection.num_parameters, dtype=torch.float64).expand(len(around), -1)
    z, log_slope = bijection.forward(around, parameters)
    slope = log_slope.exp()
    assert (slope > 0).all() and torch.isclose(slope[0], slope[-1], rtol=1e-3)
    assert abs(torch.trapezoid(slope, around) - 2 * math.pi) < 1e-3  # once round, and no more

# %% [markdown]
# ## The seam
#
# Angles that heap around the cut are the test: half of them lie at one end, half at the other. A flow of the line has
# to make two heaps, and its density at both ends is what it happens to be. A flow of the circle has one heap, and no
# end.

# %%
circle = Circle((1,), -math.pi, math.pi)
x = circle.wrap(math.pi + 0.5 * torch.randn(3000, 1))
line = pf.models.nsf(features=1, layers=2, hidden=(16,))
round_flow = pf.models.torus(features=1, layers=2, hidden=(16,))
ends = torch.tensor([[-math.pi + 1e-4], [math.pi - 1e-4]])
jump, reached = {}, {}
for name, flow in (("line", line), ("circle", round_flow)):
    pf.fit(flow, x, max_steps=STEPS, learning_rate=1e-2, ema=0.95, seed=0, progress=False)
    with torch.no_grad():
        jump[name] = flow.log_prob(ends).diff().abs().item()
        reached[name] = flow.log_prob(circle.wrap(math.pi + 0.5 * torch.randn(3000, 1))).mean().item()
wrapped = -0.5 * math.log(2 * math.pi * math.e * 0.25)  # minus the entropy of the heap, which hardly meets itself
print(f"jump at the seam: {jump}; nats per angle: {reached}, at most {wrapped:.3f}")
assert jump["circle"] < 1e-2
assert reached["line"] < reached["circle"] < wrapped + 0.05

# %% [markdown]
# Besides, the line's flow gives some probability to angles that do not exist:

# %%
with torch.no_grad():
    drawn = {"line": line.sample(5000), "circle": round_flow.sample(5000)}
outside = {name: (sample.abs() > math.pi).float().mean().item() for name, sample in drawn.items()}
print("outside:", outside)
assert outside["circle"] == 0 and outside["line"] > 0
assert round_flow.log_prob(torch.tensor([math.pi + 0.1])) == -torch.inf

# %% [markdown]
# ## More circles, and spheres
#
# A torus is circles side by side, and an autoregressive flow of them takes each angle given the cosines and sines of
# those before it: the [page of tori](../../tori.md). A sphere is no product of circles. It is taken apart into a height
# and a circle, or moved along great circles: the [page of spheres](../../spheres.md).
#
# **Exercise.** Is the height and the circle of a sphere's point, $(x, y, h) \mapsto (h, \operatorname{atan2}(y, x))$, a
# volume-preserving change of coordinates? Draw points evenly and see how the heights lie.

# %% [markdown] tags=["answer"]
# In three dimensions it is: by Archimedes the sphere's surface between two heights is that of the cylinder around it,
# so the heights of even points are even on $[-1, 1]$ and the angles on the circle. In $D$ dimensions the heights have a
# density proportional to $(1 - h^2)^{(D - 3) / 2}$, which a recursive flow of the sphere has to take into account.

# %% tags=["answer"]
for dimensions in (3, 6):
    points = torch.nn.functional.normalize(torch.randn(50_000, dimensions), dim=-1)
    heights = points[:, -1]
    expected = 1 / dimensions  # the second moment of any coordinate of an even point, since their squares sum to 1
    assert abs(heights.square().mean() - expected) < 0.01
levels = torch.linspace(0.05, 0.95, 19)
even = torch.nn.functional.normalize(torch.randn(50_000, 3), dim=-1)[:, -1]
assert torch.allclose(even.quantile(levels), 2 * levels - 1, atol=0.03)
