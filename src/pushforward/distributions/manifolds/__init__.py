"""Distributions on circles and spheres."""
