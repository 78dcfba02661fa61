"""Distributions on circles, tori and spheres."""
