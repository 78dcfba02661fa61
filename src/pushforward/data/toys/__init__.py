"""Toy densities with known log-density."""
