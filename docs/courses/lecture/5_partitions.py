# %% [markdown]
# # 5. Which pixels see which
#
# *Abbeel et al., lecture 3: RealNVP-like architectures, good and bad partitions.*
#
# A coupling of images needs a mask: which pixels are kept, and which are changed given them. The lecture shows samples
# of two flows that differ in that alone. One alternates checkerboards, then squeezes pixels into channels and
# alternates those; the other keeps the top half, then the bottom half, the left and the right. The second is clearly
# worse.
#
# Why can be counted. The best predictor of a pixel is its neighbours. Under a checkerboard every changed pixel has
# *all* of them; under halves only those along one edge have even one.

# %%
import os
from functools import partial

import torch

import pushforward as pf
from pushforward import plots
from pushforward.transforms import Coupling, Dequantization, Logit, Squeeze, masks

STEPS = 40 if "PUSHFORWARD_SHORT" in os.environ else 500
SHAPE = (1, 8, 8)


def neighbours_kept(mask):
    """Of the changed pixels, the share of their neighbours above, below, left and right that are kept."""
    cross = torch.tensor([[0.0, 1, 0], [1, 0, 1], [0, 1, 0]])[None, None]
    kept = torch.nn.functional.conv2d(mask.float()[None], cross, padding=1)
    all_of_them = torch.nn.functional.conv2d(torch.ones(1, *SHAPE), cross, padding=1)
    return (kept / all_of_them)[0][~mask].mean().item()


found = {name: neighbours_kept(getattr(masks, name)(SHAPE)) for name in ("checkerboard", "top_bottom", "left_right")}
print(found)
assert found["checkerboard"] == 1.0
assert found["top_bottom"] < 0.1 and found["left_right"] < 0.1

# %% [markdown]
# A squeeze makes four channels of each square of two by two, and a mask of channels then keeps two of the four: a pixel
# has neighbours of its own square to look at, and many more at a coarser scale.

# %%
squeezed = Squeeze()(torch.arange(64.0).reshape(SHAPE))[0]
kept = masks.channel(squeezed.shape)
print(squeezed[kept].reshape(2, 4, 4)[:, 0].long().tolist())  # the first row of each kept channel
picture = Squeeze().inverse(kept.float())[0]
assert torch.equal(picture[0, ::2], torch.ones(4, 8)) and torch.equal(picture[0, 1::2], torch.zeros(4, 8))
assert neighbours_kept(picture.bool()) > 0.49

# %% [markdown]
# ## The same flow with either
#
# Eight couplings each, the same networks, the same digits, the same number of steps.

# %%
torch.manual_seed(0)
data = pf.data.load_data("digits")
network = partial(pf.networks.GatedConvNet, hidden=16, blocks=1)


def digits_flow(kept):
    couplings = [Coupling(mask, pf.scalar.LearnedBoundAffine(), network) for mask in kept]
    parts = [Dequantization(17), Logit(0.05), *couplings]
    return pf.Flow(parts, pf.distributions.StandardNormal(SHAPE))


board, top, left = (getattr(masks, name)(SHAPE) for name in ("checkerboard", "top_bottom", "left_right"))
partitions = {"good": [board, ~board] * 4, "bad": [top, ~top, left, ~left] * 2}
bits, samples = {}, {}
for name, kept in partitions.items():
    torch.manual_seed(0)
    flow = digits_flow(kept)
    pf.fit(flow, data.train, max_steps=STEPS, batch_size=64, learning_rate=5e-3, ema=None, seed=0, progress=False)
    with torch.no_grad():
        bits[name] = flow.bits_per_dim(data.test[:200]).mean().item()
        samples[name] = flow.sample(36)
print("bits per pixel:", bits)
assert bits["good"] < bits["bad"]

plots.images_beside(data.test[:36], samples["good"], maximum=16)

# %% [markdown]
# And by halves:

# %%
plots.images_beside(data.test[:36], samples["bad"], maximum=16)

# %% [markdown]
# **Exercise.** Both partitions change every pixel equally often, and a convolutional network of a few layers could look
# across half of the picture. Would a *deeper network* in the bad flow make up for it?

# %% [markdown] tags=["answer"]
# Only in part. A network can look as far as one likes, but what a layer may look at is fixed by the mask: inside of the
# changed half no pixel sees its changed neighbours, at any depth. Given the kept half, one layer maps each changed
# pixel by itself, and dependence within the half has to be made by the *other* layers, in few steps. The same for a
# checkerboard holds of pixels at a distance of two and more, which are less dependent given those between them.

# %% tags=["answer"]
layer = Coupling(top, pf.scalar.Affine(), partial(pf.networks.GatedConvNet, hidden=8, blocks=3))
for weights in layer.parameters():
    torch.nn.init.normal_(weights, std=0.2)
jacobian = torch.autograd.functional.jacobian(lambda x: layer(x)[0].flatten(), torch.randn(SHAPE)).reshape(64, 64)
within = jacobian[32:, 32:]
assert torch.equal(within, torch.diag(within.diagonal()))  # each changed pixel by itself
