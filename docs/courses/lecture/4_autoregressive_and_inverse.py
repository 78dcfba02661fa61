# %% [markdown]
# # 4. Autoregressive flows, and their inverses
#
# *Abbeel et al., lecture 3: autoregressive flows and inverse autoregressive flows.*
#
# To draw from an autoregressive model is to map noise to data, one element after the other, and that map can be
# inverted: every autoregressive model of continuous numbers is a flow. With *all* of $x$ at hand, each
# $z_i = f(x_i; x_{<i})$ can be computed at once, by a network whose masks let element $i$ see those before it. To go
# back, $x_1$ is needed for $x_2$, and so on.
#
# The inverse of a flow is a flow. Turned round, the chain of waiting stands on the other side: drawing is one pass, and
# scoring data waits.

# %%
import torch

import pushforward as pf
from pushforward.transforms import Autoregressive, Inverse

torch.manual_seed(0)
features = 6


class Counted(pf.networks.MADE):
    """A masked network that counts how often it runs."""

    passes = 0

    def forward(self, x, context=None):
        type(self).passes += 1
        return super().forward(x, context)


layer = Autoregressive(features, pf.scalar.Affine(), Counted)
for weights in layer.parameters():
    torch.nn.init.normal_(weights, std=0.3)

x = torch.randn(features)
jacobian = torch.autograd.functional.jacobian(lambda x: layer(x)[0], x)
z, log_det = layer(x)
print(jacobian.round(decimals=2))
assert (jacobian.triu(1) == 0).all()  # lower triangular: z_i sees x_1 to x_i
assert torch.allclose(jacobian.diagonal().log().sum(), log_det, atol=1e-5)

# %% [markdown]
# ## Who waits
#
# The textbook's way back is a loop: after $i$ rounds the first $i$ numbers are right, since they depend on nothing that
# is still wrong.

# %%
Counted.passes = 0
with torch.no_grad():
    z = layer.encode(x)
    assert Counted.passes == 1  # data to latents: one pass

    guess = torch.zeros(features)
    for known in range(features):
        scales_and_shifts = layer.network(guess).unflatten(-1, (-1, features)).T
        guess = layer.scalar.decode(z, scales_and_shifts)
        assert torch.allclose(guess[: known + 1], x[: known + 1], atol=1e-4)
    assert Counted.passes == 1 + features  # and back: one for each element

# %% [markdown]
# (The library does not do it like this. `layer.decode` computes what each element adds to the hidden units, so that a
# whole sample costs about as much as one pass. It is the waiting that stays.)
#
# The same layer, turned round, is an inverse autoregressive flow. Scoring and drawing have changed places:

# %%
base = pf.distributions.StandardNormal((features,))
autoregressive, inverse = pf.Flow([layer], base), pf.Flow([Inverse(layer)], base)
with torch.no_grad():
    assert torch.allclose(inverse.decode(x), autoregressive.encode(x))
    assert torch.allclose(inverse.encode(x), autoregressive.decode(x), atol=1e-4)

    Counted.passes = 0
    drawn, log_prob = inverse.rsample_and_log_prob(4)  # draws, and their densities with them
    assert Counted.passes == 1
    assert torch.allclose(inverse.log_prob(drawn), log_prob, atol=1e-3)

# %% [markdown]
# The last lines are why inverse flows are used where the flow draws its own samples: as posteriors of variational
# autoencoders, and as students of a slow teacher. The lecture names this *distillation*; a [page of its
# own](../../distillation.md) does it.
#
# | | data to latents | latents to data |
# | --- | --- | --- |
# | autoregressive | at once: trained by likelihood | one element after the other |
# | inverse autoregressive | one element after the other | at once: fast to draw from |
#
# **Exercise.** Is an autoregressive flow followed by an inverse one still easy in one direction? And a coupling: which
# of the two is it?

# %% [markdown] tags=["answer"]
# No: one of the two waits, whichever way one goes. A coupling is both at once. It is autoregressive with only two
# steps, in which half of the elements are one step: the Jacobian is block triangular, and so is that of its inverse,
# and neither direction waits for more than one pass of the network.

# %% tags=["answer"]
coupling = pf.transforms.Coupling(pf.transforms.masks.halves(features), pf.scalar.Affine(), pf.networks.MLP)
for weights in coupling.parameters():
    torch.nn.init.normal_(weights, std=0.3)
for direction in (coupling.forward, coupling.inverse):
    jacobian = torch.autograd.functional.jacobian(lambda x, f=direction: f(x)[0], x)
    assert (jacobian.triu(1) == 0).all()
