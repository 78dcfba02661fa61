"""Figures of flows."""

from pushforward.plots.figures import (
    calibration,
    corner,
    density_2d,
    draw_1d,
    draw_latent_histogram,
    flow_1d,
    flow_2d,
    pit_values,
    save,
    steps_2d,
    warped_grid,
)

__all__ = [
    "calibration",
    "corner",
    "density_2d",
    "draw_1d",
    "draw_latent_histogram",
    "flow_1d",
    "flow_2d",
    "pit_values",
    "save",
    "steps_2d",
    "warped_grid",
]
