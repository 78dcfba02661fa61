# %% [markdown]
# # 11. Copulas
#
# *A researcher's notes on normalizing flows (2020), sections 11.10 to 11.12: neural Gaussian copulas, copula and
# marginal flows, vine copula autoencoders.*
#
# Three of the papers take a distribution apart into what its variables are by themselves, and what binds them:
#
# $$p(x_1, x_2) = c(F_1(x_1), F_2(x_2))\, p_1(x_1)\, p_2(x_2).$$
#
# The *copula* $c$ is a density of the unit square whose marginals are uniform. Whoever has beliefs about tails can put
# them into the marginals, and leave the rest to $c$.

# %%
import importlib.util
import math
import os

import torch

import pushforward as pf

SHORT = "PUSHFORWARD_SHORT" in os.environ
STEPS, TOLERANCE = (150, 0.2) if SHORT else (1000, 0.1)

torch.manual_seed(0)
correlation = 0.8
z = torch.randn(4000, 2) @ torch.linalg.cholesky(torch.tensor([[1.0, correlation], [correlation, 1.0]])).T
x = torch.stack([z[:, 0].exp(), z[:, 1] + z[:, 1] ** 3 / 3], -1)  # two columns with heavier tails than a normal

# %% [markdown]
# A monotone map of each variable changes the marginals and leaves the copula as it is. That can be seen in ranks, which
# such maps do not touch:

# %%


def spearman(x):
    ranks = x.argsort(0).argsort(0).double()
    return torch.corrcoef(ranks.T)[0, 1]


assert torch.isclose(spearman(x), spearman(z))
assert abs(spearman(z) - 6 / math.pi * math.asin(correlation / 2)) < 0.03  # of a normal copula

# %% [markdown]
# ## One by one, and together
#
# `pf.models.copula` is the equation: a transform for each column onto a normal, and a copula of those normal scores as
# the base. Its correlation is that of `z`, which the flow has never seen, whatever was done to the columns.

# %%
flow = pf.models.copula(features=2, marginals="tails", copula="gaussian")
pf.fit(flow, x, max_steps=STEPS, learning_rate=2e-2, ema=None, seed=0, progress=False)
with torch.no_grad():
    learned = flow.base.correlations()[0, 1].item()
    independent = pf.Flow(flow.transform, pf.distributions.StandardNormal((2,)))
    gained = (flow.log_prob(x) - independent.log_prob(x)).mean().item()
expected = -0.5 * math.log(1 - correlation**2)  # the mutual information of the pair
print(f"correlation {learned:.3f} (0.8), nats gained by the copula {gained:.3f} ({expected:.3f})")
assert abs(learned - correlation) < TOLERANCE and abs(gained - expected) < TOLERANCE

# %% [markdown]
# The notes see no beauty in the Gaussian copula of autoencoders, which comes to a full covariance. With normal
# marginals that is what it is:

# %%
copula = pf.distributions.GaussianCopula(2)
with torch.no_grad():
    for weights in copula.parameters():
        torch.nn.init.normal_(weights)
    normal = torch.distributions.MultivariateNormal(torch.zeros(2), copula.correlations())
    assert torch.allclose(copula.log_prob(z), normal.log_prob(z), atol=1e-4)

# %% [markdown]
# ## Vines
#
# In many dimensions a vine builds the copula of those of pairs, each given some of the others, and the notes are
# reminded of autoregressive models. Rightly: it is the chain rule, each factor written with copulas of two. An
# autoencoder whose latents get a vine when its training is over is a generative model with no prior to pull at them.

# %%
if importlib.util.find_spec("pyvinecopulib"):
    vine = pf.models.copula(features=2, marginals="tails", copula="vine")
    pf.fit(vine, x, max_steps=STEPS, learning_rate=2e-2, ema=None, seed=0, progress=False)
    with torch.no_grad():
        print(f"nats per row: vine {vine.log_prob(x).mean():.3f}, Gaussian copula {flow.log_prob(x).mean():.3f}")
        assert vine.log_prob(x).mean() > independent.log_prob(x).mean() + 0.2

# %% [markdown]
# **Exercise.** Two variables have correlation zero. May they have a copula other than the uniform one, and can a
# Gaussian copula then tell?

# %% [markdown] tags=["answer"]
# They may: $x_2 = x_1^2 + \text{noise}$ with a normal $x_1$. Its ranks are uncorrelated, so that the Gaussian copula's
# best correlation is near zero and it gains nothing, while a copula that is a flow finds the parabola.

# %% tags=["answer"]
first = torch.randn(3000)
bent = torch.stack([first, first.square() + 0.3 * torch.randn(3000)], -1)
nats = {}
for kind in ("independence", "gaussian", "flow"):
    torch.manual_seed(0)
    model = pf.models.copula(features=2, marginals="splines", copula=kind)
    pf.fit(model, bent, max_steps=STEPS, learning_rate=1e-2, ema=None, seed=0, progress=False)
    with torch.no_grad():
        nats[kind] = model.log_prob(bent).mean().item()
print("nats per row:", nats)
assert nats["gaussian"] < nats["independence"] + 0.05 and nats["flow"] > nats["gaussian"] + 0.3
