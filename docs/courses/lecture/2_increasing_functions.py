# %% [markdown]
# # 2. Increasing functions
#
# *Abbeel et al., lecture 3: examples of flows. Beigy (2025), Deep Generative Models: constructing flows.*
#
# The lecture lists increasing functions with which to build: lines, odd polynomials with positive coefficients,
# exponentials, sigmoids, distribution functions. A second lecture course, Beigy's, says how to make new ones from old:
#
# - a *composition* $h_K \circ \dots \circ h_1$ of increasing functions increases;
# - a *conical combination* $\sum_k a_k h_k + b$ with $a_k > 0$ does, too; with sigmoids as the $h_k$ and compositions
#   of such sums one has a network whose weights are all positive;
# - a line with a bump, $ax + b + c / (1 + (dx + e)^2)$, does as long as the bump is not too steep.

# %%
import math

import torch

import pushforward as pf
from pushforward.scalar import Composition, ConicalCombination, DeepSigmoidal, OddPolynomial, PerturbedAffine

torch.manual_seed(0)
functions = {
    "odd polynomial": OddPolynomial(degree=5, bound=3.0),
    "network of sigmoids": DeepSigmoidal(),
    "a sum of lines with bumps, bumped again": Composition(
        ConicalCombination(PerturbedAffine(), PerturbedAffine()), PerturbedAffine()
    ),
}
x = torch.linspace(-3, 3, 601, dtype=torch.float64)
for name, function in functions.items():
    parameters = torch.randn(function.num_parameters, dtype=torch.float64).expand(len(x), -1)
    z, log_slope = function.forward(x, parameters)
    slope = torch.func.vmap(torch.func.grad(lambda number, p, f=function: f.encode(number, p)))(x, parameters)
    print(f"{name}: {function.num_parameters} parameters, slopes from {slope.min():.3f} to {slope.max():.3f}")
    assert (z.diff() > 0).all()
    assert torch.allclose(log_slope, slope.log(), atol=1e-6)
    assert torch.allclose(function.inverse(z, parameters)[0], x, atol=1e-3)

# %% [markdown]
# The parameters were drawn at random, and every function increased nonetheless: a bijection takes what a network emits,
# any numbers, and bends them into its region. The slopes it reports are those that autograd finds.
#
# ## Element by element, and all together
#
# Applied to each feature by itself, a function of one number is a flow of vectors, whose Jacobian is diagonal. It knows
# nothing of dependence. A matrix does: $f(x) = A^{-1}(x - b)$ with a normal base is a normal of covariance $A A^\top$,
# and a composition of the two kinds is no longer one.
#
# The price of a matrix is its determinant: a number of operations of the order of $D^3$ for any matrix, $D$ for a
# triangular one, the product of its diagonal.

# %%
triangular, diagonal = pf.transforms.Triangular(5), pf.transforms.diagonal(5)
for transform in (triangular, diagonal, pf.transforms.lu(5)):
    for weights in transform.parameters():
        torch.nn.init.normal_(weights, std=0.5)
    _, log_det = transform(torch.zeros(5))
    matrix = torch.func.jacrev(lambda x, part=transform: part(x)[0])(torch.zeros(5))
    assert torch.allclose(torch.linalg.slogdet(matrix).logabsdet, log_det, atol=1e-5)
matrix = torch.func.jacrev(lambda x: triangular(x)[0])(torch.zeros(5))
assert torch.allclose(matrix.diagonal().abs().log().sum(), triangular(torch.zeros(5))[1], atol=1e-5)

# %% [markdown]
# **Exercise.** For which $c$ does $ax + b + c / (1 + (dx + e)^2)$ increase, with $a$ and $d$ positive? Beigy's slides
# say $a > \frac{9}{8 \sqrt 3} c d$. Derive it, and say what is missing if $c$ may be negative.

# %% [markdown] tags=["answer"]
# With $v = dx + e$ the slope is $a - cd \cdot 2v / (1 + v^2)^2$. The last factor is largest where its derivative is
# zero, at $v = 1/\sqrt 3$, and is $\frac{2/\sqrt 3}{(4/3)^2} = \frac{9}{8 \sqrt 3}$ there. The factor is odd in $v$, so
# it also takes the opposite value, and for a negative $c$ the condition must hold of $|c|$.

# %% tags=["answer"]
v = torch.linspace(-5, 5, 100_001, dtype=torch.float64)
factor = 2 * v / (1 + v.square()) ** 2
limit = 9 / (8 * math.sqrt(3))
assert abs(factor.max() - limit) < 1e-8 and abs(factor.min() + limit) < 1e-8
for c, increases in ((1.0, True), (-1.0, True), (1.1 / limit, False), (-1.1 / limit, False)):
    bumped = v + c / (1 + v.square())
    assert bool((bumped.diff() > 0).all()) == increases
