"""Distributions that take one variable after the other."""
