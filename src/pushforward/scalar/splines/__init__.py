"""Monotone splines: a box of bins with identity tails, or a circle."""
