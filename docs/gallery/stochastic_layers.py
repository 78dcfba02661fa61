r"""
Layers that relax
=================

Between two bijections a flow may take steps of a Markov chain towards a density that is known up to a constant (Wu,
Koehler, Noe 2020, arXiv:2002.06707). The steps draw; a dot is where a point starts, a ring where it ends. Langevin's
steps go up the gradient with noise, Metropolis' rule refuses some of them, and Hamilton's equations give the points a
momentum, so that they swing through a well and back.
"""

import torch

import pushforward as pf
from pushforward.transforms import Hamiltonian, Langevin, Metropolis, Relaxation

well = pf.data.ManyWell(2)
generator = torch.Generator().manual_seed(3)
start = 0.8 * torch.randn(12, 2, generator=generator)
layers = {
    "Langevin, 60 steps": Relaxation(Langevin(2, well, 0.005), steps=60),
    "Metropolis, 20 steps": Relaxation(Metropolis(Langevin(2, well, 0.03)), steps=20),
    "Hamiltonian, 60 leaps": Relaxation(Hamiltonian(2, well, 0.03, leaps=60)),
}
figure_ways = pf.plots.relaxation_2d(layers, start, (-3, 3, -3, 3), generator=generator)
