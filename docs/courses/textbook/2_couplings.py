# %% [markdown]
# # 2. Couplings and permutations
#
# *Tomczak (2022), Deep Generative Modeling, sections 3.1.2 to 3.1.4.*
#
# A flow that learns needs functions with three properties: they are flexible, they can be inverted, and the determinant
# of their Jacobian is cheap. RealNVP's coupling has all three. The event is split in two. The first part stays; the
# second is scaled and shifted by amounts that a network computes from the first:
#
# $$z_a = x_a, \qquad z_b = (x_b + t(x_a)) \exp(s(x_a)).$$
#
# (The chapter writes the same map from the other side, from noise to data.) To invert it, the network is run forward
# once more, on $z_a$, which is $x_a$. The Jacobian is triangular with 1 and $\exp(s)$ on its diagonal, so its
# log-determinant is the sum of the log-scales, whatever the network is.

# %%
import os
from functools import partial

import torch

import pushforward as pf
from pushforward import plots
from pushforward.transforms import Coupling, Standardise, flip, masks

STEPS = 150 if "PUSHFORWARD_SHORT" in os.environ else 1500

torch.manual_seed(0)
network = pf.networks.MLP(2, 4, hidden=(32,))  # any network; here two kept features give 2 scales and 2 shifts
layer = Coupling(masks.halves(4), pf.scalar.Affine(), network)
for weights in layer.parameters():
    torch.nn.init.normal_(weights, std=0.5)

x = torch.randn(4)
z, log_det = layer(x)
jacobian = torch.autograd.functional.jacobian(lambda x: layer(x)[0], x)
print(jacobian.round(decimals=2))
assert torch.equal(z[:2], x[:2]) and (jacobian[:2, 2:] == 0).all()
assert torch.allclose(torch.linalg.slogdet(jacobian).logabsdet, log_det, atol=1e-5)
assert torch.allclose(layer.inverse(z)[0], x, atol=1e-5)

# %% [markdown]
# ## The eight layers of the chapter
#
# One coupling leaves half of the event as it was. So the chapter puts a permutation behind each, the reversal of the
# order, whose determinant is 1; the next coupling then changes what this one kept. Log-determinants add up along the
# chain, and the flow is trained by the likelihood of data.

# %%
moons = pf.data.toy("moons")
parts = [Standardise(2)]
conditioner = partial(pf.networks.MLP, hidden=(64, 64))
for _ in range(8):
    parts += [Coupling(masks.halves(2), pf.scalar.Affine(), conditioner), flip(2)]
flow = pf.Flow(parts, pf.distributions.StandardNormal((2,)))

x, unseen = moons.sample(4000), moons.sample(2000)
pf.fit(flow, x, max_steps=STEPS, learning_rate=5e-3, ema=0.98, seed=0, progress=False)

_, log_det = flip(2)(x)
assert (log_det == 0).all()  # a permutation keeps every volume

# %% [markdown]
# How good is it? A normal of the data's mean and covariance is the least that a flow must beat. The most that any model
# can reach is the density of the toy itself, which is known: the gap to it is a Kullback-Leibler divergence.

# %%
normal = torch.distributions.MultivariateNormal(x.mean(0), x.T.cov())
with torch.no_grad():
    reached, least, most = (p.log_prob(unseen).mean() for p in (flow, normal, moons))
print(f"nats per point: a normal {least:.3f}, the flow {reached:.3f}, the truth {most:.3f}")
assert least + 0.2 < reached < most

plots.flow_2d(flow, unseen)

# %% [markdown]
# **Exercise.** Take the reversals out. What does the flow do to the first feature, and what is the best likelihood that
# it can reach?

# %% [markdown] tags=["answer"]
# Nothing keeps a layer from being trained, but all eight keep the same feature. The first latent is the first feature,
# standardised, so that its density stays the normal that it began as; the second feature may become anything, given the
# first. The flow can learn $p(x_2 \mid x_1)$ and never $p(x_1)$, which for the moons is not normal: what is lost is the
# divergence of the first feature from a normal of the same location and scale, however long it is trained.

# %% tags=["answer"]
stuck = pf.Flow(
    [Standardise(2), *(Coupling(masks.halves(2), pf.scalar.Affine(), conditioner) for _ in range(8))],
    pf.distributions.StandardNormal((2,)),
)
pf.fit(stuck, x, max_steps=STEPS, learning_rate=5e-3, ema=0.98, seed=0, progress=False)
with torch.no_grad():
    standardised = stuck.transform.parts[0](unseen)[0]
    assert torch.allclose(stuck.encode(unseen)[:, 0], standardised[:, 0])
    assert stuck.log_prob(unseen).mean() < reached
