# %% [markdown]
# # 5. Flows of integers
#
# *Tomczak (2022), Deep Generative Modeling, section 3.2.*
#
# For integers the change of variables has no determinant: points have no volume, and $p(x) = \pi(f(x))$. That is less
# than it seems to be. A bijection of a finite set can only exchange its probabilities; a uniform base stays uniform.
# What it *can* do on a large enough set is to put them where they are a product of independent parts.

# %%
import os
from functools import partial

import torch

import pushforward as pf
from pushforward.transforms import Integers, bipartite, quadripartite

STEPS = 200 if "PUSHFORWARD_SHORT" in os.environ else 600

table = torch.tensor([[0.5, 0.0], [0.0, 0.5]])  # two bits that are always equal
moved = torch.stack([table[0], table[1].flip(0)])  # z = (x_1, x_2 xor x_1)
assert torch.equal(moved.flatten().sort().values, table.flatten().sort().values)  # the same four numbers
independent = moved.sum(1, keepdim=True) * moved.sum(0, keepdim=True)
assert torch.equal(independent, moved) and not torch.equal(table.sum(1, keepdim=True) * table.sum(0), table)

# %% [markdown]
# ## Integer discrete flows
#
# The integers have room without end. A coupling that shifts by a rounded network, $z_b = x_b + \lfloor t(x_a) \rceil$,
# stays among them and is undone by a subtraction; scaling is left out, since a quotient of integers need not be one.
# Rounding has no gradient, so backwards it is treated as if it were not there (the straight-through estimator). The
# base is a discretized logistic: the mass of $z$ is the logistic's between $z - 0.5$ and $z + 0.5$.

# %%
base = pf.distributions.DiscretizedLogistic((1,))
z = torch.arange(-40.0, 41)[:, None]
with torch.no_grad():
    mass = base.log_prob(z).exp()
assert abs(mass.sum() - 1) < 1e-5

# %% [markdown]
# Two bits that are always equal, once more, with and without a flow. The flow learns to subtract the first from the
# second; what is left of the second is zero, and the price of the pair falls to the one bit of the first.

# %%
torch.manual_seed(0)
equal = torch.randint(0, 2, (1000, 1)).expand(-1, 2).contiguous()
network = partial(pf.networks.MLP, hidden=(16,))


def integer_flow(layers):
    couplings = [bipartite((2,), pf.scalar.RoundedShift(), network) for _ in range(layers)]
    return pf.Flow([Integers(2), *couplings], pf.distributions.DiscretizedLogistic((2,)))


bits = {}
for layers in (0, 1):
    flow = integer_flow(layers)
    pf.fit(flow, equal, max_steps=STEPS, learning_rate=5e-2, ema=None, seed=0, progress=False)
    bits[layers] = 2 * flow.bits_per_dim(equal).mean().item()
print(f"bits for the pair: {bits[0]:.2f} without a flow, {bits[1]:.2f} with one coupling")
assert str(flow.accuracy) == "exact" and bits[1] < bits[0] - 0.5

# %% [markdown]
# ## Four parts at once
#
# The chapter's proposition 3.1 allows more: each part may be shifted by *all* others, as long as those that come before
# it are taken as they have become, and those after it as they still are. To undo it, one begins with the last part. Two
# parts keep one; four parts keep none.

# %%
shift = pf.scalar.RoundedShift()
x = torch.randint(-20, 20, (100, 8)).float()
for make, expected in ((bipartite, 4), (quadripartite, 0)):
    layer = make((8,), shift, network)
    for weights in layer.parameters():
        torch.nn.init.normal_(weights)
    z, log_det = layer(x)
    assert torch.equal(z, z.round()) and (log_det == 0).all()
    assert torch.equal(layer.inverse(z)[0], x)
    assert (z == x).all(0).sum() == expected  # of the 8 numbers, those that all events keep

# %% [markdown]
# **Exercise.** Follow the forward lines of four parts, from $y_a = x_a + t_a(x_b, x_c, x_d)$ to
# $y_d = x_d + t_d(y_a, y_b, y_c)$, and write down their inverse. In which order must its lines be computed?

# %% [markdown] tags=["answer"]
# From the last to the first: $x_d = y_d - t_d(y_a, y_b, y_c)$, $x_c = y_c - t_c(y_a, y_b, x_d)$,
# $x_b = y_b - t_b(y_a, x_c, x_d)$, $x_a = y_a - t_a(x_b, x_c, x_d)$. Each line needs the values that its forward line
# saw, and the last forward line is the only one that saw nothing but what is known at the beginning.

# %% tags=["answer"]
networks = [torch.nn.Linear(6, 2) for _ in range(4)]
t = [lambda *parts, net=net: net(torch.cat(parts, -1)).round() for net in networks]
a, b, c, d = x.chunk(4, -1)
y_a = a + t[0](b, c, d)
y_b = b + t[1](y_a, c, d)
y_c = c + t[2](y_a, y_b, d)
y_d = d + t[3](y_a, y_b, y_c)
x_d = y_d - t[3](y_a, y_b, y_c)
x_c = y_c - t[2](y_a, y_b, x_d)
x_b = y_b - t[1](y_a, x_c, x_d)
x_a = y_a - t[0](x_b, x_c, x_d)
assert torch.equal(torch.cat([x_a, x_b, x_c, x_d], -1), x)
