"""Transforms of heavy-tailed data."""
