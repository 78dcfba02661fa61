"""Densities that are derivatives of networks which learn distribution functions."""
