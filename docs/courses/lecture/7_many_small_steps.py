# %% [markdown]
# # 7. Many small steps
#
# *Beigy (2025), Deep Generative Models: residual flows, and infinitesimal flows. Abbeel et al., lecture 3: other
# classes of flows.*
#
# Besides couplings and autoregressive maps the slides have layers that change everything at once by a little,
# $z = x + g(x)$. There are two ways to keep the determinant cheap. The first makes the change simple: planar layers
# push along one direction, Sylvester's along $M$ of them, and the determinant is one of $M \times M$ numbers,
#
# $$\det(I_D + A B) = \det(I_M + B A).$$
#
# The second lets the number of layers go to infinity.

# %%
import os

import torch

import pushforward as pf
from pushforward import plots
from pushforward.transforms import Continuous, Planar

STEPS = 100 if "PUSHFORWARD_SHORT" in os.environ else 400

torch.manual_seed(0)
tall, wide = torch.randn(50, 3), torch.randn(3, 50) / 10
large, small = torch.linalg.slogdet(torch.eye(50) + tall @ wide), torch.linalg.slogdet(torch.eye(3) + wide @ tall)
assert torch.allclose(large.logabsdet, small.logabsdet, atol=1e-4) and large.sign == small.sign

layer = Planar(50)
for weights in layer.parameters():
    torch.nn.init.normal_(weights, std=0.3)
x = torch.randn(50)
jacobian = torch.autograd.functional.jacobian(lambda x: layer(x)[0], x)
change = torch.linalg.svdvals(jacobian - torch.eye(50))
assert (change[1:] < 1e-5 * change[0]).all()  # of rank one
assert torch.allclose(torch.linalg.slogdet(jacobian).logabsdet, layer(x)[1], atol=1e-4)

# %% [markdown]
# ## From layers to an equation
#
# Write a layer as $x + \epsilon\, v(x)$ and take $1/\epsilon$ of them. In the limit a point follows
# $\frac{dx}{dt} = v(t, x)$, whatever $v$ is: no contraction, no mask. The way back is the same equation backwards in
# time. And the determinant becomes simpler than for any layer, since $\det(I + \epsilon J)$ is
# $1 + \epsilon \operatorname{tr} J$ up to $\epsilon^2$:
#
# $$\frac{d \log p(x(t))}{dt} = -\operatorname{tr} \frac{\partial v}{\partial x}.$$
#
# For a linear $v(x) = A x$ all of that can be said in closed form: points move by the matrix exponential, and volumes
# by $e^{\operatorname{tr} A}$. Euler's layers come nearer to it the more there are.

# %%
A = torch.tensor([[0.3, -1.0], [1.0, -0.1]])
exact = torch.matrix_exp(A)
errors = []
for steps in (10, 100, 1000):
    matrix = torch.linalg.matrix_power(torch.eye(2) + A / steps, steps)
    errors.append((torch.linalg.slogdet(matrix).logabsdet - A.trace()).abs().item())
    print(f"{steps} layers: matrix {(matrix - exact).abs().max():.1e} off, log-determinant {errors[-1]:.1e}")
assert errors[1] < 0.2 * errors[0] and torch.allclose(torch.linalg.slogdet(exact).logabsdet, A.trace(), atol=1e-5)


class Linear(pf.networks.Velocity):
    """v(t, x) = A x"""

    def forward(self, time, x, context=None):
        return x @ A.T


carried = Continuous(Linear(), 2)
z = torch.randn(5, 2)
x, log_det = carried.inverse(z)  # from the latent at t = 0 to the data at t = 1
assert torch.allclose(x, z @ exact.T, atol=1e-3)
assert torch.allclose(log_det, A.trace().expand(5), atol=1e-3)

# %% [markdown]
# ## A field that is learned
#
# With a network for $v$, trained by the likelihood as any flow. The picture shows the ways that points take.

# %%
moons = pf.data.toy("moons")
points, unseen = moons.sample(2000), moons.sample(500)
flow = pf.models.ffjord(features=2)
pf.fit(flow, points, max_steps=STEPS, batch_size=128, learning_rate=1e-2, ema=0.95, seed=0, progress=False)
normal = torch.distributions.MultivariateNormal(points.mean(0), points.T.cov())
with torch.no_grad():
    reached, least = flow.log_prob(unseen).mean(), normal.log_prob(unseen).mean()
    assert torch.allclose(flow.decode(flow.encode(unseen)), unseen, atol=1e-2)
print(f"nats per point: a normal {least:.3f}, the flow {reached:.3f}, the truth {moons.log_prob(unseen).mean():.3f}")
assert reached > least

plots.trajectories(flow, unseen)

# %% [markdown]
# **Exercise.** Two ways of such a flow never cross. Why not, and which densities can a flow of the line then not make
# from one bump?

# %% [markdown] tags=["answer"]
# At a crossing two points would be at one place at one time, where the velocity has one value, so that they would go on
# together, and backwards as well: they were the same point all along. On the line the order of points is kept, as in
# any increasing map, and that is no restriction: every density comes from every other by an increasing map. In the
# plane a flow may turn points about each other; but what is connected stays so, and a ring with nothing in it, or two
# heaps with nothing between, is reached only nearly.

# %% tags=["answer"]
z = torch.linspace(-2, 2, 50)[:, None]
line = pf.models.ffjord(features=1)
for weights in line.parameters():
    torch.nn.init.normal_(weights, std=0.5)
with torch.no_grad():
    assert (line.decode(z).diff(dim=0) > 0).all()
