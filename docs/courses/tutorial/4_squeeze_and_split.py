# %% [markdown]
# # 4. Squeeze and split
#
# *Lippe (2022), UvA deep learning tutorial 11: multi-scale architecture.*
#
# A flow has as many latents as pixels, all through its depth. Most of them are fine detail that a few layers can deal
# with. So the tutorial's multi-scale flow stops early with half of them: after some couplings it *squeezes* each square
# of two by two pixels into four channels, *splits* half of the channels off to the base, and goes on with the rest, at
# half the width and height.
#
# The tutorial checks its squeeze on the numbers 1 to 16. Ours must give the same channels.

# %%
import torch

import pushforward as pf
from pushforward.transforms import Coupling, Dequantization, Logit, Squeeze, masks

image = torch.arange(1.0, 17).reshape(1, 4, 4)
squeezed, log_det = Squeeze()(image)
print(squeezed.movedim(0, -1).long().tolist())
expected = torch.tensor([[[1, 2, 5, 6], [3, 4, 7, 8]], [[9, 10, 13, 14], [11, 12, 15, 16]]])
assert torch.equal(squeezed.movedim(0, -1).long(), expected)  # rows, columns, channels, as the tutorial prints them
assert log_det == 0 and torch.equal(Squeeze().inverse(squeezed)[0], image)

# %% [markdown]
# ## A base of two levels
#
# Splitting is no layer here. What goes on behind a split is a flow of its own, and that flow, together with the density
# of what left, is the *base* of the layers before it: `pf.flows.FactorOut`. The recipe `multiscale` is built so, and
# `encode` gives the latents of *every* level.

# %%
torch.manual_seed(0)
flow = pf.models.multiscale(shape=(1, 8, 8), levels=17, layers=2, hidden=8, scales=2).eval()
digits = pf.data.load_data("digits").test
with torch.no_grad():
    latents = flow.encode(digits[:64])
shapes = [tuple(level.shape[1:]) for level in latents]
print("levels:", shapes)
assert sum(torch.Size(shape).numel() for shape in shapes) == 64  # as many numbers as pixels
assert len(latents) == flow.count_latents() == 2

# %% [markdown]
# Nothing is lost on the way: with the latents of all levels a digit comes back, bit for bit. With some of them drawn
# anew, something like it does.

# %%
with torch.no_grad():
    assert torch.equal(flow.decode(latents), digits[:64].float())
    redrawn = flow.decode([None, latents[1]])
assert redrawn.shape == digits[:64].shape and not torch.equal(redrawn, digits[:64].float())

# %% [markdown]
# ## What it saves
#
# Couplings on the squeezed image work on a quarter of the places, and after the split on half of the channels. Of two
# flows with the same number of couplings the one with a split touches fewer numbers:

# %%


def touched(model, x):
    """How many numbers the couplings of a flow are given, for one image."""
    seen = []
    hooks = [
        part.register_forward_hook(lambda _, given, __: seen.append(given[0][0].numel()))
        for part in model.modules()
        if isinstance(part, Coupling)
    ]
    with torch.no_grad():
        model.log_prob(x)
    for hook in hooks:
        hook.remove()
    return len(seen), sum(seen)


board = masks.checkerboard((1, 8, 8))
couplings, numbers = touched(flow, digits[:2])
network = pf.networks.GatedConvNet
layers = [Coupling(board if i % 2 else ~board, pf.scalar.Affine(), network) for i in range(couplings)]
single = pf.Flow([Dequantization(17), Logit(0.05), *layers], pf.distributions.StandardNormal((1, 8, 8)))
_, of_one_scale = touched(single, digits[:2])
print(f"{couplings} couplings: {numbers} numbers in the multi-scale flow, {of_one_scale} in one scale")
assert numbers < of_one_scale

# %% [markdown]
# **Exercise.** Put a split before any coupling. What is then modelled badly, and would a longer flow behind the split
# mend it?

# %% [markdown] tags=["answer"]
# What leaves at once goes to its base untouched. If that base is a standard normal, half of the pixels are independent
# normals whatever happens to the others: they are coded as if nothing were known about them. No flow behind the split
# sees them. A base *given the other half* mends it, as the one of `multiscale` is; it is then a learned, autoregressive
# base of two steps. Couplings before the split do the same from the other side.

# %% tags=["answer"]
half = torch.Size((2, 4, 4))
behind = pf.Flow([Coupling(masks.channel(half), pf.scalar.Affine(), network)], pf.distributions.StandardNormal(half))
for weights in behind.parameters():
    torch.nn.init.normal_(weights, std=0.3)
too_early = pf.Flow([Squeeze()], pf.flows.FactorOut(pf.distributions.StandardNormal(half), behind))
kept, split, other_kept, other_split = torch.randn(4, *half)


def log_density(kept, split):
    return too_early.log_prob(Squeeze().inverse(torch.cat([kept, split]))[0])


both = log_density(kept, split) + log_density(other_kept, other_split)
crossed = log_density(kept, other_split) + log_density(other_kept, split)
assert torch.allclose(both, crossed, atol=1e-3)  # a product of two densities: the halves are independent
