# %% [markdown]
# # 12. Forerunners, and pieces
#
# *A researcher's notes on normalizing flows (2020), sections 11.1, 11.7, 11.13 and 11.14: deep density models, density
# estimation by distribution functions, RAD, and Tabak and Turner.*
#
# Four papers that do without what later became usual. Tabak and Turner have no network: elementary maps are stacked,
# each placed where the data want it, until the data look normal. Magdon-Ismail and Atiya train a network to be a
# *distribution function*, whose slope is the density. Rippel and Adams stack sigmoid layers that they coax to be
# invertible. And RAD lets a map fold the space in pieces, with a latent that says which.

# %%
import os

import torch

import pushforward as pf

STEPS = 200 if "PUSHFORWARD_SHORT" in os.environ else 1500
MAPS = 30 if "PUSHFORWARD_SHORT" in os.environ else 100

torch.manual_seed(0)
z = torch.randn(3000, 2)
bent = torch.stack([z[:, 0], 0.5 * z[:, 1] + 0.5 * z[:, 0].square()], 1)
train, unseen = bent[:2000], bent[2000:]
normal = torch.distributions.Normal(0.0, 1.0)
truth = normal.log_prob(z[2000:]).sum(-1).mean() + torch.tensor(2.0).log()
gaussian = torch.distributions.MultivariateNormal(train.mean(0), train.T.cov())

# %% [markdown]
# ## By ascent, map after map
#
# Each map has two or three numbers, found by climbing the likelihood of the data as the maps before it left them.
# Nothing is trained afterwards, and nothing is stored but the maps.

# %%
flow = pf.models.tabak_turner(features=2, layers=MAPS, candidates=8)
pf.fit(flow, train, seed=0, progress=False)
assert next(flow.parameters(), None) is None  # no parameter is learned by gradients
lost = {"a normal": (truth - gaussian.log_prob(unseen).mean()).item()}
lost["stacked maps"] = (truth - flow.log_prob(unseen).mean()).item()
print("nats below the truth:", lost)
assert lost["stacked maps"] < lost["a normal"] - 0.1

# %% [markdown]
# ## A network that is a distribution function
#
# In one dimension the fraction of the data below a point is all that must be learned, and the density comes by
# differentiating. In two dimensions the same fraction counts the points below *and* to the left. The notes thought that
# $F(x)$ of a vector should be uniform still, at least by itself; it is not:

# %%
independent = torch.rand(100_000, 2)
joint = independent.prod(1)  # F(x) = x_1 x_2 of two uniform numbers
levels = torch.tensor([0.1, 0.5, 0.9])
share = (joint[:, None] < levels).float().mean(0)
expected = levels * (1 - levels.log())  # and not the levels themselves
print("share below", levels.tolist(), "is", share.tolist())
assert torch.allclose(share, expected, atol=0.01) and not torch.allclose(share, levels, atol=0.05)

# %%
numbers = torch.cat([torch.randn(1500) - 2, 0.5 * torch.randn(1500) + 1])[:, None]
network = pf.models.cdf_network(features=1)
pf.fit(network, numbers, max_steps=STEPS, progress=False)
grid = torch.linspace(-6, 5, 2001)[:, None]
with torch.no_grad():
    density = network.log_prob(grid).exp()
assert abs(torch.trapezoid(density, grid[:, 0]) - 1) < 0.02
below, above = density[(grid[:, 0] + 2).abs() < 0.1].mean(), density[(grid[:, 0] + 0.2).abs() < 0.1].mean()
print(f"density at a heap {below:.3f}, between the heaps {above:.3f}")
assert below > above

# %% [markdown]
# ## Pieces
#
# Rings are three circles with nothing between them, and a continuous map of one normal has to leave bridges. RAD cuts
# the data space into pieces, maps each of them to the whole latent space, and asks a network, given the latent, which
# piece it came from:
#
# $$\log p(x) = \log p_Z(f(x)) + \log |\det J_f(x)| + \log p(k(x) \mid f(x)).$$

# %%
rings = pf.data.toy("rings")
x, test = rings.sample(4000), rings.sample(1000)
nats = {}
for name, model in (("RAD", pf.models.rad(features=2)), ("RealNVP", pf.models.realnvp(features=2, layers=4))):
    torch.manual_seed(0)
    pf.fit(model, x, max_steps=STEPS, learning_rate=5e-3, ema=0.95, seed=0, progress=False)
    with torch.no_grad():
        nats[name] = (rings.log_prob(test) - model.log_prob(test)).mean().item()
print("nats below the truth:", nats)
assert 0 < nats["RAD"] < nats["RealNVP"]

# %% [markdown]
# **Exercise.** Rippel and Adams test a density by asking it about images of nines, of sixes, and of sixes turned upside
# down. What should come out, and why is "a low density" alone a poor alarm?

# %% [markdown] tags=["answer"]
# A six turned round is nearly a nine and should be likely; a six should not. But density is not what is typical: in
# many dimensions the likeliest point may be like no sample at all. The mode of a standard normal of 100 dimensions is
# its centre, where the density is $e^{50}$ times what it is at a typical sample, and no sample comes near it.

# %% tags=["answer"]
many = pf.distributions.StandardNormal((100,))
drawn = many.sample(1000)
gap = many.log_prob(torch.zeros(100)) - many.log_prob(drawn).mean()
print(
    f"the centre is {gap:.1f} nats likelier than a sample, the nearest of which is {drawn.norm(dim=-1).min():.1f} away"
)
assert abs(gap - 50) < 2 and drawn.norm(dim=-1).min() > 6
