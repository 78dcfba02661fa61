# %% [markdown]
# # 3. Digits: dequantization and RealNVP
#
# *Tomczak (2022), Deep Generative Modeling, sections 3.1.3 to 3.1.6.*
#
# The pixels of an image are integers, and a density has no value for an integer: it could rise without end on the few
# values that occur. The chapter's remedy is noise. $u$, uniform on a cell of width one, is added to each pixel, and the
# flow learns the density of the sum. What lay on a point is spread evenly over a square, and the probability of the
# image is the integral over its square.
#
# What is computed is the logarithm at one point of the square. Its mean is below the logarithm of the integral, by
# Jensen's inequality, so what the flow reports is a *lower bound*. It says so itself.

# %%
import os
from functools import partial

import torch
from torch import nn

import pushforward as pf
from pushforward import plots
from pushforward.transforms import Coupling, Dequantization, Standardise, flip, masks

STEPS = 60 if "PUSHFORWARD_SHORT" in os.environ else 600
PIXELS, LEVELS = 64, 17  # scikit-learn's digits are 8 x 8, of 17 greys

torch.manual_seed(0)
data = pf.data.load_data("digits")
train, validation, test = (images.flatten(1) for images in (data.train, data.validation, data.test))

network = partial(pf.networks.MLP, hidden=(128, 128), activation=nn.LeakyReLU)
parts = [Dequantization(LEVELS, event_dims=1), Standardise(PIXELS)]
for _ in range(8):
    parts += [Coupling(masks.halves(PIXELS), pf.scalar.Affine(bound=1.0), network), flip(PIXELS)]
flow = pf.Flow(parts, pf.distributions.StandardNormal((PIXELS,)))
pf.fit(flow, train, validation, max_steps=STEPS, batch_size=100, learning_rate=2e-3, ema=0.95, seed=0, progress=False)
assert str(flow.accuracy) == "lower bound"

# %% [markdown]
# ## Bits, and how tight the bound is
#
# A likelihood of images is told in bits per pixel: $-\log_2 p(x) / 64$, what a file would need. Averaging several draws
# of the noise *inside* the logarithm tightens the bound. A greyscale of 17 values needs $\log_2 17 = 4.09$ bits if
# nothing is known about it, and 2.40 by a histogram of each pixel.

# %%
with torch.no_grad():
    loose = flow.bits_per_dim(test).mean()
    tight = flow.bits_per_dim(test, importance_samples=16).mean()
print(f"bits per pixel: {loose:.3f} by one draw, {tight:.3f} by 16")
assert tight < loose < torch.tensor(17.0).log2()

samples = flow.sample(36).reshape(-1, 1, 8, 8)
plots.images_beside(test[:36].reshape(-1, 1, 8, 8), samples, maximum=LEVELS - 1)

# %% [markdown]
# To go back to integers, the cell is taken in which a value lies. So an image comes back whole, although noise was
# added on the way:

# %%
with torch.no_grad():
    back = flow.decode(flow.encode(test))
assert (back == test).float().mean() > 0.999

# %% [markdown]
# **Exercise.** For which flows does uniform dequantization cost nothing, so that the bound is the probability itself?
# Build one in a single dimension.

# %% [markdown] tags=["answer"]
# For those whose density is the same all over each cell: then every draw of the noise gives the same value, and
# Jensen's inequality is an equality. The distribution function of a histogram with a cell for each level, onto a
# uniform base, is such a flow. A smooth bijection is not, which is why *variational* dequantization learns noise that
# suits it.

# %% tags=["answer"]
levels = 4
histogram = pf.transforms.Elementwise(pf.scalar.HistogramCDF(levels), (1,))
with torch.no_grad():
    histogram.parameters_per_element.copy_(torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log())
exact = pf.Flow([Dequantization(levels, event_dims=1), histogram], pf.distributions.Uniform((1,)))
values = torch.arange(levels)[:, None]
for _ in range(3):  # new noise each time
    assert torch.allclose(exact.log_prob(values).exp(), torch.tensor([0.4, 0.3, 0.2, 0.1]), atol=1e-4)
