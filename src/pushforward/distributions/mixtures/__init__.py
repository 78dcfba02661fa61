"""Mixtures of distributions, flows among them."""
