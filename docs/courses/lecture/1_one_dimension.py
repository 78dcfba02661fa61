# %% [markdown]
# # 1. Flows in one dimension
#
# *Abbeel, Yan, Frans, Wu, CS294-158 Deep Unsupervised Learning, lecture 3: foundations of flows.*
#
# A model of numbers should fit them, tell the density of a new one, and be drawn from. A mixture of normals does that
# in one dimension. The lecture's other way is to learn an increasing function $f$ that takes the data to a base whose
# density is known, and to maximise
#
# $$\log p(x) = \log p_Z(f(x)) + \log f'(x).$$
#
# Any increasing function will do, and any base that has the right range: the lecture takes a standard normal, the
# uniform on the unit interval, and Beta(5, 5). Onto the interval we take the distribution function of a mixture of
# normals, onto the line a spline.

# %%
import os

import torch
from torch.distributions import Beta, Categorical, MixtureSameFamily, Normal, Uniform

import pushforward as pf
from pushforward import plots

STEPS = 150 if "PUSHFORWARD_SHORT" in os.environ else 1000

torch.manual_seed(0)
truth = MixtureSameFamily(Categorical(torch.tensor([0.4, 0.6])), Normal(torch.tensor([-1.5, 1.0]), 0.5))
x, unseen = truth.sample((4000, 1)), truth.sample((4000, 1))


def flow_onto(base, scalar):
    bend = pf.transforms.Elementwise(scalar, (1,))
    torch.nn.init.normal_(bend.parameters_per_element)  # the components of a mixture begin apart
    return pf.Flow([pf.transforms.Standardise(1), bend], base)


mixture_cdf = pf.scalar.GaussianMixtureCDF(components=5)
flows = {
    "normal": flow_onto(pf.distributions.StandardNormal((1,)), pf.scalar.RationalQuadraticSpline(bins=16)),
    "uniform": flow_onto(pf.distributions.Uniform((1,)), mixture_cdf),
    "Beta(5, 5)": flow_onto(pf.distributions.Beta((1,), 5.0, 5.0), mixture_cdf),
}
for flow in flows.values():
    pf.fit(flow, x, max_steps=STEPS, learning_rate=5e-2, ema=None, seed=0, progress=False)

with torch.no_grad():
    best = truth.log_prob(unseen).mean()
    lost = {name: (best - flow.log_prob(unseen).mean()).item() for name, flow in flows.items()}
print("nats per number below the truth:", lost)
assert all(-0.01 < value < 0.1 for value in lost.values())

plots.flow_1d(flows, unseen)

# %% [markdown]
# Each row shows the data under the density, the map, and the latents, which look like the base. Whichever base was
# taken, the density that comes out is nearly the same, the data's.
#
# ## Distribution functions
#
# Onto the uniform base the first term of the objective is constant. What is left is $f'$, so $f$ is a distribution
# function and its slope the density: to fit the flow *is* to fit the mixture of normals by maximum likelihood. We can
# hold the flow's density against the slope of its map.

# %%
flow = flows["uniform"]
point = unseen[:100].clone().requires_grad_()
slope = torch.autograd.grad(flow.encode(point).sum(), point)[0][:, 0]
assert torch.allclose(flow.log_prob(unseen[:100]).exp(), slope, rtol=1e-3, atol=1e-5)

# %% [markdown]
# ## How general are flows?
#
# A distribution function takes any smooth density to the uniform one; the inverse of another takes the uniform one to
# any other. Their composition takes any density to any density, so in one dimension a flow can be all that it should.

# %%
drawn = truth.sample((20_000,))
uniform = truth.cdf(drawn)
target = Normal(3.0, 0.1)
moved = target.icdf(uniform.clamp(1e-6, 1 - 1e-6))
levels = torch.linspace(0.05, 0.95, 19)
assert torch.allclose(uniform.quantile(levels), Uniform(0, 1).icdf(levels), atol=0.02)
assert torch.allclose(moved.quantile(levels), target.icdf(levels), atol=0.01)

# %% [markdown]
# **Exercise.** The base does not matter for what is learned as long as the map can make up for it. Suppose that the map
# is only $f(x) = ax + b$, for $a > 0$. What does a flow onto the normal learn of two bumps, and which of the three
# bases would then be the best?

# %% [markdown] tags=["answer"]
# It learns the normal of the data's mean and standard deviation: with a map of two numbers the flow's density is the
# base, moved and stretched. A better base is one that looks like the data. The other two have an interval as their
# support, onto which no line maps all reals, and their one bump is no nearer to two.

# %% tags=["answer"]
line = flow_onto(pf.distributions.StandardNormal((1,)), pf.scalar.Affine())
pf.fit(line, x, max_steps=STEPS, learning_rate=5e-2, ema=None, seed=0, progress=False)
with torch.no_grad():
    learned = line.log_prob(unseen).mean()
assert abs(learned - Normal(x.mean(), x.std()).log_prob(unseen).mean()) < 0.01
assert learned < best - 0.2 and Beta(5.0, 5.0).support.upper_bound == 1
