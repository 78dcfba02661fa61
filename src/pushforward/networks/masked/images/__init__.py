"""Causal networks of images: what they say of a pixel depends on the pixels before it, row by row."""
