"""Pictures of flows on vectors: one dimension, two dimensions, tables, maps of the earth, calibration; of clips; and
diagnostics of posteriors.

Each function returns a matplotlib ``Figure`` that belongs to no window, so it works without a display; :func:`save`
writes it to a file.
"""

from pushforward.diagnostics.calibration import pit_values
from pushforward.plots.contexts import contexts_2d
from pushforward.plots.films import film, strips
from pushforward.plots.futures import futures_of
from pushforward.plots.images import images_beside
from pushforward.plots.one_dimension import draw_1d, draw_latent_histogram, flow_1d
from pushforward.plots.pairs import corner
from pushforward.plots.posteriors import against_chance, classifier, coverage, predictive, ranks
from pushforward.plots.regions import regions_2d
from pushforward.plots.relaxation import relaxation_2d
from pushforward.plots.reliability import calibration
from pushforward.plots.spheres import map_of
from pushforward.plots.style import save
from pushforward.plots.trajectories import trajectories
from pushforward.plots.two_dimensions import density_2d, flow_2d, scatter_2d, steps_2d, warped_grid

__all__ = [
    "against_chance",
    "calibration",
    "classifier",
    "contexts_2d",
    "corner",
    "coverage",
    "density_2d",
    "draw_1d",
    "draw_latent_histogram",
    "film",
    "flow_1d",
    "flow_2d",
    "futures_of",
    "images_beside",
    "map_of",
    "pit_values",
    "predictive",
    "ranks",
    "regions_2d",
    "relaxation_2d",
    "save",
    "scatter_2d",
    "steps_2d",
    "strips",
    "trajectories",
    "warped_grid",
]
