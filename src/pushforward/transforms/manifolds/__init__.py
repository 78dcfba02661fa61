"""Transforms of spheres and tori, whose densities are with respect to the surface measure."""
