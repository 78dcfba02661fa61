# %% [markdown]
# # 2. NICE, and what RealNVP added
#
# *A researcher's notes on normalizing flows (2020), sections 2 and 3.*
#
# NICE asks for a good representation, and says what good is: one in which the data are easy to model, because their
# parts have become independent. Its layers only shift, $h_2 = x_2 + m(x_1)$, so that every volume stays as it is and
# the determinant is one. At least three of them let every dimension influence every other. To give up volume at all
# there is one diagonal scaling at the end, $h_i = S_{ii} x_i$:
#
# $$\log p(x) = \sum_i \log p_H(h_i) + \log |S_{ii}|.$$

# %%
import os

import torch

import pushforward as pf
from pushforward import plots
from pushforward.transforms import Coupling, diagonal, masks

STEPS = 200 if "PUSHFORWARD_SHORT" in os.environ else 2000

torch.manual_seed(0)
kept = masks.halves(2)


def shifts(count):
    return [Coupling(kept if i % 2 else ~kept, pf.scalar.Additive(), pf.networks.MLP) for i in range(count)]


nice = pf.Flow([*shifts(4), diagonal(2)], pf.distributions.StandardNormal((2,)))
for weights in nice.parameters():
    torch.nn.init.normal_(weights, std=0.3)
x = torch.randn(5, 2)
_, log_det = pf.transforms.Chain(nice.transform.parts[:4])(x)
assert (log_det == 0).all()
_, log_det = nice.transform(x)
assert torch.allclose(log_det, log_det[0].expand(5))  # of the scaling alone, the same everywhere

# %% [markdown]
# ## What volume cannot be given up
#
# A shift moves heaps of points past each other but makes none denser. NICE's density takes the values of its base times
# a constant, each of them over as much area as the base does, divided by that constant. Data whose heaps are of
# *different* density are out of its reach: here a narrow and a wide heap, each half of the data. RealNVP's scales
# depend on where one is, and can tell them apart.

# %%
heaps = torch.distributions.MixtureSameFamily(
    torch.distributions.Categorical(torch.ones(2)),
    torch.distributions.Independent(
        torch.distributions.Normal(torch.tensor([[-2.0, 0.0], [2.0, 0.0]]), torch.tensor([[0.1, 0.1], [1.0, 1.0]])), 1
    ),
)
x, unseen = heaps.sample((4000,)), heaps.sample((4000,))
flows = {"NICE": pf.models.nice(features=2), "RealNVP": pf.models.realnvp(features=2)}
lost = {}
for name, flow in flows.items():
    torch.manual_seed(0)
    pf.fit(flow, x, max_steps=STEPS, learning_rate=5e-3, ema=0.95, seed=0, progress=False)
    with torch.no_grad():
        lost[name] = (heaps.log_prob(unseen) - flow.log_prob(unseen)).mean().item()
print("nats per point below the truth:", lost)
assert 0 < lost["RealNVP"] < lost["NICE"] - 0.2

plots.flow_2d(flows["RealNVP"], unseen)

# %% [markdown]
# ## A spectrum of importance
#
# The notes compare NICE's scaling to the spectrum of a principal component analysis: a dimension that is multiplied by
# a large $S_{ii}$ varied little in the data. With no couplings at all it is just that.

# %%
torch.manual_seed(0)
spread = torch.tensor([3.0, 1.0, 0.1])
data = spread * torch.randn(4000, 3)
scaling = pf.Flow([diagonal(3)], pf.distributions.StandardNormal((3,)))
pf.fit(scaling, data, max_steps=300, learning_rate=5e-2, ema=None, seed=0, progress=False)
with torch.no_grad():
    scales = scaling.encode(torch.eye(3)) - scaling.encode(torch.zeros(3))
print("learned scales:", scales.diagonal())
assert torch.allclose(scales.diagonal() * spread, torch.ones(3), rtol=0.1)

# %% [markdown]
# **Exercise.** The notes say that four couplings are used "but at least three are needed" so that all dimensions may
# influence all others. Why are two too few?

# %% [markdown] tags=["answer"]
# With two, $h_1 = x_1 + m(x_2)$ and then $h_2 = x_2 + m'(h_1)$. Everything depends on everything, but in $h_1$ the
# first half still stands as itself, with slope one: its Jacobian block $\partial h_1 / \partial x_1$ is the identity,
# whatever the networks. So is $\partial x_2 / \partial h_2$ on the way back. Only the third coupling bends the first
# half by something that depends on it.

# %% tags=["answer"]
blocks = {}
for count in (2, 3):
    layers = pf.transforms.Chain(shifts(count))
    for weights in layers.parameters():
        torch.nn.init.normal_(weights, std=0.5)
    blocks[count] = torch.func.vmap(torch.func.jacrev(lambda x, part=layers: part(x)[0]))(torch.randn(20, 2))
first = [(blocks[2][:, i, i] == 1).all().item() for i in range(2)]
assert any(first)  # one of the two has slope one everywhere
assert not any((blocks[3][:, i, i] == 1).all().item() for i in range(2))
