# %% [markdown]
# # 10. Glow, and clips
#
# *A researcher's notes on normalizing flows (2020), sections 10 and 11.5: Glow, VideoFlow.*
#
# Glow keeps RealNVP's plan and changes three parts. Batches of large images are small, so the normalisation of a batch
# becomes *actnorm*: a scale and a shift for each channel, set by the first batch so that its channels have mean zero
# and deviation one, and parameters from then on. And the permutation of channels becomes a matrix, the same at every
# pixel, an *invertible 1 x 1 convolution*, of which a permutation is a special case. Its log-determinant is that of the
# matrix, once for each pixel.

# %%
import os

import torch

import pushforward as pf
from pushforward import plots
from pushforward.data.video import stochastic_movement
from pushforward.transforms import ActNorm, InvertibleConvolution, InvertibleConvolutionLU

STEPS = 40 if "PUSHFORWARD_SHORT" in os.environ else 600

torch.manual_seed(0)
actnorm = ActNorm(3, event_dims=3)
x = 5 + 2 * torch.randn(32, 3, 8, 8)
actnorm.initialise(x)
z, _ = actnorm(x)
assert z.mean((0, 2, 3)).abs().max() < 1e-4 and (z.std((0, 2, 3)) - 1).abs().max() < 1e-2
assert torch.allclose(actnorm.inverse(z)[0], x, atol=1e-4)

# %%
convolution = InvertibleConvolutionLU(3)
for weights in convolution.parameters():
    torch.nn.init.normal_(weights, std=0.5)
_, log_det = convolution(x)
matrix = torch.func.jacrev(lambda pixel: convolution(pixel.reshape(3, 1, 1))[0].flatten())(torch.zeros(3))
assert torch.allclose(log_det, 64 * torch.linalg.slogdet(matrix).logabsdet, rtol=1e-4)  # 8 x 8 pixels

# %% [markdown]
# ## Moving along a difference
#
# The notes like a trick of the paper's: average the latents of images that have something, and of those that have not,
# and move along the difference. Here the images are digits, and the something is being an eight rather than a one. The
# other two thirds of the trick is that a flow has *all* of an image in its latents, so that moving by nothing gives the
# image back to the last level of grey.

# %%
data = pf.data.load_data("digits")
flow = pf.models.glow(shape=(1, 8, 8), levels=17, scales=2, layers=3, hidden=32)
pf.fit(flow, data.train, max_steps=STEPS, batch_size=64, learning_rate=2e-3, ema=0.95, seed=0, progress=False)
with torch.no_grad():
    bits = flow.bits_per_dim(data.test).mean().item()
    back = flow.decode(flow.encode(data.test[:16]))
print(f"{bits:.3f} bits per pixel")
assert torch.equal(back, data.test[:16].float())

cold, warm = flow.sample(36, temperature=0.7), flow.sample(36)
plots.images_beside(warm, cold, maximum=16, titles=("as learned", "with a narrower base"))

# %% [markdown]
# The notes guess that the *temperature* of the pictures in the paper is a narrower latent distribution, after the fact.
# It is: the base's deviation is multiplied by it.

# %%
normal = pf.Flow([pf.transforms.Standardise(1)], pf.distributions.StandardNormal((1,)))
assert abs(normal.sample(20_000, temperature=0.7).std() - 0.7) < 0.02

# %% [markdown]
# ## Clips
#
# A clip goes on in more than one way, and a model that predicts *the* next frame blurs them all. VideoFlow is Glow on
# each frame, with the time in the density of the latents alone:
#
# $$p(z_t^{(l)} \mid z_{<t}^{(l)}, z_t^{(>l)}) = \mathcal{N}(\mu, \sigma),$$
#
# each level given itself in the frames before and the levels above it. The first frame is given, and the density is
# that of what follows.

# %%
clips = stochastic_movement(120)  # a shape that sets out in one of eight directions
first, future = clips[:, :1], clips[:, 1:]
video = pf.models.videoflow(clip=(3, 1, 8, 8), levels=2, first=1, layers=1, hidden=8, scales=1, components=8)
pf.fit(video, (future, first), max_steps=10, progress=False)
drawn = video.sample(6, first[0])
assert drawn.shape == (6, 2, 1, 8, 8)
with torch.no_grad():
    latents = video.encode(future[:4], first[:4])
    assert torch.equal(video.decode(latents, first[:4]), future[:4])
    assert video.log_prob(future[:4], first[:4]).shape == (4,)

# %% [markdown]
# **Exercise.** How many numbers are learned of a 1 x 1 convolution of $C$ channels, as a matrix, and as Glow's product
# of a fixed permutation, a lower and an upper triangular matrix? What does the second form buy?

# %% [markdown] tags=["answer"]
# $C^2$ both times: $C (C - 1) / 2$ below the diagonal, as many above it, and $C$ on it. The determinant of the product
# is that of its diagonal, $C$ multiplications instead of about $C^3 / 3$, and as long as the diagonal stays away from
# zero the matrix can be inverted whatever is learned.

# %% tags=["answer"]
channels = 12
full, factors = InvertibleConvolution(channels), InvertibleConvolutionLU(channels)
masked = {name: weights.numel() for name, weights in factors.named_parameters()}
print(full.weight.numel(), masked)
assert full.weight.numel() == channels**2
for layer in (full, factors):
    image = torch.randn(channels, 4, 4)
    assert torch.allclose(layer.inverse(layer(image)[0])[0], image, atol=1e-4)
