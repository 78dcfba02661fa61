r"""
Planar and radial flows on four energies
========================================

Densities that are known up to a constant, :math:`\exp(-U(x))`, and flows that are fitted to them without any data, by
the divergence :math:`KL(q, p)` (Rezende, Mohamed 2015, arXiv:1505.05770, figure 3). A planar layer stretches or
squeezes across a line, a radial one around a point.
"""

import warnings

import torch
from matplotlib.figure import Figure

import pushforward as pf
from pushforward.data.toys.energies import within
from pushforward.distributions import StandardNormal
from pushforward.plots.two_dimensions import draw_density
from pushforward.transforms import Inverse, Planar, Radial

# Flows that are too poor for a density are told so, and are what is shown here.
warnings.simplefilter("ignore")
BOUNDS = (-4.0, 4.0, -4.0, 4.0)


def normalised(energy):
    """The log-density of an energy on the square, its constant by quadrature."""
    confined = within(energy)
    mesh = torch.cartesian_prod(torch.linspace(-4, 4, 200), torch.linspace(-4, 4, 200))
    log_normaliser = torch.logsumexp(-confined(mesh), 0) + 2 * torch.tensor(8 / 200).log()
    return lambda x: -confined(x) - log_normaliser


def fitted(layer, log_density):
    """A flow of layers, turned round so that samples need no solving, and how many nats it is away from a density."""
    torch.manual_seed(0)
    flow = pf.Flow([Inverse(layer(2)) for _ in range(16)], StandardNormal((2,)))
    posterior = pf.inference.fit_posterior(
        log_density, flow, steps=300, learning_rate=1e-2, annealing=0.5, draws=2000, seed=0
    )
    return flow, -float(posterior.elbo.value)


# %%
# Above the densities, below them samples of flows of sixteen layers; the divergence is in nats, 0 for the density
# itself. Planar layers find both arcs and the middle of the waves, radial ones less: what :math:`q` leaves out costs it
# little.

figure = Figure(figsize=(12.5, 8.6), layout="constrained")
for column, (name, energy) in zip(figure.subplots(3, 4).T, pf.data.ENERGIES.items()):
    log_density = normalised(energy)
    draw_density(column[0], log_density, BOUNDS, 150)
    column[0].set_title(name)
    for axes, layer in zip(column[1:], (Planar, Radial)):
        flow, divergence = fitted(layer, log_density)
        draws = flow.sample(40_000, generator=torch.Generator().manual_seed(0)).detach()
        axes.hist2d(*draws.numpy().T, bins=100, range=[BOUNDS[:2], BOUNDS[2:]], cmap="magma", density=True)
        axes.set(aspect="equal", title=f"{layer.__name__.lower()}: {divergence:.2f} nats away")
