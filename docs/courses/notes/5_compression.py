# %% [markdown]
# # 5. From likelihood to files
#
# *A researcher's notes on normalizing flows (2020), section 7: discrete flows for compression.*
#
# A code gives each value a string of bits. The shortest mean length that any can have is the entropy,
# $-\sum_i p_i \log_2 p_i$, and it is reached, up to two bits for a whole message, by strings of length $-\log_2 p_i$. A
# code for the wrong distribution $q$ takes the divergence $\operatorname{KL}(p \,\|\, q)$ more. So whoever maximises a
# likelihood shortens files.

# %%
import os

import torch

import pushforward as pf
from pushforward.codec import compress, decompress, export

STEPS = 40 if "PUSHFORWARD_SHORT" in os.environ else 500

p = torch.tensor([0.5, 0.25, 0.125, 0.125], dtype=torch.float64)
q = torch.full((4,), 0.25, dtype=torch.float64)
code = {0: "0", 1: "10", 2: "110", 3: "111"}
length = sum(p[value] * len(string) for value, string in code.items())
entropy = -(p * p.log2()).sum()
assert torch.isclose(length, entropy)  # these masses are powers of two, and the code is exact
divergence = (p * (p / q).log2()).sum()
assert torch.isclose(-(p * q.log2()).sum(), entropy + divergence)

# %% [markdown]
# ## An integer discrete flow as a codec
#
# The notes follow Hoogeboom's flow: integers are mapped to integers, the latents have known masses, and an entropy
# coder writes them. It is exact for what is coded: no noise, no bound. At each level half of the channels is factored
# out, with a mass that depends on those that stay, and the shifts touch only a quarter of the channels in each
# coupling, so that fewer of them are rounded.
#
# A computer's floats stand in the way: the network must give the same shift, to the bit, on the machine that reads the
# file. `export` makes integer arithmetic of it.

# %%
torch.manual_seed(0)
data = pf.data.load_data("digits")
flow = pf.models.idf(shape=(1, 8, 8), levels=17, layers=1, hidden=8, blocks=1)
pf.fit(flow, data.train, max_steps=STEPS, batch_size=64, learning_rate=5e-3, ema=None, seed=0, progress=False)
assert str(flow.accuracy) == "exact"

images = data.test[:200].to(torch.uint8).numpy()
with torch.no_grad():
    promised = flow.bits_per_dim(data.test[:200]).mean().item()
codec = export(flow)
written = compress(codec, images)
taken = 8 * len(written) / images.size
print(f"{promised:.3f} bits per pixel promised by the likelihood, {taken:.3f} taken by the file, 8 in memory")
assert (decompress(codec, written) == images).all()  # not a bit is lost
assert taken < 1.1 * promised + 0.1

# %% [markdown]
# ## The notes' pseudo-code
#
# Their recipe, forward: squeeze; permute and couple, several times; split, and score what leaves given what stays;
# again. Backward the same in reverse. The flow's latents are those parts, one for each level:

# %%
latents = flow.encode(data.test[:10])
latents = [latents] if isinstance(latents, torch.Tensor) else latents
assert all(torch.equal(z, z.round()) for z in latents)
assert sum(z[0].numel() for z in latents) == 64
assert torch.equal(flow.decode(latents if len(latents) > 1 else latents[0]), data.test[:10].float())

# %% [markdown]
# **Exercise.** A *continuous* flow reaches fewer bits than the integer one on the same images. Could its latents be
# rounded and written?

# %% [markdown] tags=["answer"]
# Not so. Rounded latents do not decode to the image, unless they are rounded very finely, and then each number takes
# many bits: a density says nothing about points. What works is bits-back coding, in which the noise of the
# dequantization is itself *decoded* from the message so far, so that the bits it costs are got back. It reaches the
# flow's bound; the codec does it for continuous flows of couplings.

# %% tags=["answer"]
continuous = pf.models.realnvp(features=64)
pixels = data.train.flatten(1).float()
continuous.initialise(pixels + torch.rand_like(pixels))
with torch.no_grad():
    z = continuous.encode(pixels[:100])
    coarse = (continuous.decode(z.round()) - pixels[:100]).abs().max()
    fine = (continuous.decode((z * 2**12).round() / 2**12) - pixels[:100]).abs().max()
assert coarse > 0.5 > fine  # twelve bits after the point, for each of 64 latents
