"""Simulation-based inference: posteriors of a simulator's parameters from its simulations alone."""
