# %% [markdown]
# # 6. Dequantization
#
# *Abbeel et al., lecture 3: continuous flows for discrete data.*
#
# What density does a model give to a grey of 0.4, if all data are whole numbers? It is free to choose, and maximum
# likelihood chooses nothing: the best that a density can do is a spike on each value that occurs, as high as one likes.

# %%
import math
from itertools import pairwise

import torch
from torch.distributions import Categorical, MixtureSameFamily, Normal

import pushforward as pf

masses = torch.tensor([0.1, 0.2, 0.3, 0.4])
values = torch.arange(4.0)


def spikes(width):
    return MixtureSameFamily(Categorical(masses), Normal(values, width))


heights = [(masses * spikes(width).log_prob(values)).sum().item() for width in (0.1, 1e-2, 1e-4, 1e-8)]
print("mean log-density of the data:", heights)
assert all(after - before > 2 for before, after in pairwise(heights))  # without end

# %% [markdown]
# The right question is how much *probability* the model gives to the cell of a value, $P(x) = \int_0^1 p(x + u)\, du$.
# And there is an objective for it: add uniform noise to the data, and maximise the mean log-density of the sum. By
# Jensen's inequality it is a bound,
#
# $$E_u \log p(x + u) \le \log \int_0^1 p(x + u)\, du = \log P(x),$$
#
# so that it cannot exceed the log-likelihood of a proper distribution over integers, and the spikes gain nothing.

# %%
inside = torch.linspace(0, 1, 2001, dtype=torch.float64)
cells = values[:, None].double() + inside


def bound_and_mass(model):
    """The mean of log p(x + u), and the logarithm of the integral of p, for each value."""
    log_density = model.log_prob(cells)
    return torch.trapezoid(log_density, inside), torch.trapezoid(log_density.exp(), inside).log()


models = {
    "spikes": MixtureSameFamily(Categorical(masses.double()), Normal(values.double(), 0.05)),
    "one normal": Normal(torch.tensor(2.5, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64)),
    "wide bumps": MixtureSameFamily(Categorical(masses.double()), Normal(values.double() + 0.5, 0.4)),
}
entropy = -(masses * masses.log()).sum().item()
for name, model in models.items():
    bound, mass = bound_and_mass(model)
    print(f"{name}: bound {(masses * bound).sum():.3f}, true {(masses * mass).sum():.3f}, at most {-entropy:.3f}")
    assert (bound <= mass + 1e-9).all()
    assert (masses * mass).sum() <= -entropy + 1e-9

# %% [markdown]
# No model passes minus the entropy of the data, and the spikes are now the worst of the three.
#
# In the library a dequantization is a layer like any other. Its "log-determinant" is what changes the units, and the
# flow knows that its `log_prob` has become a bound, drawn anew at each call:

# %%
torch.manual_seed(0)
layer = pf.transforms.Dequantization(levels=4, event_dims=1)
flow = pf.Flow([layer, pf.transforms.Logit(0.2, event_dims=1)], pf.distributions.StandardNormal((1,)))
x = values[:, None].repeat(5000, 1)
with torch.no_grad():
    draws = flow.log_prob(x).reshape(-1, 4)
    masses_of_flow = flow.importance_log_prob(values[:, None], importance_samples=5000).exp()
assert str(flow.accuracy) == "lower bound"
assert draws.std(0).min() > 0  # new noise each time
assert (draws.mean(0) < masses_of_flow.log() + 1e-3).all()

# %% [markdown]
# **Exercise.** The masses of the four values are probabilities. What is their sum, for this flow? Where is the rest?

# %% [markdown] tags=["answer"]
# A little less than one. `Logit(0.2)` draws the unit interval together by a fifth, to 0.1 ... 0.9, before it takes the
# logit, so that 0 and 1 stay finite. The normal base covers the whole line, and what lies beyond the logits of 0.1 and
# 0.9 belongs to no value: $2 \Phi(\operatorname{logit} 0.1)$, some three percent of the probability. Training would
# teach the flow to put less there; with the inset that one takes in earnest, 1e-5, there is nothing to learn.

# %% tags=["answer"]
beyond = 2 * Normal(0.0, 1.0).cdf(torch.tensor(math.log(0.1 / 0.9)))
assert abs(masses_of_flow.sum() + beyond - 1) < 0.01
