"""Attention: networks whose parts look at each other."""
