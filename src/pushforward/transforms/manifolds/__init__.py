"""Transforms of circles, tori and spheres."""
