# %% [markdown]
# # 4. Residual flows
#
# *Tomczak (2022), Deep Generative Modeling, section 3.1.7.*
#
# Couplings buy their cheap determinant by keeping half of the event. The other road is to take an ordinary residual
# network, $z = x + g(x)$, and to ask only that $g$ is a *contraction*: $|g(x) - g(y)| \le c\, |x - y|$ for some
# $c < 1$. Then $x = z - g(x)$ has one solution, and repeating that line finds it, by Banach's fixed-point theorem. Each
# repetition multiplies the error by at most $c$.

# %%
import math
from itertools import pairwise

import torch

import pushforward as pf
from pushforward.transforms import Contractive, ExactLogDeterminant

torch.manual_seed(0)
g = pf.networks.LipschitzMLP(2, 2, hidden=(16, 16), lipschitz=0.7)
for weights in g.parameters():
    torch.nn.init.normal_(weights)  # however large: the layers divide by their norms
g.eval()

with torch.no_grad():
    x = torch.randn(500, 2)
    z = x + g(x)
    guess, errors = z, []
    for _ in range(30):
        errors.append((guess - x).norm(dim=-1).max().item())
        guess = z - g(guess)
print([f"{error:.1e}" for error in errors[::5]])
assert all(after <= 0.7 * before + 1e-6 for before, after in pairwise(errors))

# %% [markdown]
# ## The log-determinant as a series
#
# $\log\det(I + J_g)$ is the trace of $\log(I + J_g)$, and the logarithm is a power series:
#
# $$\log\det(I + J_g) = \sum_{k=1}^\infty \frac{(-1)^{k+1}}{k} \operatorname{tr} J_g^k.$$
#
# It converges because the norm of $J_g$ is below $c < 1$: what is left after $n$ terms is at most
# $D \sum_{k > n} c^k / k$. In two dimensions we can see it do so.

# %%
layer = Contractive(g, 2, log_det=ExactLogDeterminant())
_, exact = layer(x)
jacobian = torch.func.vmap(torch.func.jacrev(lambda point: g(point[None])[0]))(x).detach()
power, total = torch.eye(2).expand_as(jacobian), torch.zeros(len(x))
for k in range(1, 21):
    power = power @ jacobian
    total = total + (-1) ** (k + 1) / k * power.diagonal(dim1=-2, dim2=-1).sum(-1)
    left = 2 * sum(0.7**later / later for later in range(k + 1, 200))
    assert (total - exact).abs().max() < left + 1e-5
print(f"after 20 terms the error is {(total - exact).abs().max():.1e}, and at most {left:.1e}")

# %% [markdown]
# In many dimensions even one trace is dear, and the chapter names two estimators. Skilling and Hutchinson's replaces
# the trace by $v^\top J^k v$ with random signs $v$, whose mean it is. Russian roulette stops the series at a random
# place and weights up what it has, so that a finite sum has the right mean. The model says what it then is:

# %%
assert str(pf.models.residual_flow(features=2).accuracy) == "exact"
assert str(pf.models.residual_flow(features=20).accuracy) == "estimate"

signs = torch.randint(0, 2, (20_000, 2)) * 2.0 - 1
one = jacobian[0]
estimates = torch.einsum("ni,ij,nj->n", signs, one, signs)
assert abs(estimates.mean() - one.trace()) < 4 * estimates.std() / math.sqrt(len(signs)) + 1e-6

# %% [markdown]
# ## Dense layers
#
# A DenseNet keeps what came before: a layer gives $h(x) = [x, \phi(Wx)]$. Two such parts with constants $K_1$ and $K_2$
# have $\sqrt{K_1^2 + K_2^2}$ together, so that with both at 1 the layer is divided by $\sqrt 2$.
#
# **Exercise.** Is $\sqrt 2$ ever reached, or could one divide by less?

# %% [markdown] tags=["answer"]
# It is reached: take $\phi$ the identity and $W$ orthogonal, so that $|h(x)|^2 = |x|^2 + |Wx|^2 = 2 |x|^2$ for all $x$.
# Of a $W$ that stretches only some directions by 1 the constant is the same, reached in those directions. One can do
# better by learning how much each part weighs, which DenseNet flows do.

# %% tags=["answer"]
orthogonal = torch.linalg.qr(torch.randn(5, 5)).Q
stacked = torch.cat([torch.eye(5), orthogonal])
assert torch.allclose(torch.linalg.svdvals(stacked), torch.full((5,), math.sqrt(2)), atol=1e-5)

halved = orthogonal @ torch.diag(torch.tensor([1.0, 0.5, 0.5, 0.5, 0.5]))
assert math.isclose(torch.linalg.matrix_norm(torch.cat([torch.eye(5), halved]), 2), math.sqrt(2), rel_tol=1e-5)
