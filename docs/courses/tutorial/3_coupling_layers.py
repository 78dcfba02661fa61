# %% [markdown]
# # 3. The coupling layer, with its safety catches
#
# *Lippe (2022), UvA deep learning tutorial 11: coupling layers.*
#
# The tutorial's coupling scales and shifts half of the pixels by what a network computes of the others. A scale is an
# exponential, and one large output of an untrained network would blow the latents up. So the log-scale is bounded, by a
# hyperbolic tangent whose size is learned for each channel:
#
# $$s = f \tanh(s_\text{raw} / f), \qquad f = e^a.$$
#
# Near zero that is the raw number, and it never passes $f$.

# %%
from functools import partial

import torch

import pushforward as pf
from pushforward.transforms import Coupling, masks

bounded = pf.scalar.LearnedBoundAffine()
raw = torch.linspace(-5, 5, 1001)
for factor in (0.5, 1.0, 2.0):
    parameters = torch.stack([raw, torch.zeros_like(raw), torch.full_like(raw, factor).log()], -1)
    _, log_scale = bounded.forward(torch.zeros_like(raw), parameters)
    assert log_scale.abs().max() <= factor + 1e-6
    assert torch.allclose(log_scale, factor * torch.tanh(raw / factor), atol=1e-5)

# %% [markdown]
# ## Masks
#
# A checkerboard splits the pixels, a mask of channels the channels. With one channel there is only the board. In every
# other layer the mask is turned over, so that all pixels are changed.

# %%
shape = (2, 8, 8)
board, channels = masks.checkerboard(shape), masks.channel(shape)
assert board.sum() == channels.sum() == board.numel() // 2
assert torch.equal(board[0], board[1])  # shared by the channels
assert channels[0].all() and not channels[1].any()
assert not (board[:, :, 1:] & board[:, :, :-1]).any()  # no two neighbours are both kept
print(board[0].int())

# %% [markdown]
# ## The network, and how it begins
#
# The network is a stack of residual blocks with gates, whose activation keeps both signs, `[elu(x), elu(-x)]`. Its last
# convolution begins at zero, so an untrained coupling is the identity and an untrained flow of any depth is harmless.

# %%
torch.manual_seed(0)
network = pf.networks.GatedConvNet
layer = Coupling(board, bounded, network)
x = torch.randn(16, *shape)
z, log_det = layer(x)
assert torch.allclose(z, x) and torch.allclose(log_det, torch.zeros(16), atol=1e-6)

for weights in layer.parameters():
    torch.nn.init.normal_(weights, std=0.1)
z, log_det = layer(x)
again, back = layer.inverse(z)
assert torch.equal(z[:, board], x[:, board]) and not torch.allclose(z, x)
assert torch.allclose(again, x, atol=1e-4) and torch.allclose(back, -log_det, atol=1e-4)

# %% [markdown]
# The log-determinant is the sum of the log-scales. A whole Jacobian of so small an image can still be computed, and
# agrees:

# %%
small = Coupling(masks.checkerboard((1, 4, 4)), bounded, network)
for weights in small.parameters():
    torch.nn.init.normal_(weights, std=0.1)
image = torch.randn(1, 4, 4)
jacobian = torch.autograd.functional.jacobian(lambda x: small(x)[0].flatten(), image).reshape(16, 16)
assert torch.allclose(torch.linalg.slogdet(jacobian).logabsdet, small(image)[1], atol=1e-4)

# %% [markdown]
# **Exercise.** Without the bound, how large do the latents of thirty untrained couplings become whose networks do *not*
# begin at zero? And with a bound of 1?

# %% [markdown] tags=["answer"]
# The scales multiply: a few log-scales of 5 in a row are a factor of $e^{5}$ each, and thirty layers leave the range of
# 32-bit numbers. With a bound of $b$ a layer can multiply by no more than $e^b$, which is still much, but networks
# rarely agree on it; beginning at zero is what makes depth harmless, and the bound what keeps it so while training.

# %% tags=["answer"]


def largest_after(scalar, layers=30):
    torch.manual_seed(0)
    z = torch.randn(64, 4)
    for number in range(layers):
        kept = masks.halves(4) if number % 2 else ~masks.halves(4)
        layer = Coupling(kept, scalar, partial(pf.networks.MLP, hidden=(8,)))
        for weights in layer.parameters():
            torch.nn.init.normal_(weights)
        z = layer(z)[0].detach()
    return z.abs().max()


free, held = largest_after(pf.scalar.Affine(bound=60.0)), largest_after(pf.scalar.Affine(bound=0.1))
print(f"unbounded {free}, bounded {held:.1g}")
assert not torch.isfinite(free) and torch.isfinite(held)
