# %% [markdown]
# # 1. Pushing a measure forward
#
# *A researcher's notes on normalizing flows (2020), section 1: probability and measure theory.*
#
# The notes begin where the library's name comes from. A measure $\mu$ on one space and a function $u$ into another give
# a measure there, by asking where points came from:
#
# $$\nu(B) = \mu(u^{-1}(B)).$$
#
# This is the *push-forward*. No density is needed for it, and no inverse. Integrals follow: to average $f$ under $\nu$
# is to average $f \circ u$ under $\mu$, which is why one can draw from a flow before knowing any density.

# %%
import math

import torch

import pushforward as pf

torch.manual_seed(0)
flow = pf.models.nsf(features=2, layers=2, hidden=(16,))
for weights in flow.parameters():
    torch.nn.init.normal_(weights, std=0.5)

with torch.no_grad():
    z = flow.base.sample(100_000)
    x = flow.decode(z)  # the measure of z, pushed forward


def f(x):
    return torch.tanh(x[:, 0]) + (x[:, 1] > 0.5)


grid = torch.cartesian_prod(*[torch.linspace(-7, 7, 281)] * 2)
with torch.no_grad():
    density = flow.log_prob(grid).exp()
cell = 0.05**2
print(f"as an average {f(x).mean():.3f}, by the density {(f(grid) * density).sum() * cell:.3f}")
assert abs((density * cell).sum() - 1) < 0.01
assert abs(f(x).mean() - (f(grid) * density).sum() * cell) < 0.02

# %% [markdown]
# ## Densities
#
# A measure has a *density* with respect to another, $\nu(A) = \int_A g\, d\lambda$, if it gives nothing to sets to
# which the other gives nothing (Radon and Nikodym). Against the counting measure that is a mass function, against
# length, area and volume what one usually calls a density. For an increasing $r$ on an interval and $Y = r(X)$, the
# notes derive it from the distribution functions: $G(y) = F(r^{-1}(y))$, so
# $g(y) = f(r^{-1}(y))\, \frac{d}{dy} r^{-1}(y)$. A decreasing $r$ turns the sign, hence the absolute value.
#
# If $r$ is not one-to-one, the density adds up over all points that lead to $y$. For $Y = X^2$ of a normal $X$ there
# are two of them, $\pm\sqrt y$, each with slope $1 / (2 \sqrt y)$, and the sum is the chi-squared density:

# %%
y = torch.linspace(0.01, 6, 600)
normal = torch.distributions.Normal(0.0, 1.0)
summed = sum(normal.log_prob(root).exp() / (2 * y.sqrt()) for root in (y.sqrt(), -y.sqrt()))
assert torch.allclose(summed, torch.distributions.Chi2(1.0).log_prob(y).exp(), rtol=1e-4)

# %% [markdown]
# A sum $Z = X + Y$ is another map that is not one-to-one. The notes make it so, by carrying $X$ along:
# $(x, y) \mapsto (x, x + y)$ has determinant one. Integrating $x$ out leaves the convolution
# $u(z) = \int g(x) h(z - x)\, dx$. Carrying along what would be lost is what couplings do.

# %%
x = torch.linspace(0, 1, 2001, dtype=torch.float64)
uniform = torch.ones_like(x)
for z in (0.3, 1.0, 1.6):
    inside = ((z - x >= 0) & (z - x <= 1)).double()
    convolved = torch.trapezoid(uniform * inside, x)
    assert abs(convolved - (1 - abs(z - 1))) < 1e-3  # two uniform numbers have a triangle as their sum

# %% [markdown]
# ## Volume
#
# A linear map multiplies every volume by $|\det T|$. For a curved one the notes write
# $\lambda(f(A)) = |\det J| \lambda(A)$, and doubt it: *at which point is the Jacobian evaluated?*
#
# **Exercise.** Put it right, and check it for the map $(r, \varphi) \mapsto (r \cos\varphi, r \sin\varphi)$ of a
# rectangle.

# %% [markdown] tags=["answer"]
# At every point, and then added up: $\lambda(f(A)) = \int_A |\det J_f|\, d\lambda$ for a one-to-one $f$. The equation
# of the notes holds in the limit of a small $A$ around one point, or where the determinant is constant. In polar
# coordinates the determinant is $r$, and the integral over $0 < r < 1$, $0 < \varphi < 2 \pi$ is $\pi$, the area of the
# disc; no single point of the rectangle was promised to give that, although a mean one does, $r = 1/2$.

# %% tags=["answer"]


def polar(point):
    return torch.stack([point[0] * point[1].cos(), point[0] * point[1].sin()])


middles = (torch.arange(200.0) + 0.5) / 200
rectangle = torch.cartesian_prod(middles, 2 * math.pi * middles)
determinants = torch.linalg.det(torch.func.vmap(torch.func.jacrev(polar))(rectangle)).abs()
assert abs(determinants.mean() * 2 * math.pi - math.pi) < 1e-3
