"""Continuous flows: an ordinary differential equation from the latent to the data."""
