"""Variational autoencoders: a likelihood, a posterior and a prior."""
