# %% [markdown]
# # 7. One after the other
#
# *A researcher's notes on normalizing flows (2020), sections 11.2 to 11.4, 11.8 and 11.9: MADE, PixelRNN, PixelCNN,
# RNADE, MAF.*
#
# Five of the papers rest on one line, which holds for any distribution whatever:
#
# $$p(x) = \prod_i p(x_i \mid x_1, \dots, x_{i-1}).$$
#
# What differs is who says the factors. An autoencoder cannot: what it says of $x_i$ has seen $x_i$. MADE multiplies the
# weights of one by masks of zeros and ones, so that every path from an input to its own output, or to one before it,
# is cut. Each hidden unit is given a number and sees only units with numbers up to its own.

# %%
import os

import torch

import pushforward as pf
from pushforward import plots

STEPS = 200 if "PUSHFORWARD_SHORT" in os.environ else 1500

torch.manual_seed(0)
network = pf.networks.MADE(5, 5, hidden=(32, 32))
for weights in network.parameters():
    torch.nn.init.normal_(weights)
jacobian = torch.autograd.functional.jacobian(lambda x: network(x).flatten(), torch.randn(5))
print((jacobian != 0).int())
assert (jacobian.triu() == 0).all()  # what is said of element i has not seen it, nor those behind it
assert (jacobian.tril(-1) != 0).float().sum() >= 8  # and most of what may be seen is

# %% [markdown]
# ## Masses, and densities
#
# For bits the factors are numbers between zero and one. A product of marginals, which is all that an ordinary
# autoencoder's cross-entropy amounts to, cannot know that three bits always agree; conditionals can. The masses are
# exact: all eight together give one.

# %%
bits = torch.randint(2, (1000, 1)).expand(-1, 3).contiguous()
flow = pf.models.nade(features=3, hidden=16)
pf.fit(flow, bits, max_steps=STEPS, learning_rate=2e-2, ema=None, seed=0, progress=False)
every = torch.cartesian_prod(*[torch.arange(2)] * 3)
with torch.no_grad():
    masses = flow.log_prob(every).exp()
print({tuple(event.tolist()): round(mass.item(), 3) for event, mass in zip(every, masses)})
assert abs(masses.sum() - 1) < 1e-5 and masses[0] + masses[-1] > 0.9

# %% [markdown]
# For real numbers each factor is a density. RNADE takes a mixture of normals; and a factor that is *one* normal, of
# mean $\mu_i$ and deviation $\sigma_i$, makes a flow of the model, $z_i = (x_i - \mu_i) / \sigma_i$. Several of those,
# in changing orders, are MAF. The notes like that its paper compares honestly; so let us, with a density that is known.

# %%
moons = pf.data.toy("moons")
x, unseen = moons.sample(4000), moons.sample(2000)
models = {
    "one normal after the other": pf.models.maf(features=2, layers=1, hidden=(32,)),
    "RNADE, mixtures of ten": pf.models.rnade(features=2, components=10, hidden=32),
    "MAF, five layers": pf.models.maf(features=2, layers=5, hidden=(32,)),
}
lost = {}
for name, model in models.items():
    torch.manual_seed(0)
    pf.fit(model, x, max_steps=STEPS, learning_rate=1e-2, ema=0.95, seed=0, progress=False)
    with torch.no_grad():
        lost[name] = (moons.log_prob(unseen) - model.log_prob(unseen)).mean().item()
print("nats per point below the truth:", lost)
assert all(value > 0 for value in lost.values())
assert max(lost, key=lost.get) == "one normal after the other"

plots.density_2d(models["RNADE, mixtures of ten"], (-1.8, 2.8, -1.3, 1.8))

# %% [markdown]
# ## Pixels
#
# PixelRNN and PixelCNN take the pixels of an image row by row. A convolution whose kernel is masked sees above and to
# the left of a pixel, and a second paper lets everything depend on a label besides. Scoring is one pass; drawing goes
# pixel by pixel, which the notes count against them.

# %%
label = pf.spaces.Categories(2)
flow = pf.models.gated_pixelcnn(shape=(1, 5, 5), levels=2, context=label, layers=2, hidden=16, first_kernel=3)
stripes = torch.zeros(2, 1, 5, 5, dtype=torch.long)
stripes[0, :, ::2], stripes[1, :, :, ::2] = 1, 1  # label 0: rows, label 1: columns
labels = torch.randint(2, (400,))
pf.fit(
    flow, (stripes[labels], labels), max_steps=200, batch_size=64, learning_rate=1e-2, ema=None, seed=0, progress=False
)
drawn = flow.sample(20, context=torch.tensor(1))
assert (drawn == stripes[1]).float().mean() > 0.95

# %% [markdown]
# **Exercise.** MADE's paper draws a new order of the variables for every batch, and at the end averages the models of
# several orders. Why can that be better than the best order?

# %% [markdown] tags=["answer"]
# Every order gives a proper mass, and they disagree where the network is wrong. The mean of masses is a mass again, and
# its logarithm is at least the mean of the logarithms (Jensen), so that an average does no worse than a typical one of
# its members. The two orders of a pair, each fitted to the same few data:

# %% tags=["answer"]
pair = torch.randn(300, 2)
pair = torch.stack([pair[:, 0], pair[:, 0].square() + 0.5 * pair[:, 1]], -1)
orders = []
for flip in (False, True):
    model = pf.models.rnade(features=2, components=3, hidden=16)
    seen = pair.flip(1) if flip else pair
    pf.fit(model, seen[:200], max_steps=100, learning_rate=1e-2, ema=None, seed=0, progress=False)
    with torch.no_grad():
        orders.append(model.log_prob(seen[200:]))
apart = torch.stack(orders)
together = torch.logsumexp(apart, 0) - torch.tensor(2.0).log()
print(f"each order {apart.mean(1).tolist()}, their mean {together.mean():.3f}")
assert (together >= apart.mean(0) - 1e-5).all()
