"""Densities on the plane that can be sampled and evaluated, and energies to fit."""

from pushforward.data.toys.addition import addition
from pushforward.data.toys.checkerboard import Checkerboard
from pushforward.data.toys.curves import NoisyCurve, Rings, moons, spirals
from pushforward.data.toys.density import ToyDensity
from pushforward.data.toys.energies import ENERGIES, energy_1, energy_2, energy_3, energy_4, within
from pushforward.data.toys.gaussians import Gaussians, Pinwheel
from pushforward.data.toys.graphs import as_matrices, as_vectors, coloured_graphs
from pushforward.data.toys.image import ImageDensity
from pushforward.data.toys.potts import Potts
from pushforward.data.toys.registry import TOYS, load_picture_density, load_toy, toy
from pushforward.data.toys.targets import Funnel, ManyWell
from pushforward.data.toys.waveforms import chirps, tones

__all__ = [
    "ENERGIES",
    "TOYS",
    "Checkerboard",
    "Funnel",
    "Gaussians",
    "ImageDensity",
    "ManyWell",
    "NoisyCurve",
    "Pinwheel",
    "Potts",
    "Rings",
    "ToyDensity",
    "addition",
    "as_matrices",
    "as_vectors",
    "chirps",
    "coloured_graphs",
    "energy_1",
    "energy_2",
    "energy_3",
    "energy_4",
    "load_picture_density",
    "load_toy",
    "moons",
    "spirals",
    "tones",
    "toy",
    "within",
]
