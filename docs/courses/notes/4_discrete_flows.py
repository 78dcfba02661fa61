# %% [markdown]
# # 4. Flows of categories
#
# *A researcher's notes on normalizing flows (2020), section 6.*
#
# Of discrete data a bijection can only rename the values, and the entropy stays what it was. It is worth having
# nonetheless, if the renamed variables are *independent*. The notes' example are two bits with these masses:
#
# | | $x_2 = 0$ | $x_2 = 1$ |
# | --- | --- | --- |
# | $x_1 = 0$ | 0.63 | 0.07 |
# | $x_1 = 1$ | 0.03 | 0.27 |
#
# They depend on each other. After $(y_1, y_2) = (x_1, x_1 \oplus x_2)$, exclusive or, they do not: the second bit now
# says whether the two differed, which happens one time in ten whatever the first is.

# %%
import os

import torch

import pushforward as pf

STEPS = 150 if "PUSHFORWARD_SHORT" in os.environ else 1000


def bits(masses):
    return -(masses * masses.log2()).sum().item()


table = torch.tensor([[0.63, 0.07], [0.03, 0.27]])
renamed = torch.stack([table[0], table[1].flip(0)])
independent = renamed.sum(1, keepdim=True) * renamed.sum(0, keepdim=True)
assert torch.allclose(renamed, independent, atol=1e-6)
assert not torch.allclose(table, table.sum(1, keepdim=True) * table.sum(0, keepdim=True), atol=0.1)
assert abs(bits(table) - bits(renamed)) < 1e-5  # the entropy is the same
marginals = bits(table.sum(0)) + bits(table.sum(1))
print(f"entropy {bits(table):.3f} bits; two independent bits would take {marginals:.3f}")

# %% [markdown]
# ## A flow that finds it
#
# The flow is the same idea for $K$ categories, $y = (\mu + \sigma x) \bmod K$ with $\mu$ and $\sigma$ chosen by a
# network of the other half. Exclusive or is a shift by $x_1$ modulo 2. A base of independent categories cannot go below
# the sum of the marginals' entropies; behind one such layer it comes down to the entropy of the pair.

# %%
torch.manual_seed(0)
pairs = torch.cartesian_prod(torch.arange(2), torch.arange(2))
x = pairs[torch.multinomial(table.flatten(), 4000, replacement=True)]
reached = {}
for layers in (0, 1):
    torch.manual_seed(0)
    flow = pf.models.discrete_flow(features=2, classes=2, layers=layers, hidden=(16,))
    pf.fit(flow, x, max_steps=STEPS, learning_rate=2e-2, ema=None, seed=0, progress=False)
    with torch.no_grad():
        mass = flow.log_prob(pairs).exp()
    assert abs(mass.sum() - 1) < 1e-4  # a mass function, whatever was learned
    reached[layers] = -(table.flatten() * mass.log2()).sum().item()
print(f"{reached[0]:.3f} bits by the base alone, {reached[1]:.3f} with a layer")
assert abs(reached[0] - marginals) < 0.02 and abs(reached[1] - bits(table)) < 0.02

# %% [markdown]
# ## Which scales can be undone
#
# A multiplication modulo $K$ can be undone if the factor shares no divisor with $K$. The notes leave the rest to
# "Euclid's algorithm", with the remark *no clue what it is*. It finds the greatest common divisor of $a$ and $K$ by
# dividing with remainder, and, keeping account, numbers with $s a + t K = 1$. Modulo $K$ that says $s a = 1$: $s$ is
# the inverse.

# %%


def euclid(a, b):
    """g, s, t with g = s a + t b, the greatest common divisor"""
    if b == 0:
        return a, 1, 0
    g, s, t = euclid(b, a % b)
    return g, t, s - (a // b) * t


K = 10
inverses = {a: euclid(a, K)[1] % K for a in range(1, K) if euclid(a, K)[0] == 1}
print(inverses)
assert inverses == {1: 1, 3: 7, 7: 3, 9: 9}
assert all(a * inverse % K == 1 for a, inverse in inverses.items())

layer = pf.scalar.ModularAffine(K)
categories = torch.eye(K)
choices = torch.zeros(K, 2 * K)
choices[:, 4], choices[:, K + 7] = 1.0, 1.0  # the logits that win: a shift of 4, a factor of 7
y, log_dy = layer.forward(categories, choices)
assert torch.equal(y.argmax(-1), (4 + 7 * torch.arange(K)) % K)
assert torch.equal(layer.inverse(y, choices)[0].argmax(-1), torch.arange(K)) and (log_dy == 0).all()

# %% [markdown]
# **Exercise.** For how many $K$ may *every* factor but zero be chosen? And which orderings of the categories can a
# single modular map make?

# %% [markdown] tags=["answer"]
# For the primes. A map has $K$ shifts times the number of factors that are coprime to $K$, at most $K (K - 1)$ of the
# $K!$ orderings: all of them for $K = 2$ and 3 and few beyond, 20 of 120 for $K = 5$. Neighbours do not stay neighbours
# unless the factor is 1 or $K - 1$, which is why the notes find it ill suited to ordinal data.

# %% tags=["answer"]


def orderings(K):
    factors = [a for a in range(1, K) if euclid(a, K)[0] == 1]
    return {tuple((shift + a * x) % K for x in range(K)) for a in factors for shift in range(K)}


assert [len(orderings(K)) for K in (2, 3, 4, 5)] == [2, 6, 8, 20]
