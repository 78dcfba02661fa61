"""Recipes of vectors: all begin with the standardisation of the data, which initialisation sets."""
