# %% [markdown]
# # 9. Inverse problems
#
# *A researcher's notes on normalizing flows (2020), sections 9 and 11.15: invertible networks for inverse problems, and
# conditional ones.*
#
# Physics often runs one way: from hidden parameters $x$ the simulator computes what is observed, $y = s(x)$. Backwards
# there is no function, since many $x$ lead to the same $y$. What one may ask for is the distribution $p(x \mid y)$.
#
# The paper's example is a robot's arm. It slides along a rail and has three joints: four numbers. What is seen is where
# the hand is: two.

# %%
import os

import torch

from pushforward.data.inverse import InverseKinematics
from pushforward.inference import ConditionalInvertibleNetwork, InvertibleNetwork, rejection_sample, resimulation_error

SHORT = "PUSHFORWARD_SHORT" in os.environ
STEPS, TOLERANCE = (150, 0.7) if SHORT else (1500, 0.25)

torch.manual_seed(0)
arm = InverseKinematics()
x, y = arm.sample(10_000)
print(x.shape, "->", y.shape)
assert torch.allclose(arm.simulate(x), y)

# %% [markdown]
# ## Two networks
#
# The first is invertible and has the observation among its *outputs*: $x \mapsto [y, z]$, with a latent $z$ for what
# the observation does not tell. Backwards, at one $y$ and many $z$, it gives the posterior. Its coupling changes both
# halves, the second by what the first has become:
#
# $$v_1 = u_1 e^{s_2(u_2)} + t_2(u_2), \qquad v_2 = u_2 e^{s_1(v_1)} + t_1(v_1).$$
#
# The later paper takes the simpler way. The observation enters the networks $s$ and $t$, which nobody inverts, and the
# flow of $x$ is trained by its likelihood.

# %%
both = InvertibleNetwork(4, 2, layers=3, hidden=32)
given = ConditionalInvertibleNetwork(4, 2, layers=4, hidden=32)
errors = {}
for name, network, steps in (("observation as output", both, STEPS // 3), ("observation as context", given, STEPS)):
    network.fit(x, y, max_steps=steps, batch_size=256, learning_rate=5e-3, ema=0.95, seed=0, progress=False)
    errors[name] = float(resimulation_error(network, arm.simulate, y[:200], draws=50))
alone = (y - y.roll(1, 0)).square().sum(-1).mean().item()
print(f"squared distance of the hand: {errors}, of arms drawn without looking {alone:.2f}")
assert all(error < 0.3 * alone for error in errors.values())

# %% [markdown]
# The slow truth, to compare with: simulate very many arms and keep those whose hand comes nearest.

# %%
observed = y[0]
kept, farthest = rejection_sample(arm.sample, observed, 200, simulations=400_000)
drawn = given.posterior(observed).sample((2000,))
print(f"the farthest of them is {farthest:.3f} away")
print("means  ", kept.mean(0), drawn.mean(0))
print("spreads", kept.std(0), drawn.std(0))
assert farthest < 0.2
assert (kept.std(0) - drawn.std(0)).abs().max() < TOLERANCE

# %% [markdown]
# The notes object that without a prior there is no reason to prefer one arm to another, and then wonder whether some
# parameters are likelier in the marginals all the same. They are. There is a prior here, normals, and where it is flat
# the marginal counts in how many ways the other joints can make up for a value:

# %%
before, after = x.std(0), kept.std(0)
print("of the prior", before, "given the hand", after)
assert (after < before + 0.05).all() and (after < 0.7 * before).any()

# %% [markdown]
# **Exercise.** Take a single joint: the hand is at height $y = \sin(x)$, $x$ even on $(-\pi, \pi)$. What is the
# posterior given $y = 0.5$, and what would a regression that predicts the mean of $x$ say?

# %% [markdown] tags=["answer"]
# Two points, $\pi/6$ and $5\pi/6$, of the same mass, since the slope of the sine is as steep at both. Their mean is
# $\pi/2$, and $\sin(\pi/2) = 1$: the regression's arm does not reach the place that it was asked for.

# %% tags=["answer"]
angles = (2 * torch.rand(400_000) - 1) * torch.pi
near = angles[(angles.sin() - 0.5).abs() < 0.01]
low = near < torch.pi / 2
assert abs(low.float().mean() - 0.5) < 0.03
assert abs(near[low].mean() - torch.pi / 6) < 0.01 and abs(near[~low].mean() - 5 * torch.pi / 6) < 0.01
assert abs(near.mean().sin() - 1) < 0.01
