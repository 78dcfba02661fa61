r"""
Flows on the line, onto three bases
===================================

A flow on the line is an increasing function :math:`z = f(x)`. It is trained until the latents of the data are spread as
the base says, and then the density is

.. math:: \log p(x) = \log p_\text{base}(f(x)) + \log f'(x).

Any base does. Here the same heaps of data are brought onto a normal, a uniform and a Beta(5, 5) distribution, as in the
lectures of CS294-158 (Abbeel et al.): a row before training, a row after it.
"""

# sphinx_gallery_thumbnail_number = 2
import copy

import torch

import pushforward as pf
from pushforward import plots
from pushforward.distributions import Beta, StandardNormal
from pushforward.scalar import Affine, MixtureCDF, Sigmoid
from pushforward.transforms import Elementwise

generator = torch.Generator().manual_seed(0)
heaps = torch.randint(0, 3, (2000, 1), generator=generator)
data = torch.tensor([-2.0, 0.5, 2.5])[heaps] + torch.tensor([0.5, 0.25, 0.6])[heaps] * torch.randn(
    2000, 1, generator=generator
)


def trained(flow):
    """The flow before and after training."""
    before = copy.deepcopy(flow)
    pf.fit(flow, data, max_steps=600, batch_size=500, learning_rate=3e-2, ema=0.95, seed=0, progress=False)
    return {"before": before, "after": flow}


# %%
# Onto a normal
# -------------
#
# A mixture of Gaussians' distribution function, then a logit and an affine map: the line onto the line.

torch.manual_seed(0)
onto_line = [Elementwise(MixtureCDF("gaussian", 8), (1,)), Elementwise(Affine(), (1,))]
normal = trained(pf.Flow(onto_line, StandardNormal((1,))))
figure_normal = plots.flow_1d(normal, data)

# %%
# Onto a uniform
# --------------
#
# A distribution function alone is a flow onto the uniform distribution, and its derivative is the density.

uniform = trained(pf.models.cdf_1d(components=8))
figure_uniform = plots.flow_1d(uniform, data)

# %%
# Onto a Beta(5, 5)
# -----------------
#
# The map is another one, the density the same.

onto_interval = [
    Elementwise(MixtureCDF("gaussian", 8), (1,)),
    Elementwise(Affine(), (1,)),
    Elementwise(Sigmoid(), (1,)),
]
beta = trained(pf.Flow(onto_interval, Beta((1,), 5.0, 5.0)))
figure_beta = plots.flow_1d(beta, data)
