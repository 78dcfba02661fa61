# %% [markdown]
# # 1. From integers to the line and back
#
# *Lippe (2022), UvA deep learning tutorial 11: dequantization.*
#
# The tutorial builds a flow of handwritten digits, layer by layer. The first layer makes real numbers of the integers:
# uniform noise is added, the sum divided by the number of levels, so that it lies in the unit interval, and the logit
# takes it to the whole line, where a normal base is at home. Two dangers go with that. Without the scaling the latents
# of a white pixel would begin at 256 standard deviations; and at 0 and 1 the logit is infinite, for which reason the
# interval is first shrunk by a little.

# %%
import torch

import pushforward as pf
from pushforward import plots
from pushforward.transforms import Chain, Dequantization, Logit

torch.manual_seed(0)
LEVELS = 8
to_line = Chain([Dequantization(LEVELS, event_dims=1), Logit(1e-5, event_dims=1)])

values = torch.arange(LEVELS)[:, None].expand(-1, 5000).reshape(-1, 1)
z, log_det = to_line(values)
edges = to_line.parts[1](torch.arange(1, LEVELS)[:, None] / LEVELS)[0][:, 0]
print("between the levels:", [f"{edge:.1f}" for edge in edges])
assert torch.equal(torch.bucketize(z[:, 0], edges), values[:, 0])  # each level has an interval of the line

# %% [markdown]
# Level 0 lies below -1.9, level 1 between -1.9 and -1.1, and so on. Uniform levels become the logistic distribution,
# whose density is $\sigma(z)(1 - \sigma(z))$; each interval holds an eighth of it.

# %%
logistic = pf.distributions.StandardLogistic((1,))
assert [round(edge.item(), 1) for edge in edges[:2]] == [-1.9, -1.1]
assert torch.allclose(-log_det, logistic.log_prob(z) + torch.tensor(LEVELS).log(), atol=0.02)

plots.scatter_2d(torch.cat([z, values + 0.8 * torch.rand(len(z), 1)], 1)[::10], names=("z", "level"))

# %% [markdown]
# ## A test that fails, and one that does not
#
# The tutorial checks that a digit comes back from the line, and it does not quite: one of 784 pixels was 0 and is 1. In
# 32 bits the logit is too coarse near its ends, for 256 levels. Here `forward` is what trains, and may land on the very
# edge of a cell; `encode`, which is what one decodes again, keeps the noise a little away from the edges.

# %%
fine = Chain([Dequantization(256, event_dims=1), Logit(1e-5, event_dims=1)])
images = torch.randint(0, 256, (2000, 784))
images[:, ::2] = torch.where(torch.rand(2000, 392) < 0.5, 0, 255)  # black and white, the hardest
back = fine.decode(fine.encode(images))
assert torch.equal(back, images.float())

# %% [markdown]
# **Exercise.** A camera's pixel is noisy: suppose a pixel's level is nearly normal, with masses like those below.
# Sketch the density of $z$. Why is it hard for a flow?

# %% [markdown] tags=["answer"]
# Within each interval it has the logistic's shape, times the level's mass and 8, so that it jumps at each of the edges,
# by the ratio of two masses. A flow of smooth maps must make cliffs of a normal that has none. Noise that is learned
# can be heaped in the middle of the cells instead, and the steps go: that is variational dequantization, the next
# lesson.

# %% tags=["answer"]
masses = torch.tensor([0.075, 0.2, 0.4, 0.2, 0.075, 0.025, 0.0125, 0.0125])


def density(z):
    level = torch.bucketize(z, edges)
    return LEVELS * masses[level] * logistic.log_prob(z[:, None]).exp()


line = torch.linspace(-15, 15, 60_001)
assert abs(torch.trapezoid(density(line), line) - 1) < 1e-3
beside = density(edges + 1e-4) / density(edges - 1e-4)
assert torch.allclose(beside, masses[1:] / masses[:-1], rtol=1e-2)
